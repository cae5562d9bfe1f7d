"""Lava-DL: its reader runs our files, its networks give the spikes that it ships. Needs `make frameworks`."""

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from tests.frameworks.netx_sweep import first_difference, run_netx, sweep, unpacked
from tests.toolchain.interchange.netx_graphs import Values, conv, dense, even, save
from toolchain.errors import FrontendError
from toolchain.interchange.netx.from_netx import from_netx
from toolchain.interchange.netx.to_netx import to_netx
from toolchain.ir import same_structure
from toolchain.target.registry import load_target

WHEELS = sorted((Path(sys.prefix) / "peers").glob("lava_dl-*.whl"))
SAMPLE = 16
"""Steps of one image in Lava-DL's recordings; then its network is reset."""

pytestmark = [
    pytest.mark.frameworks,
    pytest.mark.skipif(not WHEELS, reason="Lava-DL is not there; 'make frameworks' fetches it"),
]


@pytest.fixture(scope="module")
def library(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return unpacked(tmp_path_factory.mktemp("lava-dl"))


def test_random_files_equal_lava_dl_or_are_refused_by_layer(library: Path) -> None:
    verdict = sweep(library, range(10_000, 10_020), processes=1)
    assert verdict.differences == []
    assert min(verdict.equal, verdict.refused.total()) >= 3


def _dense(rng: np.random.Generator) -> list[Values]:
    both = rng.integers(-60, 61, (8, 16))
    registers = {"neuron/iDecay": rng.integers(1, 4097, 8), "neuron/vDecay": rng.integers(0, 4096, 8)}
    return [
        {"type": "input", "shape": [6]},
        dense(even(rng, 8, 6) * 3 + 1, bias=rng.integers(-3, 9, 8).astype(float), **registers),
        dense(both[:, :8], type="dense_rec", weight_rec=both[:, 8:]),
        dense(even(rng, 5, 8) * 3, delay=rng.integers(0, 4, (5, 8))),
    ]


def _images(rng: np.random.Generator) -> list[Values]:
    bias = {"bias": np.array([5.0, -3.0, 0.0]), "neuron/vDecay": np.array([100, 0, 4095])}
    return [
        {"type": "input", "shape": [2, 6, 7]},
        conv(even(rng, 3, 2, 3, 3), (3, 4, 3), stride=[1, 2], padding=[0, 0], **bias),
        conv(even(rng, 4, 3, 2, 2), (4, 3, 2), bias=rng.integers(-9, 10, (2, 3, 4))),
        {"type": "flatten", "shape": [24]},
        dense(even(rng, 5, 24)),
    ]


@pytest.mark.parametrize("make", [_dense, _images])
def test_lava_runs_our_file_with_our_integers(
    make: Callable[[np.random.Generator], list[Values]], library: Path, tmp_path: Path
) -> None:
    rng = np.random.default_rng(0)
    read = from_netx(save(tmp_path / "theirs", make(rng))).fixed
    assert read is not None
    to_netx(read, tmp_path / "ours.net")
    x = (rng.random((20, *read.inputs[0].shape)) < 0.4).astype(int)
    np.save(tmp_path / "ours.npy", x)
    found = {}
    for runtime in ("lava", "models"):
        run_netx(library, tmp_path, runtime)
        with np.load(tmp_path / "ours.npz") as theirs:
            found[runtime] = dict(theirs)
        (tmp_path / "ours.done").rename(tmp_path / "ours.net")
    assert 0 < found["lava"][f"s{len(read.populations) - 1}"].mean() < 1
    assert first_difference(read, x, found["lava"]) is None
    # Lava's models alone, which the sweep runs, are what its runtime runs.
    assert all(np.array_equal(values, found["models"][name]) for name, values in found["lava"].items())


def test_the_rule_of_weights_is_that_of_netx_and_lava(library: Path, repository: Path) -> None:
    command = [sys.executable, "-m", "tests.frameworks.netx_weights", str(library)]
    assert subprocess.run(command, cwd=repository, check=False, timeout=300).returncode == 0


def test_their_pilotnet_gives_the_spikes_that_they_recorded(library: Path) -> None:
    folder = library / "tests/lava/lib/dl/netx/gts/pilotnet_lif"
    found = from_netx(folder / "network.net")
    assert found.fixed is not None
    # The recorded image is the current itself: weight 40, bias 36.
    image = (np.load(folder / "image.npy").transpose(2, 1, 0) - 36) / 40
    trace = load_target("emulator").build(found.fixed).run(np.repeat(image[None, None], SAMPLE, axis=1))
    layers = [node.name for node in found.fixed.populations][:-1]
    files = ["input-s", *(f"conv-{i}" for i in range(5)), *(f"fc-{i}" for i in range(3))]
    for late, (name, file) in enumerate(zip(layers, files, strict=True)):
        recorded = np.load(folder / f"{file}.npy").T.astype(bool)[late : late + SAMPLE]
        assert recorded.any()
        assert np.array_equal(trace.spikes[name][0].reshape(recorded.shape), recorded), name


@pytest.mark.parametrize("name", ["tiny.net", "mnist.net", "gts/pilotnet_lif/network.net"])
def test_their_files_are_written_and_read_again_without_a_change(
    library: Path, tmp_path: Path, name: str
) -> None:
    path = library / "tests/lava/lib/dl/netx" / name
    first = from_netx(path).fixed
    assert first is not None
    to_netx(first, tmp_path / path.name)
    again = from_netx(tmp_path / path.name).fixed
    assert again is not None
    assert same_structure(first, again)


def test_their_tiny_network_gives_the_spikes_that_they_recorded(library: Path) -> None:
    folder = library / "tests/lava/lib/dl/netx"
    found = from_netx(folder / "tiny.net")
    assert found.fixed is not None
    bias = np.load(folder / "gts/tinynet/input_bias.npy").transpose(2, 1, 0)
    recorded = np.load(folder / "gts/tinynet/output.npy")[0, ..., 1:]
    x = np.repeat((bias[None, None] - 34) / 36, recorded.shape[-1] + 2, axis=1)
    spikes = load_target("emulator").build(found.fixed).run(x).spikes[found.fixed.populations[-1].name][0]
    assert recorded.any()
    assert np.array_equal(spikes[: recorded.shape[-1]], recorded.transpose(3, 0, 1, 2).astype(bool))


def test_their_network_with_delays_is_read_up_to_the_average_that_netx_does_not_run(library: Path) -> None:
    with pytest.raises(FrontendError, match=r"layer 5 \('average'\) is not read: netx does not run averages"):
        from_netx(library / "tests/lava/lib/dl/netx/gts/ntidigits/ntidigits.net")


@pytest.mark.parametrize("name", ["network.net", "square_network.net"])
def test_their_sigma_delta_networks_are_refused_by_layer(library: Path, name: str) -> None:
    with pytest.raises(
        FrontendError, match=r"layer 0 \('input'\) has neurons 'SDNN', expected CUBA or LOIHI"
    ):
        from_netx(library / "tests/lava/lib/dl/netx/gts/pilotnet_sdnn" / name)
