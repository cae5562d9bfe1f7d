"""The tasks of the NIR paper: its networks and recordings, read by us and by the frameworks' equations."""

import io
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import nir
import numpy as np
import torch
from torch.nn import functional

from toolchain.data.events.binning import Events
from toolchain.execution.stimulus import Stimulus
from toolchain.execution.trace import QUANTITIES, Trace
from toolchain.fidelity import compare_traces
from toolchain.fidelity.metrics import compare_spikes
from toolchain.ir import Graph
from toolchain.ir.matrix import values_of
from toolchain.target.registry import load_target
from toolchain.workflow.build_folder import Build
from toolchain.workflow.compare import compare_build
from toolchain.workflow.compile_file import compile_file, import_file
from toolchain.workflow.quantization import Quantization

FOLDS, CALIBRATED, BRAILLE_LAVA = 3, 256, 4
RECORDINGS, OTHERS, NMNIST_LAVA = 100, 50, 1
STEPS, STEP_US = 100, 3000
LIF_STEP = 1e-4
LIMITED = "N-MNIST, potentials stopped at -1"
OWN_STEP = "Braille, the step of snnTorch"
ONE_LIF = "one LIF"
Row = dict[str, Any]


def measured(build: Build, stimulus: Stimulus, lava: int) -> Row:
    """Return how integers agree with real numbers, and whether Lava has the same integers."""
    emulator, graphs = load_target("emulator"), (build.float_graph, build.fixed_graph)
    traces = [emulator.build(graph).run(stimulus, record=("spikes", "v")) for graph in graphs]
    comparison = compare_traces(graphs, (traces[0], traces[1]), labels=stimulus.labels)
    judged = compare_build(build, stimulus.take(slice(0, lava)), exact=("lava",), samples=lava)
    return {
        "samples": stimulus.samples,
        "float": comparison.float_accuracy,
        "fixed": comparison.fixed_accuracy,
        "agreement": comparison.prediction_agreement,
        "f1": comparison.spike_f1,
        "own f1": files_f1(graphs[0], traces),
        "synapses": sum(int(np.count_nonzero(values_of(node.weights))) for node in graphs[1].synapses),
        "lava samples": lava,
        "lava equal": judged.exact["lava"].equal,
    }


def files_f1(graph: Graph, traces: list[Trace]) -> float:
    """Return the spike F1 without the neurons that stand for a bias and always fire."""
    added = ("constant", ".above")
    names = [node.name for node in graph.populations if not node.origin.path.endswith(added)]
    expected, got = (np.concatenate([each.spikes[name].ravel() for name in names]) for each in traces)
    return compare_spikes(expected.astype(bool), got.astype(bool)).f1


def braille_fold(data: Path, number: int) -> Stimulus:
    """Return a fold of tactile readings of seven Braille letters."""
    with np.load(data / "braille" / f"encoded_val_{number}.npz", allow_pickle=False) as arrays:
        return Stimulus({"input": arrays["input"]}, arrays["labels"].astype(np.int64))


def braille_others(data: Path, number: int) -> Stimulus:
    """Return samples of the other folds to calibrate on, without those that the judged fold holds too."""
    judged = {each.tobytes() for each in braille_fold(data, number).values["input"]}
    others = [braille_fold(data, other).values["input"] for other in range(FOLDS) if other != number]
    fresh = np.stack([each for each in np.concatenate(others) if each.tobytes() not in judged])
    return Stimulus({"input": fresh[np.random.default_rng(0).permutation(len(fresh))[:CALIBRATED]]})


def braille(data: Path, number: int, bits: int, reset: str) -> Row:
    """Judge a recurrent network on one fold: the one that was trained with reset to zero, or the other."""
    fold = braille_fold(data, number)
    build = compile_file(
        data / "nir" / ("braille_zero.nir" if reset == "zero" else "braille_subtract.nir"),
        convention="snntorch",
        reset=reset,
        stimulus=fold,
        calibration=braille_others(data, number),
        quantization=Quantization(weight_bits=bits),
    )
    return {"bits": bits} | measured(build, fold, BRAILLE_LAVA)


def snntorch_spikes(path: Path, x: np.ndarray) -> list[np.ndarray]:
    """Run a Braille network with snnTorch's Synaptic, reset_mechanism="subtract" and reset_delay=False.

    Written from snnTorch's sources, not from ours; `make frameworks` runs snnTorch itself.

    Args:
        path: `braille_subtract.nir`.
        x: Samples, `[samples, time, 12]`.

    Returns:
        Spikes of the hidden layer and of the last.
    """
    nodes: Any = nir.read(str(path)).nodes
    sent, found = x.astype(np.float64), list[np.ndarray]()
    for linear, neuron, loop in (("fc1", "lif1.lif", "lif1.w_rec"), ("fc2", "lif2", "")):
        node, weights = nodes[neuron], nodes[linear].weight.astype(np.float64)
        back = nodes[loop].weight.astype(np.float64) if loop else np.zeros((len(weights), len(weights)))
        alpha, beta = (1 - LIF_STEP / np.asarray(tau, np.float64) for tau in (node.tau_syn, node.tau_mem))
        threshold = np.asarray(node.v_threshold, np.float64)
        syn = mem = spk = np.zeros((len(x), len(weights)))
        spikes = np.zeros((*x.shape[:2], len(weights)), bool)
        for t in range(x.shape[1]):
            reset = (mem > threshold).astype(np.float64)
            syn = alpha * syn + sent[:, t] @ weights.T + spk @ back.T
            mem = beta * mem + syn - reset * threshold
            spk = (mem > threshold).astype(np.float64)
            mem = mem - (spk - reset) * threshold
            spikes[:, t] = spk > 0
        found.append(spikes)
        sent = spikes.astype(np.float64)
    return found


def own_step(data: Path) -> Row:
    """Count what snnTorch's own step classifies rightly, and what the import does."""
    row: Row = {}
    for number in range(FOLDS):
        fold = braille_fold(data, number)
        path = data / "nir" / "braille_subtract.nir"
        hidden, last = snntorch_spikes(path, fold.values["input"])
        found = [int((last.sum(axis=1).argmax(axis=1) == fold.labels).sum())]
        for reset in ("subtract-snntorch", "subtract", "zero"):
            graph = import_file(path, convention="snntorch", reset=reset).graph
            trace = load_target("emulator").build(graph).run(fold, record=("spikes",))
            found.append(int((trace.spikes["lif2"].sum(axis=1).argmax(axis=1) == fold.labels).sum()))
            if reset == "subtract-snntorch":
                same = np.array_equal(trace.spikes["lif1.lif"], hidden)
                same &= np.array_equal(trace.spikes["lif2"], last)
        row[str(number)] = {"right": found, "spikes equal": bool(same), "of": fold.samples}
    return row


def read_recording(content: bytes) -> Events:
    """Return the events of a recording: x, y, then polarity and time in 1 + 23 bits, five bytes each."""
    columns = np.frombuffer(content, np.uint8).reshape(-1, 5).astype(np.int64).T
    events = np.zeros(columns.shape[1], [("t", "i8"), ("x", "i8"), ("y", "i8"), ("p", "i8")])
    events["x"], events["y"], events["p"] = columns[0], columns[1], columns[2] >> 7
    events["t"] = ((columns[2] & 127) << 16) + (columns[3] << 8) + columns[4]
    return events


def nmnist_part(data: Path, part: slice) -> Stimulus:
    """Return recordings in the order of their numbers, as spikes in steps of 3 ms."""
    with zipfile.ZipFile(data / "nmnist" / "nmnist_train_1000.zip") as archive:
        names = sorted(archive.namelist(), key=lambda name: Path(name).stem)[part]
        frames = np.zeros((len(names), STEPS, 2, 34, 34), bool)
        for frame, name in zip(frames, names, strict=True):
            events = read_recording(archive.read(name))
            step = events["t"] // STEP_US
            early = events[step < STEPS]
            frame[step[step < STEPS], early["p"], early["y"], early["x"]] = True
    labels = np.array([int(Path(name).parent.name) for name in names], np.int64)
    return Stimulus({"input": frames}, labels)


def nmnist(data: Path, bits: int) -> Row:
    """Judge the convolutional network on the first recordings, calibrated on the last."""
    judged = nmnist_part(data, slice(0, RECORDINGS))
    build = compile_file(
        data / "nir" / "nmnist_sinabs.nir",
        convention="sinabs",
        reset="zero",
        stimulus=judged,
        calibration=Stimulus.of(nmnist_part(data, slice(-OTHERS, None)).values),
        quantization=Quantization(weight_bits=bits),
    )
    return {"bits": bits} | measured(build, judged, NMNIST_LAVA)


def sinabs_spikes(path: Path, x: np.ndarray, floor: float) -> dict[str, np.ndarray]:
    """Run a chain of layers as sinabs does, with IAF, SingleSpike, MembraneReset and min_v_mem.

    Written from sinabs's sources, not from ours.

    Args:
        path: `nmnist_sinabs.nir`.
        x: One recording, `[time, 2, 34, 34]`.
        floor: min_v_mem.
    """
    nodes: Any = nir.read(str(path)).nodes
    sent, spiked = torch.tensor(x, dtype=torch.float64), dict[str, np.ndarray]()
    for name in sorted((name for name in nodes if name.isdigit()), key=int):
        node = nodes[name]
        if isinstance(node, nir.Conv2d | nir.Affine):
            weight, bias = (torch.tensor(each, dtype=torch.float64) for each in (node.weight, node.bias))
        match node:
            case nir.Conv2d():
                stride, padding = (np.asarray(each).tolist() for each in (node.stride, node.padding))
                sent = functional.conv2d(sent, weight, bias, stride, padding)
            case nir.Affine():
                sent = functional.linear(sent, weight, bias)
            case nir.SumPool2d():
                area = float(np.prod(node.kernel_size))
                sent = area * functional.avg_pool2d(sent, tuple(node.kernel_size), tuple(node.stride))
            case nir.Flatten():
                sent = sent.flatten(1)
            case _:
                v, spikes = torch.zeros_like(sent[0]), torch.zeros_like(sent)
                for t in range(len(sent)):
                    v = v + sent[t]
                    spikes[t] = v >= 1
                    v = torch.clamp(v * (spikes[t] == 0), min=floor)
                sent, spiked[name] = spikes, spikes.numpy() > 0
    return spiked


def limited(data: Path) -> Row:
    """Count what sinabs's default limit of potentials makes of the convolutional network."""
    judged = nmnist_part(data, slice(0, RECORDINGS))
    row: Row = {"recordings": RECORDINGS}
    predicted: dict[str, list[int]] = {}
    for key, floor in (("free", -np.inf), ("limited", -1.0)):
        counts: dict[str, int] = {}
        predicted[key] = []
        for x in judged.values["input"]:
            layers = sinabs_spikes(data / "nir" / "nmnist_sinabs.nir", x, floor)
            for name, spikes in layers.items():
                counts[name] = counts.get(name, 0) + int(spikes.sum())
            predicted[key].append(int(layers[name].sum(axis=0).argmax()))
        right = int((np.array(predicted[key]) == judged.labels).sum())
        row[key] = {"spikes": counts, "right": right}
    return row | {"same": sum(a == b for a, b in zip(*predicted.values(), strict=True))}


def one_lif(data: Path) -> Row:
    """Compare one neuron with the traces that other frameworks made of the same file."""
    traces = {
        name: np.loadtxt(io.StringIO((data / "nir" / f"lif_{name}.csv").read_text()), delimiter=",")
        for name in ("norse", "snntorch", "exact", "lava_cpu_float")
    }
    stimulus = Stimulus({"input": traces["norse"][None, :, :1] > 0})
    build = compile_file(
        data / "nir" / "lif_norse.nir",
        convention="norse-seconds",
        reset="zero",
        dt=LIF_STEP,
        stimulus=stimulus,
    )
    name = build.float_graph.populations[0].name
    real, whole = (
        load_target("emulator").build(graph).run(stimulus, record=QUANTITIES)
        for graph in (build.float_graph, build.fixed_graph)
    )
    row: Row = {"spikes": np.flatnonzero(real.spikes[name][0, :, 0]).tolist()}
    row["integers"] = np.flatnonzero(whole.spikes[name][0, :, 0]).tolist()
    for other, columns in traces.items():
        # Lava's own connections deliver one step late.
        late = 1 if other == "lava_cpu_float" else 0
        steps = len(columns) - late
        apart = np.abs(real.v[name][0, :steps, 0] - columns[late:, 1]).max()
        row[other] = {
            "spikes": bool(np.array_equal(real.spikes[name][0, :steps, 0], columns[late:, 2] > 0)),
            # snnTorch's trace has another unit of potential.
            "potential": None if other == "snntorch" else float(apart),
        }
    return row | measured(build, stimulus, 1)


TASKS: dict[str, Callable[[Path], Row]] = {
    **{
        f"Braille, fold {number}, {bits} bits": lambda data, number=number, bits=bits: braille(
            data, number, bits, "zero"
        )
        for bits in (8, 12)
        for number in range(FOLDS)
    },
    OWN_STEP: own_step,
    **{
        f"Braille, {reset}, fold {number}, {bits} bits": (
            lambda data, number=number, bits=bits, reset=reset: braille(data, number, bits, reset)
        )
        for reset, bits in (("subtract-snntorch", 12), ("subtract", 12), ("subtract-snntorch", 8))
        for number in range(FOLDS)
    },
    ONE_LIF: one_lif,
    "N-MNIST, 8 bits": lambda data: nmnist(data, 8),
    "N-MNIST, 12 bits": lambda data: nmnist(data, 12),
    LIMITED: limited,
}
