"""Whether a network fits a microcontroller, and what a step would take there."""

from collections.abc import Sequence
from typing import Final

from targets.c.measuring import Measured, measure
from targets.c.memory import STATE_WORDS
from targets.c.operations import INSTRUCTIONS, count_operations, instructions_of
from targets.c.processor import ProcessorProfile
from targets.c.source import NetworkCode
from targets.c.thinning import largest_share
from toolchain.execution.activity import Activity
from toolchain.ir import Graph
from toolchain.target.processor_fit import FLASH, RAM, LayerFootprint, ProcessorFit

_OWN: Final = "the caller's own code and buffers, the stack, and libraries come on top"
_BITS: Final = "narrower weights save nothing: each takes a byte here"


def fit_graph(
    profile: ProcessorProfile, graph: Graph, activity: Activity, host: Sequence[str]
) -> ProcessorFit:
    """Return what a network takes on a microcontroller.

    Args:
        profile: The microcontroller.
        graph: A fixed graph.
        activity: Events of its sources in a recorded run.
        host: The host's compiler, for want of one for the microcontroller.

    Raises:
        TargetError: The graph is too large for a compiler, or a compiler fails.
    """
    code = NetworkCode(graph)
    measured = measure(code, profile.core.value, host)
    memory = measured.memory
    operations = count_operations(code, activity)
    total = {kind: sum(layer[kind] for layer in operations.values()) for kind in INSTRUCTIONS}
    instructions = instructions_of(total) * profile.instructions.value
    cycles = instructions * profile.cycles.value
    fit = ProcessorFit(
        processor=profile.name,
        title=profile.title,
        limits={FLASH: profile.flash.fact(), RAM: profile.ram.fact()},
        code_bytes=None if memory is None else memory.code,
        table_bytes=memory.constants if memory and measured.exact else code.table_bytes,
        state_bytes=code.state_bytes,
        compiled_by=measured.by,
        exact=measured.exact,
        layers=tuple(
            _footprint(code, name, instructions_of(counts) * profile.instructions.value)
            for name, counts in operations.items()
        ),
        operations=total,
        instructions=instructions,
        cycles=cycles,
        seconds=cycles / profile.clock.value,
        step_seconds=graph.dt_ms / 1e3,
        notes=(*_notes(profile, measured), _OWN),
        advice=(),
        steps=activity.steps,
    )
    return fit.advised(_advise(fit, graph))


def _footprint(code: NetworkCode, name: str, instructions: float) -> LayerFootprint:
    read = dict.fromkeys(arrival.node.name for arrival in code.layout.arrivals[name])
    tables = [table for node in read for table in code.connections[node].tables]
    numbers = code.populations.get(name)
    tables += numbers.tables if numbers else []
    own = {f"{code.names[name]}_{word}" for word in STATE_WORDS}
    state = sum(member.bytes for member in code.members if member.name in own)
    neurons = numbers.sender.size if numbers else 0
    return LayerFootprint(name, neurons, sum(table.bytes for table in tables), state, instructions)


def _notes(profile: ProcessorProfile, measured: Measured) -> tuple[str, ...]:
    core = profile.core.value
    timing = (
        f"cycles: {profile.cycles.value:g} an instruction ({profile.cycles.source}), "
        f"instructions: {profile.instructions.value:g} of a Cortex-M4's ({profile.instructions.source})"
    )
    if measured.exact:
        return (f"flash and RAM are those of the object that '{measured.by}' makes with -O2", timing)
    remedy = f"for its exact size: apt-get install {core.package}"
    if measured.memory is None:
        return (f"no compiler: tables and state are exact, code is not counted; {remedy}", timing)
    return (
        f"tables and state are exact; the code is that of '{measured.by}', for another processor; {remedy}",
        timing,
    )


def _advise(fit: ProcessorFit, graph: Graph) -> tuple[str, ...]:
    """Return what would make a network fit, each tried by writing it again."""
    advice: list[str] = []
    flash, ram = (int(fit.limits[name].value) for name in (FLASH, RAM))
    if fit.used[FLASH] > flash:
        share = largest_share(graph, flash - (fit.code_bytes or 0))
        advice.append(
            f"pruning {1 - share:.0%} of the synapses brings it to {flash:,} bytes of flash; {_BITS}"
            if share
            else f"pruning synapses alone does not bring it to {flash:,} bytes: prune neurons or channels"
        )
    if fit.used[RAM] > ram:
        neurons = sum(layer.neurons for layer in fit.layers)
        each = fit.state_bytes / max(neurons, 1)
        advice.append(
            f"a neuron takes {each:.0f} bytes of RAM: with {int(ram / each):,} of {neurons:,} it would fit"
        )
    if fit.seconds > fit.step_seconds:
        slower = fit.seconds / fit.step_seconds
        advice.append(
            f"a step takes {slower:.1f} times its own time: prune synapses, or train for fewer spikes"
        )
    return (*advice, _slowest(fit))


def _slowest(fit: ProcessorFit) -> str:
    """Return what would shorten a step most."""
    shares = {kind: INSTRUCTIONS[kind] * count for kind, count in fit.operations.items()}
    total = sum(shares.values()) or 1.0
    per_neuron = (shares["neurons"] + shares["decays"]) / total
    synaptic = sum(shares.values()) / total - per_neuron
    if synaptic > per_neuron:
        return f"prune synapses, or train for fewer spikes: messages take {synaptic:.0%} of a step"
    return f"prune neurons: they take {per_neuron:.0%} of a step whether they spike or not"
