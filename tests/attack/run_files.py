"""Every text that a run, an experiment, a chip or a baseline consists of, changed in one place, and read.

`python -m tests.attack.run_files` tries all changes of all of them (minutes) and prints what became of them.
"""

import json
import math
import shutil
import sys
import tempfile
import tomllib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any, Final, final

import torch
from safetensors.torch import save_file

from targets.loihi.profile import load_profile
from tests.attack.mutations import Mutation, Outcomes, attack, mutations
from tests.small_run import recurrent_of, small_experiment
from toolchain.fidelity import Comparison, check_baseline, write_baseline
from toolchain.files.documents import read_document
from toolchain.frontends import from_torch
from toolchain.models import FeedForward, GatedNorm, NetworkBlock, Spiking
from toolchain.training import fit, load_feed_forward, load_network, save_feed_forward
from toolchain.training.tensor_files import load_tensors
from toolchain.workflow.experiment import Experiment, load_experiment, read_experiment
from toolchain.workflow.prepare import fit_options, load_data
from toolchain.workflow.prune import PruningDocument
from toolchain.workflow.run_folder import TrainedRun
from toolchain.workflow.train import train

_REPOSITORY: Final = Path(__file__).parents[2]


@final
@dataclass(frozen=True)
class Prey:
    """A text that is read.

    Attributes:
        name: In words.
        path: The file; good as it is.
        read: Does all that its user would.
        changes: Every so many-th of its changes.
    """

    name: str
    path: Path
    read: Callable[[], object]
    changes: Callable[[int], Iterator[Mutation]]

    def attack(self, step: int = 1) -> Outcomes:
        """Try every `step`-th change; the good file has to be accepted first."""
        self.read()
        return attack(self.path, self.changes(step), self.read)


def all_prey(folder: Path, run: Path) -> Iterator[Prey]:
    """Yield all of them.

    Args:
        folder: Where copies are made.
        run: A finished run of the small experiment.
    """
    yield _run(folder, run)
    yield _network(folder, run)
    yield _feed_forward(folder)
    yield _pruning(folder, run)
    yield _state(folder, run)
    yield _experiment(folder, run)
    yield _experiment_file(folder, run)
    yield from (_profile(folder, chip) for chip in ("loihi1", "loihi2"))


def _of_json(name: str, path: Path, read: Callable[[], object]) -> Prey:
    content = path.read_bytes()
    return Prey(name, path, read, lambda step: islice(mutations(content), 0, None, step))


def _run(folder: Path, run: Path) -> Prey:
    shutil.copytree(run, folder / "run")
    path = folder / "run" / "run.json"
    document = json.loads(path.read_text())
    # One record of each sort stands for all, or the same changes would be tried hundreds of times.
    history = document["facts"]["history"]
    history["pruning"] = [history["pruning"][0] | {"spectrum": history["pruning"][0]["spectrum"][:2]}]
    path.write_text(json.dumps(document))

    def read() -> object:
        found = TrainedRun.load(folder / "run")
        return from_torch(recurrent_of(found.network), classes=found.classes), found.history.network[-1].loss

    return _of_json("run.json", path, read)


def _network(folder: Path, run: Path) -> Prey:
    shutil.copytree(run / "network", folder / "network")
    return _of_json(
        "network.json",
        folder / "network" / "network.json",
        lambda: from_torch(load_network(folder / "network")),
    )


def _feed_forward(folder: Path) -> Prey:
    blocks = {
        NetworkBlock("conv", ("input",)): torch.nn.Conv2d(1, 2, 3, padding=1, bias=False),
        NetworkBlock("norm", ("conv",)): GatedNorm(2),
        NetworkBlock("spikes", ("norm",)): Spiking(),
        NetworkBlock("pool", ("spikes",)): torch.nn.MaxPool2d(2),
        NetworkBlock("flat", ("pool",)): torch.nn.Flatten(),
        NetworkBlock("end", ("flat",)): torch.nn.Linear(8, 2),
    }
    save_feed_forward(FeedForward(blocks, shape=(1, 4, 4)).eval(), folder / "blocks")
    return _of_json(
        "network.json of a feed-forward network",
        folder / "blocks" / "network.json",
        lambda: from_torch(load_feed_forward(folder / "blocks")),
    )


def _pruning(folder: Path, run: Path) -> Prey:
    path = folder / "pruning.json"
    document = json.loads((run / "pruning" / "pruning.json").read_text())
    document["records"] = [document["records"][0] | {"spectrum": [0.5]}, document["records"][1]]
    path.write_text(json.dumps(document))
    return _of_json("pruning.json", path, lambda: read_document(path, PruningDocument).records)


def _state(folder: Path, run: Path) -> Prey:
    tensors, note = load_tensors(run / "training" / "state.safetensors")
    path, state = folder / "note.json", folder / "state"
    state.mkdir()
    path.write_text(note)
    experiment = small_experiment()
    samples = load_data(experiment).first(2)

    def read() -> object:
        text = path.read_bytes().decode("utf-8", "replace")
        save_file(tensors, state / "state.safetensors", metadata={"note": text})
        network = load_network(run / "pruning" / "network")
        options = fit_options(experiment)
        inputs = samples.values["input"]
        return fit(network, inputs, samples.labels, options, seed=experiment.seed, checkpoint=state)

    return _of_json("note of a training's state", path, read)


def _experiment(folder: Path, run: Path) -> Prey:
    path = folder / "experiment.json"
    shutil.copy(run / "experiment.json", path)
    return _of_json("experiment.json", path, lambda: load_data(read_experiment(path)))


def _experiment_file(folder: Path, run: Path) -> Prey:
    path = folder / "experiment.toml"
    document = json.loads((run / "experiment.json").read_text())
    document["model"]["cluster_tau_ms"] = [5.0]
    path.write_text(as_toml(document))
    return Prey(
        "experiment file",
        path,
        lambda: load_data(load_experiment(path)),
        lambda step: _toml_changes(document, step),
    )


def _profile(folder: Path, chip: str) -> Prey:
    path = folder / f"{chip}.toml"
    text = (_REPOSITORY / "targets" / "loihi" / f"{chip}.toml").read_text()
    path.write_text(text)
    document = tomllib.loads(text)
    document["costs"] = document["costs"][:1]
    return Prey(
        f"profile of {chip}", path, lambda: load_profile(path), lambda step: _toml_changes(document, step)
    )


def baseline_prey(folder: Path, comparison: Comparison) -> Prey:
    """Return the baseline of a comparison."""
    path = folder / "baseline.json"
    write_baseline(path, comparison)
    return _of_json("baseline.json", path, lambda: check_baseline(path, comparison))


def _toml_changes(document: dict[str, Any], step: int) -> Iterator[Mutation]:
    """Yield the changes of a document as far as TOML can say them."""
    for change in islice(mutations(json.dumps(document)), 0, None, step):
        try:
            yield Mutation(change.told, as_toml(json.loads(change.content)).encode())
        except (ValueError, TypeError, AttributeError, RecursionError):
            continue


def as_toml(document: dict[str, Any]) -> str:
    """Return a document as TOML, its sections inline and without what is None; there is no writer in Python.

    Raises:
        TypeError: TOML has no word for it.
    """
    return "".join(f"{_toml(key)} = {_toml(value)}\n" for key, value in document.items() if value is not None)


def _toml(value: Any) -> str:
    match value:
        case bool():
            return str(value).lower()
        case float():
            return str(value) if math.isfinite(value) else str(value).replace("nan", "nan")
        case int():
            return str(value)
        case str():
            return json.dumps(value, ensure_ascii=False)
        case list():
            return f"[{', '.join(map(_toml, value))}]"
        case dict():
            pairs = [f"{_toml(key)} = {_toml(each)}" for key, each in value.items() if each is not None]
            return f"{{ {', '.join(pairs)} }}"
        case _:
            raise TypeError(f"TOML has no word for {value!r}")


def main() -> int:
    """Try everything; return 1 if anything broke."""
    broken = 0
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        train(Experiment.model_validate(small_experiment()), folder / "made")
        for prey in all_prey(folder, folder / "made"):
            found = prey.attack()
            print(f"{prey.name}: {found}", flush=True)  # noqa: T201 - figures
            for told, trace in found.broken[:3]:
                print(f"  {told}\n{trace}")  # noqa: T201 - figures
            broken += len(found.broken)
    return int(broken > 0)


if __name__ == "__main__":
    sys.exit(main())
