"""Experiments with modules of users go from the training to the integers, or say in a sentence why not.

Needs `make frameworks`, which installs the frameworks.
"""

from importlib import import_module
from importlib.util import find_spec
from pathlib import Path

import pytest

MISSING = [name for name in ("snntorch", "spikingjelly", "sinabs", "norse") if find_spec(name) is None]
REFUSED = (
    "returns its scores after a factor of",
    "has no meaning for still pictures",
    "these are still pictures",
)
"""Why a random experiment cannot be carried out."""
EACH, ON_LAVA = 16, 3
pytestmark = [
    pytest.mark.frameworks,
    pytest.mark.skipif(bool(MISSING), reason=f"not installed: {', '.join(MISSING)}; 'make frameworks' does"),
    pytest.mark.filterwarnings("ignore"),
]


@pytest.mark.parametrize("seed", range(EACH))
def test_a_random_experiment_is_equal_or_says_why_not(seed: int, tmp_path: Path) -> None:
    what = import_module("tests.frameworks.random_experiments").outcome(tmp_path, seed)
    assert what == "equal" or any(why in what for why in REFUSED), what


@pytest.mark.parametrize("seed", range(ON_LAVA))
def test_a_random_experiment_is_equal_on_lava(seed: int, tmp_path: Path) -> None:
    outcome = import_module("tests.frameworks.random_experiments").outcome
    what = outcome(tmp_path, seed, exact=("emulator", "lava"))
    assert what == "equal" or any(why in what for why in REFUSED), what
