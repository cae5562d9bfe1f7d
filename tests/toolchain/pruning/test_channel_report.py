"""The page that shows what channel pruning did."""

from pathlib import Path

import numpy as np
import torch

from toolchain.models import VggShape, build_vgg
from toolchain.pruning import ChannelPruning, ScaOptions
from toolchain.pruning.channel_report import write_channel_report
from toolchain.training import FitOptions, fit


def test_the_page_shows_sizes_course_and_layers(tmp_path: Path) -> None:
    network = build_vgg(VggShape(plan=(6, 10), image=(1, 4, 4), classes=2), torch.Generator().manual_seed(0))
    pruning = ChannelPruning(network, ScaOptions(sparsity=0.5))
    rng = np.random.default_rng(0)
    x, y = rng.random((16, 1, 4, 4)).astype(np.float32), rng.integers(0, 2, 16)
    fit(network, x, y, FitOptions(4, 8, 0.01, device="cpu"), seed=0, callbacks=(pruning,))
    path = tmp_path / "page.html"
    write_channel_report(path, "Bars <b>", network, pruning)
    text = path.read_text()
    assert "Bars &lt;b&gt;" in text
    assert "<b>8</b><span>channels, was 16 (50.0 %)" in text
    assert text.count("<svg") == 2 + len(pruning.masks)
    assert "http://" not in text.replace("http://www.w3.org", "").replace("http://purl.org", "").replace(
        "http://creativecommons.org", ""
    )
    for name, mask in pruning.masks.items():
        assert f"{name}: {mask.sum()} of {len(mask)} channels" in text
