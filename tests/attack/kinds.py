"""Every kind of file that is read: a good one, and all that is done with it when it comes from a stranger."""

import hashlib
import json
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final, final

import torch

from targets.loihi.profile import load_profile
from tests.fuzz.files import FORMATS
from tests.small_run import TOML, small_experiment
from toolchain.confined.reader import ConfinedReader
from toolchain.fidelity import check_baseline, write_baseline
from toolchain.models.vgg import POOL, VggShape, build_vgg
from toolchain.training import load_network
from toolchain.training.feed_forward_files import load_feed_forward, save_feed_forward
from toolchain.training.tensor_files import load_tensors
from toolchain.workflow.check import check_build
from toolchain.workflow.compare import compare_build
from toolchain.workflow.compile import compile_run
from toolchain.workflow.experiment import load_experiment
from toolchain.workflow.load import load
from toolchain.workflow.run_folder import TrainedRun
from toolchain.workflow.train import train


@final
@dataclass(frozen=True)
class Kind:
    """A kind of file.

    Attributes:
        name: In words.
        write: Puts a good file into an empty folder, with what belongs to it, and returns it.
        read: Does with the file what its user would.
        cost: How many times longer that takes than with other kinds: so much fewer are tried.
    """

    name: str
    write: Callable[[Path], Path]
    read: Callable[[Path], object]
    cost: int = 1


def _of_formats(name: str) -> Kind:
    """A format that the fuzzer knows; the confined process starts for the file and ends with it."""
    write, read = FORMATS[name]

    def reading(path: Path) -> object:
        with ConfinedReader() as reader:
            return read(path, reader)

    return Kind(name, lambda folder: write(folder)[0], reading)


def _copied(source: Path, name: str) -> Callable[[Path], Path]:
    def write(folder: Path) -> Path:
        return Path(shutil.copytree(source, folder / source.name)) / name

    return write


def reseal(path: Path) -> None:
    """List the file in the folder that holds it, as whoever made both of them would have done."""
    for folder in path.parents[:2]:
        for name in ("manifest.json", "run.json"):
            sealed = folder / name
            if not sealed.is_file() or sealed == path:
                continue
            document = json.loads(sealed.read_text())
            listed = path.relative_to(folder).as_posix()
            if listed in document["files"]:
                document["files"][listed] = hashlib.sha256(path.read_bytes()).hexdigest()
                sealed.write_text(json.dumps(document))


def _in_build(path: Path) -> object:
    if path.stat().st_size < 2**28:
        reseal(path)
    folder = path.parent if (path.parent / "manifest.json").exists() else path.parent.parent
    build = load(folder)
    check_build(build, target="loihi2")
    return compare_build(build)


def _in_run(path: Path) -> object:
    if path.stat().st_size < 2**28:
        reseal(path)
    folder = path.parent if (path.parent / "run.json").exists() else path.parent.parent
    return TrainedRun.load(folder)


def _toml(folder: Path) -> Path:
    (folder / "x.toml").write_text(TOML)
    return folder / "x.toml"


def _profile(folder: Path) -> Path:
    source = Path(__file__).parents[2] / "targets/loihi/loihi2.toml"
    return Path(shutil.copy(source, folder / "chip.toml"))


def _feed_forward(name: str) -> Callable[[Path], Path]:
    def write(folder: Path) -> Path:
        shape = VggShape(plan=(4, POOL, 4), image=(1, 4, 4), classes=3, steps=2)
        network = build_vgg(shape, torch.Generator().manual_seed(0))
        save_feed_forward(network, folder)
        return folder / name

    return write


def _network(path: Path) -> object:
    return load_network(path.parent)


_BUILD_FILES: Final = (
    "manifest.json",
    "fixed/graph.json",
    "fixed/arrays.npz",
    "float/graph.json",
    "float/arrays.npz",
    "quantization.json",
    "passes.json",
    "passes.npz",
    "fidelity.json",
    "input.json",
    "stimulus.npz",
)
_RUN_FILES: Final = (
    "run.json",
    "network/network.json",
    "network/network.safetensors",
    "calibration.npz",
    "input.json",
)


@final
class Kinds:
    """All kinds, of a small run and a small build.

    Args:
        folder: Where `make` puts these two.
    """

    def __init__(self, folder: Path) -> None:
        self.run, self.build, self.baseline = folder / "run", folder / "build", folder / "baseline.json"
        self.experiment = small_experiment()

    def make(self) -> None:
        """Train, compile and judge."""
        train(self.experiment, self.run)
        build = compile_run(self.run, target="emulator")
        judgement = compare_build(build)
        build.save(self.build, judgement)
        write_baseline(self.baseline, judgement.comparison)

    def all(self) -> dict[str, Kind]:
        """Return every kind by its name."""
        kinds = [_of_formats(name) for name in FORMATS]
        kinds += [Kind(f"build: {name}", _copied(self.build, name), _in_build, 4) for name in _BUILD_FILES]
        kinds += [Kind(f"run: {name}", _copied(self.run, name), _in_run) for name in _RUN_FILES]
        network = self.run / "network"
        kinds += [
            Kind("network.json", _copied(network, "network.json"), _network),
            Kind("network.safetensors", _copied(network, "network.safetensors"), _network),
            Kind(
                "feed-forward network.json",
                _feed_forward("network.json"),
                lambda path: load_feed_forward(path.parent),
            ),
            Kind(
                "feed-forward network.safetensors",
                _feed_forward("network.safetensors"),
                lambda path: load_feed_forward(path.parent),
            ),
            Kind("state of a training", _copied(self.run / "training", "state.safetensors"), self._training),
            Kind("run: experiment.json", _copied(self.run, "experiment.json"), self._resumed, 20),
            Kind("state of a run", _copied(self.run, "training/state.safetensors"), self._resumed, 20),
            Kind("state of a pruning", _copied(self.run, "pruning/state/pruning.npz"), self._resumed, 20),
            Kind(
                "baseline",
                self._write_baseline,
                lambda path: check_baseline(path, compare_build(load(self.build)).comparison),
            ),
            Kind("experiment", _toml, load_experiment),
            Kind("chip profile", _profile, load_profile),
        ]
        return {kind.name: kind for kind in kinds}

    def _write_baseline(self, folder: Path) -> Path:
        return Path(shutil.copy(self.baseline, folder / "baseline.json"))

    def _training(self, path: Path) -> object:
        return load_tensors(path)

    def _resumed(self, path: Path) -> object:
        """Continue the run that the state belongs to: without its seal it is not finished."""
        folder = next(each for each in path.parents if each.name == self.run.name)
        (folder / "run.json").unlink(missing_ok=True)
        return train(self.experiment, folder)
