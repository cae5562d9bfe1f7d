"""Experiments with modules of users, drawn by chance: a file of code, data of some kind, and settings.

Run as a script, it goes through many of them: `python -m tests.frameworks.random_experiments 0 100`.
"""

import random
import sys
import tempfile
import traceback
import warnings
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np

from toolchain.errors import ToolchainError
from toolchain.workflow.compare import compare_build
from toolchain.workflow.compile import compile_run
from toolchain.workflow.experiment import parse_experiment
from toolchain.workflow.predict import predict_build
from toolchain.workflow.train import train

FRAMEWORKS = ("snntorch", "spikingjelly", "sinabs", "norse")
STEPS = 5
_NEURONS = {
    "snntorch": (
        "import snntorch as snn",
        "snn.Leaky(beta={decay:.3f}, threshold={vth:.3f}, reset_mechanism='{reset}')",
    ),
    "spikingjelly": (
        "from spikingjelly.activation_based import neuron",
        "neuron.LIFNode(tau={tau:.3f}, v_threshold={vth:.3f}, v_reset={v_reset}, decay_input=False)",
    ),
    "sinabs": (
        "import sinabs.activation as act\nimport sinabs.layers as sl",
        "sl.LIF(tau_mem={tau_mem:.2f}, spike_threshold=torch.tensor({vth:.3f}), norm_input=False{sinabs})",
    ),
    "norse": (
        "import norse.torch as norse\nfrom norse.torch.functional.lif import LIFParameters",
        (
            "norse.LIFCell(LIFParameters(v_th=torch.as_tensor({vth_norse:.3f}), "
            "tau_mem_inv=torch.as_tensor({inv:.1f}), tau_syn_inv=torch.as_tensor({inv_syn:.1f})))"
        ),
    ),
}
_CALLS = {
    "snntorch": "sent, self.state[{i}] = self.neurons[{i}](current, self.state[{i}])",
    "spikingjelly": "sent = self.neurons[{i}](current)",
    "sinabs": "sent = self.neurons[{i}](current.unsqueeze(1)).squeeze(1)",
    "norse": "sent, self.state[{i}] = self.neurons[{i}](current, self.state[{i}])",
}
_BEGIN = {
    "snntorch": "self.state = [each.init_leaky() for each in self.neurons]",
    "spikingjelly": "[each.reset() for each in self.neurons]",
    "sinabs": "[each.reset_states() for each in self.neurons]",
    "norse": "self.state = [None] * len(self.neurons)",
}
_RESULTS = {
    "stack": "torch.stack(rows, {axis})",
    "sum": "torch.stack(rows).sum(0)",
    "mean": "torch.stack(rows).mean(0)",
    "added": "sum(rows[1:], rows[0])",
    "tuple": "(torch.stack(rows, {axis}), torch.stack(firsts, {axis}))",
    "head": "self.head(torch.stack(rows).mean(0))",
    "current": "torch.stack([self.head(row) for row in rows], {axis})",
    "last": "self.head(rows[-1])",
}


def _code(draw: random.Random, framework: str, *, spatial: bool, still: bool, time_first: bool) -> str:
    """Return the text of a file that defines `Net`."""
    depth, widths = draw.randint(1, 3), [draw.randint(3, 8) for _ in range(3)]
    kind = draw.choice(list(_RESULTS))
    own_head = kind in {"head", "current", "last"}
    layers, neurons = list[str](), list[str]()
    for i in range(depth):
        out = "classes" if i == depth - 1 and not own_head else str(widths[i])
        bias = draw.random() < 0.7
        if spatial and i < depth - 1:
            parts = [f"nn.Conv2d(width, {widths[i]}, 3, padding=1, bias={bias})"]
            parts += [f"nn.BatchNorm2d({widths[i]})"] if draw.random() < 0.5 else []
            layers += [f"layers.append(nn.Sequential({', '.join(parts)}))", f"width = {widths[i]}"]
        else:
            flat = ["nn.Flatten()"] if spatial else []
            first = "width * rows * columns" if spatial else "width"
            parts = [*flat, f"nn.Linear({first}, {out}, bias={bias})"]
            parts += [f"nn.BatchNorm1d({out})"] if draw.random() < 0.3 else []
            parts += ["nn.Dropout(0.3)"] if draw.random() < 0.3 else []
            layers += [f"layers.append(nn.Sequential({', '.join(parts)}))", f"width = {out}"]
        neurons.append(_neuron(draw, framework))
    recurrent = not spatial and draw.random() < 0.3
    steps = (
        f"[x] * {draw.choice(['steps', 'steps', '3'])}" if still else f"x.unbind({0 if time_first else 1})"
    )
    samples = int(time_first)
    lines = [
        "import torch", "from torch import nn", _NEURONS[framework][0], "", "", "class Net(nn.Module):",
        "    def __init__(self, shape, channels, steps, classes):", "        super().__init__()",
        "        self.steps, layers = steps, nn.ModuleList()",
        "        width, rows, columns = shape" if spatial else "        width = channels",
        *(f"        {line}" for line in layers),
        "        self.layers = layers",
        f"        self.neurons = nn.ModuleList([{', '.join(neurons)}])",
        *(["        self.head = nn.Linear(width, classes)"] if own_head else []),
        *(["        self.back = nn.Linear(width, width)"] if recurrent else []),
        "", "    def forward(self, x):", f"        {_BEGIN[framework]}",
        "        steps = self.steps", "        rows, firsts, sent = [], [], None",
        *([f"        before = torch.zeros(x.shape[{samples}], self.back.in_features)"] if recurrent else []),
        f"        for frame in {steps}:", "            sent = frame",
    ]  # fmt: skip
    for i in range(depth):
        lines.append(f"            current = self.layers[{i}](sent)")
        if recurrent and i == depth - 1:
            lines.append("            current = current + self.back(before)")
        lines.append(f"            {_CALLS[framework].format(i=i)}")
        if i == 0:
            lines.append("            firsts.append(sent)")
    lines += ["            before = sent"] if recurrent else []
    lines += [
        "            rows.append(sent)",
        f"        return {_RESULTS[kind].format(axis=draw.choice([0, 1]))}",
    ]
    return "\n".join(lines) + "\n"


def _neuron(draw: random.Random, framework: str) -> str:
    reset = draw.choice(["subtract", "zero", "none"])
    single = draw.random() < 0.5
    return _NEURONS[framework][1].format(
        decay=draw.uniform(0.3, 0.99),
        vth=draw.uniform(0.2, 0.8),
        reset=reset,
        tau=draw.uniform(1.2, 5),
        v_reset=draw.choice(["0.0", "None"]),
        tau_mem=draw.uniform(2, 12),
        sinabs=", spike_fn=act.SingleSpike" if single else "",
        vth_norse=draw.uniform(0.05, 0.3),
        inv=draw.uniform(80, 500),
        inv_syn=draw.uniform(200, 900),
    )


def _data(draw: random.Random, folder: Path, kind: str, *, real: bool) -> dict[str, Any]:
    """Write data of a kind, and return what stands under `[data]`."""
    rng = np.random.default_rng(draw.randrange(2**31))
    count, classes = 36, draw.randint(2, 3)
    labels = np.arange(count) % classes
    shape = {
        "trains": (STEPS, 6),
        "frames": (STEPS, 2, 4, 4),
        "still": (1, 4, 4),
        "coded": (1, 4, 4),
        "table": (5,),
    }
    values = rng.random((count, *shape[kind])) * 0.6 + 0.4 * (labels / classes).reshape(
        -1, *[1] * len(shape[kind])
    )
    targets = np.stack([values.reshape(count, -1).mean(1), 3 - values.reshape(count, -1)[:, 0]], 1)
    if kind == "table":
        names = [f"c{i}" for i in range(5)]
        rows = [
            ",".join([*map(repr, row.tolist()), f"k{label}", *map(repr, target.tolist())])
            for row, label, target in zip(values, labels, targets, strict=True)
        ]
        (folder / "a.csv").write_text("\n".join([",".join([*names, "kind", "one", "two"]), *rows]) + "\n")
        task = {"targets": ["one", "two"]} if real else {"label": "kind"}
        return {"name": "csv", "path": str(folder / "a.csv"), "columns": names, **task}
    if kind in {"trains", "frames"} and draw.random() < 0.7:
        values = values > 0.6
    np.savez(folder / "a.npz", input=values, labels=targets if real else labels)
    return {"name": "npz", "path": str(folder / "a.npz")}


def write_experiment(folder: Path, seed: int) -> dict[str, Any]:
    """Write the code and the data of an experiment, and return what stands in its file."""
    draw = random.Random(seed)  # noqa: S311 - no secret
    framework = FRAMEWORKS[seed % len(FRAMEWORKS)]
    kind = draw.choice(["trains", "frames", "still", "coded", "table"])
    real, flat = draw.random() < 0.3, draw.random() < 0.3 if kind in {"frames", "coded"} else kind != "still"
    time_first = kind != "still" and draw.random() < 0.4
    code = _code(draw, framework, spatial=not flat, still=kind == "still", time_first=time_first)
    (folder / "net.py").write_text(code)
    names = {"trains": "as_is", "frames": "as_is", "still": "direct"}
    name = names.get(kind) or draw.choice(["rate", "latency", "direct", "poisson"])
    return {
        "data": _data(draw, folder, kind, real=real),
        "encoding": {"name": name} if name == "as_is" else {"name": name, "steps": STEPS},
        "model": {"module": f"{folder}/net.py:Net", "flat": flat, "time_first": time_first},
        "pruning": False,
        "training": {"epochs": 1, "batch_size": draw.choice([8, 12]), "calibration_samples": 16},
        "seed": seed,
    }


def outcome(folder: Path, seed: int, *, exact: tuple[str, ...] = ("emulator",)) -> str:
    """Return `equal`, or the sentence by which an experiment is refused.

    Raises:
        Exception: It ends in what is no sentence, or something differs.
    """
    document = write_experiment(folder, seed)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            run = train(parse_experiment(document), folder / "run")
            build = compile_run(folder / "run", target=exact[-1])
            said = predict_build(
                build, str(folder / ("a.csv" if document["data"]["name"] == "csv" else "a.npz"))
            )
            judged = compare_build(build, exact=exact, samples=3)
    except ToolchainError as error:
        return f"{type(error).__name__}: {error}"
    assert all(each.equal for each in judged.exact.values()), judged.sentences()
    assert (run.history.test is None) == (said.real is not None)
    return "equal"


def main(first: int, end: int, exact: tuple[str, ...]) -> None:
    """Say what comes of many experiments, and the trace of what breaks."""
    made = Counter[str]()
    for seed in range(first, end):
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name)
            try:
                what = outcome(folder, seed, exact=exact)
            except Exception:  # noqa: BLE001 - what breaks is shown
                what = "BROKEN " + traceback.format_exc().strip().splitlines()[-1][:300]
                if "-v" in sys.argv:
                    traceback.print_exc()
        made[what if what == "equal" else what.partition(":")[0]] += 1
        print(seed, FRAMEWORKS[seed % 4], what[:400].replace(str(name), ""), flush=True)  # noqa: T201
    print(made)  # noqa: T201


if __name__ == "__main__":
    main(
        int(sys.argv[1]),
        int(sys.argv[2]),
        tuple(each for each in sys.argv[3:] if each != "-v") or ("emulator",),
    )
