"""Ratios measured side by side in one run: `python -m tests.benchmarks.side_by_side [-o FILE] [--quick]`.

All programs run the same network on the same stimulus by turns, so that other work of the machine affects all
alike. A time is the median over all turns, for one step of one sample. Lava's start is not included: its time
is the difference between two lengths of a run.
"""

import argparse
import json
import os
import platform
import time
import warnings
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import torch
from rich.console import Console
from rich.table import Table

from targets.emulator.compiled.loops import add_events
from targets.emulator.compiled.network import CompiledNetwork
from targets.emulator.target import EmulatorTarget
from targets.lava.runtime.models import Models
from targets.lava.target import LavaTarget
from tests.benchmarks.networks import NETWORKS, at_rate, convolution, measured_rate, recurrent, stimulus, vgg
from tests.benchmarks.peers import PEERS, FloatNetwork, installed_peers
from tests.nodes import neurons_of, weights_of
from toolchain import ir
from toolchain.fidelity import first_mismatch
from toolchain.ir import Graph
from toolchain.ir.matrix import values_of

Run = Callable[[], object]
_ROUNDS = 4
_TURN_S = 0.1
_CONSOLE = Console()


def by_turns(contenders: dict[str, Run], rounds: int = _ROUNDS) -> dict[str, float]:
    """Return the median seconds of each.

    At its turn each runs once unmeasured, so that it does not meet the caches or waiting threads of the one
    before, and then as often as fits a tenth of a second.
    """
    times: dict[str, list[float]] = {name: [] for name in contenders}
    for _ in range(rounds):
        for name, run in contenders.items():
            run()
            began = time.perf_counter()
            while True:
                started = time.perf_counter()
                run()
                ended = time.perf_counter()
                times[name].append(ended - started)
                if ended - began > _TURN_S:
                    break
    return {name: float(np.median(values)) for name, values in times.items()}


def lava_step(graph: Graph, models: Models, few: int, many: int) -> float:
    """Return the seconds of one step on Lava, checked against the emulator."""
    program, seconds = LavaTarget(models=models).build(graph), []
    for steps in (few, many):
        x = stimulus(graph, 1, steps)
        started = time.perf_counter()
        trace = program.run(x)
        seconds.append(time.perf_counter() - started)
        assert first_mismatch(EmulatorTarget().build(graph).run(x), trace) is None
    return (seconds[1] - seconds[0]) / (many - few)


def compare(
    name: str, graph: Graph, steps: int, batches: Sequence[int], lengths: dict[Models, tuple[int, int]]
) -> dict[str, Any]:
    """Time one network on everything that is here."""
    row: dict[str, Any] = {"network": name, "rate": measured_rate(graph), "us per sample and step": {}}
    for models, (few, many) in lengths.items():
        row["us per sample and step"][f"Lava, {models.value}"] = {
            "1": 1e6 * lava_step(graph, models, few, many)
        }
    for batch in batches:
        x = stimulus(graph, batch, steps)
        floats = torch.from_numpy(x.astype(np.float32)).transpose(0, 1).contiguous()
        program = EmulatorTarget().build(graph)
        contenders: dict[str, Run] = {"emulator": lambda program=program, x=x: program.run(x)}
        for peer in installed_peers():
            sparse = (False, True) if peer == "PyTorch" and CompiledNetwork.of(graph).loops else (False,)
            for choice in sparse:
                try:
                    network = FloatNetwork(graph, PEERS[peer], sparse=choice)
                except ValueError:
                    continue
                label = f"{peer}, CSR" if choice else peer
                contenders[label] = lambda network=network, floats=floats: network.run(floats)
        for label, seconds in by_turns(contenders, rounds=_ROUNDS if batch == 1 else 2).items():
            row["us per sample and step"].setdefault(label, {})[str(batch)] = 1e6 * seconds / batch / steps
    return row


def limits() -> dict[str, float]:
    """Measure what the machine can do: products in three types, memory, and events."""
    size, whole = 2048, vars(torch)["_int_mm"]
    speeds: dict[str, float] = {}
    for kind in (torch.int8, torch.bfloat16, torch.float32):
        a, b = (torch.randint(0, 2, (size, size)).to(kind) for _ in range(2))
        multiply = (lambda a=a, b=b: whole(a, b)) if kind is torch.int8 else (lambda a=a, b=b: a @ b)
        speeds[f"{str(kind).split('.')[1]} product, GOP/s"] = 2e-9 * size**3 / by_turns({"": multiply})[""]
    source = torch.zeros(2**26)
    target = torch.empty_like(source)
    speeds["copy, GB/s"] = 2e-9 * source.nbytes / by_turns({"": lambda: target.copy_(source)})[""]
    graph = recurrent()
    ((plan),) = CompiledNetwork.of(graph).loops.values()
    rows = plan.slots[0].rows
    x = np.ones((200, rows.shape[0]), np.uint8)
    out = np.zeros((200, rows.shape[1]), np.int32)
    run = lambda: add_events(x, out, rows.listed, 0, False)  # noqa: E731
    speeds["events on one core, G/s"] = 1e-9 * len(x) * rows.synapses / by_turns({"": run})[""]
    return speeds


def roofline(speeds: dict[str, float]) -> list[dict[str, Any]]:
    """How near the emulator comes to the machine's limit, on networks with one dominant operation."""
    table: list[dict[str, Any]] = []
    for name, graph, batch, steps in (
        ("conv 64-64, 32x32", at_rate(convolution(), 0.07), 32, 8),
        ("VGG, 32x32", at_rate(vgg(), 0.07), 32, 8),
    ):
        program, x = EmulatorTarget().build(graph), stimulus(graph, batch, steps)
        seconds = by_turns({"": lambda program=program, x=x: program.run(x, record=())})[""]
        operations = 2 * batch * steps * sum(_macs(graph, node) for node in graph.synapses)
        reached = 1e-9 * operations / seconds
        limit = speeds["int8 product, GOP/s"]
        table.append({"network": name, "unit": "GOP/s", "reached": reached, "limit": limit})
    graph = at_rate(recurrent(), 0.07)
    program = EmulatorTarget().build(graph)
    synapses = values_of(weights_of(graph, "recur")).size
    limit = speeds["events on one core, G/s"]
    for batch, cores in ((1, 1), (64, torch.get_num_threads())):
        x = stimulus(graph, batch, 500)
        spikes = int(program.run(x).spikes["hidden"].sum())
        seconds = by_turns({"": lambda x=x: program.run(x, record=())})[""]
        events = spikes * synapses / 1024
        table.append(
            {
                "network": f"recurrent 1024, batch {batch}",
                "unit": "G events/s",
                "reached": 1e-9 * events / seconds,
                "limit": limit * cores,
            }
        )
    return table


def _macs(graph: Graph, node: Any) -> int:
    (reader,) = graph.readers(node.name)
    places = (
        int(np.prod(neurons_of(graph, reader.name).vth.shape[1:])) if isinstance(node, ir.FixedConv2d) else 1
    )
    return values_of(node.weights).size * places if isinstance(node, ir.FixedConv2d | ir.FixedDense) else 0


def growth() -> list[dict[str, Any]]:
    """How the emulator's time grows with neurons, synapses, rate and batch."""
    table: list[dict[str, Any]] = []

    def add(what: str, value: float, graph: Graph, batch: int) -> None:
        program, x = EmulatorTarget().build(graph), stimulus(graph, batch, 100)
        seconds = by_turns({"": lambda: program.run(x)})[""]
        rate = float(program.run(x).spikes["hidden"].mean())
        table.append(
            {"grows": what, "value": value, "batch": batch, "rate": rate, "us": 1e6 * seconds / batch / 100}
        )

    for batch in (1, 64):
        for neurons in (256, 512, 1024, 2048, 4096):
            # As many synapses per neuron everywhere.
            add("neurons", neurons, at_rate(recurrent(neurons, 51 / neurons), 0.07), batch)
        for density in (0.01, 0.02, 0.05, 0.1, 0.2):
            add("density", density, at_rate(recurrent(1024, density), 0.07), batch)
        for rate in (0.01, 0.02, 0.05, 0.1, 0.2, 0.3):
            add("rate", rate, at_rate(recurrent(), rate), batch)
    graph = at_rate(recurrent(), 0.07)
    for batch in (1, 2, 4, 8, 16, 32, 64, 128):
        add("batch", batch, graph, batch)
    return table


def whole_test_set(graph: Graph) -> dict[str, Any]:
    """Run as many samples as the test set of Heidelberg's spoken digits has, on random spikes of its size."""
    samples, steps = 2264, 250
    x = stimulus(graph, samples, steps)
    program = EmulatorTarget().build(graph)
    started = time.perf_counter()
    trace = program.run(x, record=())
    seconds = time.perf_counter() - started
    assert len(trace.v["readout"]) == samples
    return {"samples": samples, "steps": steps, "seconds": seconds}


def show(document: dict[str, Any]) -> None:
    """Print the tables."""
    for row in document["networks"]:
        times = row["us per sample and step"]
        batches = sorted({int(batch) for values in times.values() for batch in values})
        table = Table(title=f"{row['network']}, {100 * row['rate']:.1f} % spike: us per sample and step")
        table.add_column("")
        for batch in batches:
            table.add_column(f"batch {batch}", justify="right")
            table.add_column("emulator is faster by", justify="right")
        for name, values in times.items():
            cells: list[str] = []
            for batch in batches:
                # Lava runs one sample after the other, whatever the batch.
                value = values.get(str(batch), values.get("1") if name.startswith("Lava") else None)
                ours = times["emulator"].get(str(batch))
                cells += (
                    ["", ""] if value is None or ours is None else [f"{value:,.1f}", f"{value / ours:,.1f}x"]
                )
            table.add_row(name, *cells)
        _CONSOLE.print(table)
    for title in ("roofline", "growth"):
        rows = document.get(title, [])
        if rows:
            table = Table(*rows[0], title=title)
            for row in rows:
                table.add_row(*(f"{v:,.3g}" if isinstance(v, float) else str(v) for v in row.values()))
            _CONSOLE.print(table)
    if "whole test set" in document:
        _CONSOLE.print("recurrent 1024 with 700 channels, a whole test set:", document["whole test set"])
    _CONSOLE.print(document["machine"])


_PLANS: dict[str, tuple[int, tuple[float, ...], dict[Models, tuple[int, int]]]] = {
    "recurrent 1024, 5 %": (100, (0.02, 0.05, 0.1, 0.2), dict.fromkeys(Models, (50, 1050))),
    "HRSNN 5000, 2 %": (100, (0.05,), dict.fromkeys(Models, (20, 220))),
    "conv 64-64, 32x32": (
        8,
        (0.02, 0.1),
        {Models.STOCK: (2, 22), Models.MIXED: (10, 210), Models.LAYERS: (10, 210)},
    ),
    "VGG, 32x32": (8, (0.02, 0.1), {Models.STOCK: (1, 5), Models.MIXED: (4, 44), Models.LAYERS: (4, 44)}),
    # Lava's own model of a convolution cannot count the channels of this network.
    "PreResNet18, 32x32": (8, (), {Models.MIXED: (4, 24), Models.LAYERS: (4, 24)}),
}
"""Steps, rates, and the two lengths between which a step of Lava is measured, by network."""


def rows_of(name: str) -> Iterator[dict[str, Any]]:
    """Time one network at each of its rates."""
    steps, rates, lengths = _PLANS[name]
    graph = NETWORKS[name]()
    for i, rate in enumerate(rates or (None,)):
        at = graph if rate is None else at_rate(graph, rate)
        batches = (1, 32) if name.startswith("conv") else (1, 64)
        # Lava's time hardly depends on the rate: it is measured once per network.
        yield compare(name, at, steps, batches, lengths if i == len(rates or (0,)) // 2 else {})


def main() -> None:
    """Measure, print, and write JSON if asked to."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("-o", "--output", type=Path, help="JSON to write")
    parser.add_argument("--quick", action="store_true", help="the two small networks, no growth")
    parser.add_argument("--only", nargs="*", choices=list(NETWORKS), help="some of the networks")
    options = parser.parse_args()
    warnings.simplefilter("ignore")
    speeds = limits()
    machine = {"cores": os.cpu_count(), "processor": platform.machine(), "torch": torch.__version__, **speeds}
    date = datetime.now(UTC).date().isoformat()
    document: dict[str, Any] = {"date": date, "machine": machine, "networks": []}
    for name in options.only or list(NETWORKS)[: 3 if options.quick else None]:
        for row in rows_of(name):
            document["networks"].append(row)
            show({**document, "networks": [row]})
    document["roofline"] = roofline(speeds)
    document["whole test set"] = whole_test_set(at_rate(recurrent(channels=700), 0.07))
    if not options.quick:
        document["growth"] = growth()
    show({**document, "networks": []})
    if options.output is not None:
        options.output.write_text(json.dumps(document, indent=1))


if __name__ == "__main__":
    main()
