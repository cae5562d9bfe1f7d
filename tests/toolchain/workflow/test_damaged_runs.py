"""Whatever is changed in a text of a run, an experiment, a chip or a baseline: we read it or refuse it."""

from pathlib import Path

import numpy as np
import pytest

from tests.attack.run_files import all_prey, baseline_prey
from toolchain.fidelity import Agreement, Comparison

_EVERY = 41
"""Of the changes; `python -m tests.attack.run_files` tries all."""


@pytest.mark.filterwarnings("ignore")
def test_no_change_of_a_text_of_a_run_ends_in_an_error_of_pythons(small_run: Path, tmp_path: Path) -> None:
    with np.errstate(all="ignore"):
        for prey in all_prey(tmp_path, small_run):
            # A profile is long, and TOML slow to read.
            found = prey.attack(_EVERY * (5 if prey.name.startswith("profile") else 1))
            assert not found.broken, (prey.name, found.broken[0])
            assert found.refused.total() > len(found.accepted), (prey.name, found.accepted)


def test_no_change_of_a_baseline_ends_in_an_error_of_pythons_or_guards_nothing(tmp_path: Path) -> None:
    figures = {"spike_agreement": 0.9, "spike_f1": 0.8, "rate_error": 0.1, "membrane_error": 0.2}
    node = Agreement(
        precision=0.8, recall=0.8, van_rossum=0.1, victor_purpura=0.1, diverged=0.5, first=None, **figures
    )
    prey = baseline_prey(tmp_path, Comparison(8, {"hidden": node, "readout": node}, 0.8, 90.0, 80.0, 79.0))
    found = prey.attack()
    assert not found.broken, found.broken[0]
    worse = [
        told
        for told in found.accepted
        if any(odd in told for odd in ("null", "true", "{}", "nfinity", "NaN"))
    ]
    assert not worse
