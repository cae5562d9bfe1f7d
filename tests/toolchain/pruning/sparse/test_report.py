"""The page that shows what sparse training did."""

from pathlib import Path

import numpy as np

from tests.small_training import OPTIONS, small_network, small_task
from toolchain.pruning.sparse import SparseMethod, SparseOptions, SparseTraining
from toolchain.pruning.sparse.report import write_sparse_report
from toolchain.training import fit


def test_the_page_shows_sizes_course_and_connections(tmp_path: Path) -> None:
    network = small_network()
    pruning = SparseTraining(network, SparseOptions(method=SparseMethod.GRADUAL, fraction=0.3, interval=4))
    inputs, labels = small_task(np.random.default_rng(0))
    epochs = fit(network, inputs, labels, OPTIONS, seed=0, callbacks=(pruning,))
    path = tmp_path / "page.html"
    write_sparse_report(path, "Bars <b>", pruning, {"pruned": epochs, "unpruned": ()})
    text = path.read_text()
    assert "Bars &lt;b&gt;" in text
    assert "<b>63</b><span>synapses, was 210 (30.0 %)" in text
    assert text.count("<svg") == 3 + len(pruning.names)
    assert "Accuracy on the training samples" in text
    assert "neurons or channels" not in text
    write_sparse_report(path, "Without epochs", pruning)
    assert path.read_text().count("<svg") == 2 + len(pruning.names)
    for name in pruning.names:
        assert f"{name}: " in text
