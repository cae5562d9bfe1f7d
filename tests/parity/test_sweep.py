"""Random graphs of any geometry on the emulator; `make sweep` takes 20,000 of each kind."""

import pytest

from tests.parity import sweep as sweeps
from tests.parity.neuron_sweep import check_batch
from tests.parity.sweep import KINDS, sweep

pytestmark = pytest.mark.long

_QUICK = {"wide-images": 400, "images": 300, "integers": 400, "reals": 400}


@pytest.mark.parametrize("kind", KINDS)
def test_hundreds_of_graphs_equal_the_reference_however_they_are_cut(kind: str) -> None:
    verdict = sweep(kind, _QUICK[kind])
    assert verdict.graphs == _QUICK[kind]
    assert not verdict.differences
    assert not verdict.deaths


def test_a_difference_and_a_death_are_told_by_their_seeds(monkeypatch: pytest.MonkeyPatch) -> None:
    """The sweep can fail: a child that dies at one graph, and says that another differs."""
    script = (
        "import os, sys; first, stop = map(int, sys.argv[-2:])\n"
        "for seed in range(first, stop):\n"
        "    print('begins', seed, flush=True)\n"
        "    if seed == 3: os.abort()\n"
        "    if seed == 5: print('differs', seed, 'here', flush=True)\n"
    )
    run = sweeps.subprocess.run
    monkeypatch.setattr(
        sweeps.subprocess,
        "run",
        lambda command, **options: run([command[0], "-c", script, *command[3:]], **options),
    )
    verdict = sweep("images", 10, processes=1)
    assert verdict.graphs == 10
    assert verdict.differences == [(5, "here")]
    assert [seed for seed, _ in verdict.deaths] == [3]


@pytest.mark.parametrize("batch", range(3))
def test_batches_of_every_neuron_are_equal_on_onnx(batch: int) -> None:
    """Of graphs, of images, and of real numbers."""
    check_batch("onnx", batch)
