"""What is timed against one another learns the same, and the figures reach their page."""

from pathlib import Path

import torch

from tests.benchmarks.integer_training import (
    BEGIN,
    COMPILED,
    END,
    STEPWISE,
    IntegerUpdate,
    difference,
    measure,
    recurrent,
    table,
    write_table,
)


def test_both_paths_compute_the_same_scores_and_gradients() -> None:
    case = recurrent(neurons=40, steps=20, samples=4)
    learners = {name: IntegerUpdate(case, compiled=name == COMPILED) for name in (COMPILED, STEPWISE)}
    assert learners[COMPILED].network.obstacle() is None
    assert learners[STEPWISE].network.obstacle() is not None
    assert difference(learners) < 1e-5
    gradients = learners[COMPILED].gradients()
    assert all(bool(gradient.any()) for gradient in gradients.values() if gradient.numel())
    before = [each.detach().clone() for each in learners[COMPILED].network.parameters()]
    learners[COMPILED].update()
    for one, other in zip(before, learners[COMPILED].network.parameters(), strict=True):
        assert torch.equal(one, other)


def test_the_table_stands_between_its_marks(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text(f"above\n{BEGIN}\nold\n{END}\nbelow\n", encoding="utf-8")
    row = measure(recurrent(neurons=20, steps=5, samples=2), turns=1)
    write_table(page, table({"a network": row}))
    head, first, *_ = page.read_text(encoding="utf-8").split("\n")
    assert (head, first) == ("above", BEGIN)
    assert page.read_text(encoding="utf-8").endswith(f"{END}\nbelow\n")
    assert "| a network | 2 x 5 |" in page.read_text(encoding="utf-8")
    assert "old" not in page.read_text(encoding="utf-8")
