"""What the pages of the smaller studies say is what their figures say."""

from collections.abc import Callable
from types import ModuleType

import pytest


@pytest.mark.parametrize(
    "script",
    [
        "fidelity_tables",
        "chip_study",
        "rates_study",
        "nir_study",
        "neurons_tables",
        "tasks_study",
        "sparse_tables",
        "conv_study",
        "fit_study",
        "demo_study",
        "again",
    ],
)
def test_the_pages_are_up_to_date(script: str, experiment: Callable[[str], ModuleType]) -> None:
    for path, text in experiment(script).pages().items():
        assert path.read_text(encoding="utf-8") == text, f"{path.name}: python experiments/{script}.py"
