"""Lava-DL: its reader runs our files, its PilotNet gives the spikes that it ships. Needs `make "
"frameworks`."""

import subprocess
import sys
import zipfile
from pathlib import Path

import numpy as np
import pytest

from tests.toolchain.interchange.test_netx import Values, conv, dense, even, save
from toolchain.interchange.from_netx import from_netx
from toolchain.interchange.to_netx import to_netx
from toolchain.ir import Graph, same_structure
from toolchain.target import load_target

WHEELS = sorted((Path(sys.prefix) / "peers").glob("lava_dl-*.whl"))
SAMPLE = 16
"""Steps of one image in Lava-DL's recordings; then its network is reset."""

pytestmark = [
    pytest.mark.frameworks,
    pytest.mark.skipif(not WHEELS, reason="Lava-DL is not there; 'make frameworks' fetches it"),
]


@pytest.fixture(scope="module")
def library(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("lava-dl")
    with zipfile.ZipFile(WHEELS[-1]) as wheel:
        wanted = ("lava/lib/dl/", "tests/lava/lib/dl/netx/")
        wheel.extractall(folder, [name for name in wheel.namelist() if name.startswith(wanted)])
    return folder


def _dense(rng: np.random.Generator) -> list[Values]:
    recurrent = even(rng, 8, 8).astype(np.float32)
    return [
        {"type": "input", "shape": [6]},
        dense(even(rng, 8, 6) * 3 + 1, bias=rng.integers(-3, 9, 8).astype(float)),
        dense(even(rng, 8, 8) * 2, type="dense_rec", weight_rec=recurrent),
        dense(even(rng, 5, 8) * 3, delay=rng.integers(0, 4, (5, 8))),
    ]


def _images(rng: np.random.Generator) -> list[Values]:
    return [
        {"type": "input", "shape": [2, 6, 7]},
        conv(
            even(rng, 3, 2, 3, 3), (3, 4, 3), stride=[1, 2], padding=[0, 0], bias=np.array([5.0, -3.0, 0.0])
        ),
        conv(even(rng, 4, 3, 2, 2), (4, 3, 2)),
        {"type": "flatten", "shape": [24]},
        dense(even(rng, 5, 24)),
    ]


@pytest.mark.parametrize("make", [_dense, _images])
def test_lava_dl_runs_our_file_with_our_integers(make: object, library: Path, tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    read = from_netx(save(tmp_path / "theirs.net", make(rng))).fixed  # type: ignore[operator]
    assert read is not None
    to_netx(read, tmp_path / "ours.net")
    x = rng.random((30, *read.inputs[0].shape)) < 0.4
    np.save(tmp_path / "x.npy", x)
    script = Path(__file__).with_name("run_netx.py")
    command = [sys.executable, str(script), str(library), str(tmp_path / "ours.net"), str(tmp_path / "x.npy")]
    subprocess.run([*command, str(tmp_path / "y.npy")], check=True, timeout=300, capture_output=True)
    theirs = np.load(tmp_path / "y.npy").astype(bool)
    ours = _last(read, x[None])[0]
    assert 0 < ours.mean() < 1
    # Every connection of theirs delivers one step late.
    late = len(read.populations)
    assert np.array_equal(theirs[late:], ours[:-late])


def _last(graph: Graph, x: np.ndarray) -> np.ndarray:
    return load_target("emulator").build(graph).run(x).spikes[graph.outputs[0].inputs[0]]


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
