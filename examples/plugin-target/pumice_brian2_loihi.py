"""Runs Pumice's integers on brian2-loihi (Michaelis et al. 2022), a model of Loihi 1 that others wrote."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from importlib import import_module
from importlib.util import find_spec
from itertools import product
from pathlib import Path
from typing import Any, Final, NamedTuple

import numpy as np

from toolchain import ir
from toolchain.arrays import Array
from toolchain.errors import TargetError, TargetUnavailableError
from toolchain.execution.stimulus import Stimulus, fit_stimulus
from toolchain.execution.trace import QUANTITIES, Trace
from toolchain.fixedpoint import STATE_LIMIT, SignMode
from toolchain.hardware import HardwareProfile
from toolchain.ir.matrix import columns_of, delay_slots, rows_of, values_of
from toolchain.neuron_rules import RESET_TO_ZERO
from toolchain.passes import FoldDelays, Pass, find_schedule
from toolchain.progress import Progress, no_progress
from toolchain.target.acceptance import check_graph
from toolchain.target.capabilities import Capabilities
from toolchain.target.records import empty_records

RULES: Final = replace(RESET_TO_ZERO, longest_refractory=63)
INTEGERS: Final = Capabilities(name="brian2-loihi", real=None, fixed=RULES, least_exponent=0, images=None)
CLOCKED: Final = replace(INTEGERS, clocked=True, longest_delay=62, neuron_delays=False)
CAN: Final = replace(CLOCKED, graded_inputs=False, graded_messages=False)
SIGNS: Final = {SignMode.MIXED: 1, SignMode.EXCITATORY: 2, SignMode.INHIBITORY: 3}
# What its neurons leave out: the wrap of a current, and the bias and the bounds of a potential.
WRAP: Final = f"""I = (I + 2.0**31) % 2.0**32 - 2.0**31
I = I - {2 * STATE_LIMIT} * int(I > {STATE_LIMIT}) + {2 * STATE_LIMIT} * int(I <= {-STATE_LIMIT})"""
DRIVE: Final = f"v = clip(v + bias(t, i) * int(not_refractory), {1 - STATE_LIMIT}, {STATE_LIMIT - 1})"


class Group(NamedTuple):
    """Neurons of a population, or of an input, that Brian has in one group, once for every sample."""

    members: Array
    brian: Any
    monitors: tuple[Any, ...] = ()

    def numbers(self, neurons: Array, batch: int) -> Array:
        """Return the numbers that neurons of the population have in the group, in all samples."""
        places = np.searchsorted(self.members, neurons)
        return np.add.outer(np.arange(batch) * self.members.size, places).ravel()


def neurons(node: ir.FixedLif, batch: int, first: int, end: int) -> Iterator[Group]:
    """Yield a group for every set of parameters that neurons of a population have."""
    brian, loihi = import_module("brian2"), import_module("brian2_loihi")
    wait = np.zeros_like(node.vth) if node.refractory is None else node.refractory
    table = np.stack([wait + 1, node.vth, node.dv, node.du + 1], axis=-1).reshape(-1, 4)
    for kind in np.unique(table, axis=0):
        members = np.flatnonzero((table == kind).all(axis=1))
        group = loihi.LoihiNeuronGroup(batch * members.size, *map(int, kind))
        bias = np.tile(node.bias.ravel()[members], batch) * (np.arange(end)[:, None] >= first)
        group.namespace["bias"] = brian.TimedArray(bias.astype(float), dt=brian.ms)
        group.run_regularly(WRAP, when="synapses", order=1)
        group.run_regularly(DRIVE, when="groups", order=1)
        states = [loihi.LoihiStateMonitor(group, variable, order=2) for variable in "vI"]
        yield Group(members, group, (brian.SpikeMonitor(group), *states))


def entry(values: Array, late: int) -> Group:
    """Return what enters, `[batch, steps, channels]`, so many steps later."""
    batch, _, channels = values.shape
    sample, times, index = values.nonzero()
    spikes = batch * channels, sample * channels + index, times + late
    return Group(np.arange(channels), import_module("brian2_loihi").LoihiSpikeGeneratorGroup(*spikes))


def synapses(node: ir.FixedDense, sender: Group, reader: Group, late: int, batch: int) -> Iterator[Any]:
    """Yield the synapses of a connection between two groups, those of one delay at a time."""
    loihi = import_module("brian2_loihi")
    for delay, slot in delay_slots(node.weights, node.delays):
        rows, columns = rows_of(slot), columns_of(slot)
        there = np.isin(rows, reader.members) & np.isin(columns, sender.members) & (values_of(slot) != 0)
        if there.any():
            numbers = node.exponent, SIGNS[node.sign_mode], node.weight_bits
            made = loihi.LoihiSynapses(sender.brian, reader.brian, int(late + delay), "", *numbers)
            made.connect(i=sender.numbers(columns[there], batch), j=reader.numbers(rows[there], batch))
            made.w = np.tile(values_of(slot)[there], batch)
            if (made.w_act != made.w << (6 + node.exponent)).any():
                raise TargetError(f"brian2-loihi changes weights of '{node.name}'", CAN.remedy)
            yield made


def recorded(group: Group, batch: int, first: int, steps: int) -> Iterator[Array]:
    """Yield spikes, potentials and currents of a group, `[batch, steps, members]`."""
    spikes, v, u = group.monitors
    fired = np.zeros(np.shape(v.v))
    # Its own monitor of spikes takes 28.999... milliseconds for 28.
    fired[np.asarray(spikes.i), np.rint(np.asarray(spikes.t_) * 1000).astype(int)] = 1
    for values in (fired, v.v, u.I):
        yield np.asarray(values)[:, first:][:, :steps].reshape(batch, -1, steps).swapaxes(1, 2)


@dataclass(frozen=True)
class Brian2LoihiProgram:
    """A graph in integers that runs as a network of Brian, all samples side by side."""

    graph: ir.Graph

    def save(self, directory: Path) -> None:
        """Write the graph; nothing else is needed."""
        ir.save_graph(self.graph, directory)

    def run(
        self, stimulus: object, *, record: tuple[str, ...] = ("spikes",), progress: Progress = no_progress
    ) -> Trace:
        """Run every sample from rest."""
        graph, fitted = self.graph, fit_stimulus(self.graph, Stimulus.of(stimulus))
        (batch, steps), records = fitted.extent, empty_records(graph, fitted, record)
        first = find_schedule(graph).offsets
        end = steps + max(first.values())
        import_module("brian2").prefs.codegen.target = "numpy"
        network = import_module("brian2_loihi").LoihiNetwork()
        populations = [node for node in graph if isinstance(node, ir.FixedLif)]
        groups = [(n.name, each) for n in populations for each in neurons(n, batch, first[n.name], end)]
        for node in (node for node in graph if isinstance(node, ir.FixedDense)):
            source, late = graph.source(node.inputs[0])
            late += first[graph.readers(node.name)[0].name]
            if isinstance(source, ir.Input):
                senders, late = [entry(fitted.values[source.name].reshape(batch, steps, -1), late)], 0
            else:
                senders = [group for name, group in groups if name == source.name]
                late -= first[source.name] + 1
            for sender, (name, reader) in product(senders, groups):
                if node.name in graph[name].inputs:
                    network.add(sender.brian, *synapses(node, sender, reader, late, batch))
        network.add(*(part for _, group in groups for part in (group.brian, *group.monitors)))
        network.run(end)
        for name, group in groups:
            for quantity, values in zip(QUANTITIES, recorded(group, batch, first[name], steps), strict=True):
                if name in records[quantity]:
                    records[quantity][name].reshape(batch, steps, -1)[:, :, group.members] = values
        progress(batch, batch)
        return Trace(**records)


class Brian2LoihiTarget:
    """Loihi 1 as brian2-loihi understands it."""

    name: Final = CAN.name
    profile: Final = HardwareProfile(name=CAN.name, threshold_profiles=4, decay_profiles=4)
    capabilities: Final = CAN

    def check(self) -> None:
        """Raise unless brian2-loihi is installed."""
        if find_spec("brian2_loihi") is None:
            raise TargetUnavailableError(self.name, "brian2-loihi is not there", "pip install brian2-loihi")

    def legalization(self) -> tuple[Pass, ...]:
        """Delays per neuron go into the synapses."""
        return (FoldDelays(),)

    def build(self, graph: ir.Graph) -> Brian2LoihiProgram:
        """Make a graph ready to run, or say what of it is beyond what stands in `CAN`."""
        check_graph(graph, self.capabilities)
        return Brian2LoihiProgram(graph)
