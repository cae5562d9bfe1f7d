"""What a target declares, in words: for `pumice targets`, and for the tables of the documentation."""

from collections.abc import Mapping
from typing import Final

from toolchain.neuron_rules import NeuronRules
from toolchain.reset import LONGEST_REFRACTORY, MOST_SPIKES, Reset
from toolchain.stage import Stage
from toolchain.target.capabilities import NUMBERS, Capabilities


def neuron_words(can: Capabilities) -> Mapping[str, str]:
    """Return what a spike may do, by aspect, in all the kinds of numbers that a place has."""
    by_stage = {
        NUMBERS[stage]: _rule_words(rules) for stage in Stage if (rules := can.neurons(stage)) is not None
    }
    first = next(iter(by_stage.values()))
    return {
        aspect: first[aspect]
        if all(words[aspect] == first[aspect] for words in by_stage.values())
        else "; ".join(f"{numbers}: {words[aspect]}" for numbers, words in by_stage.items())
        for aspect in first
    }


def _rule_words(rules: NeuronRules) -> Mapping[str, str]:
    period, most = rules.longest_refractory, rules.max_spikes
    refractory = "no"
    if period:
        refractory = "yes" if period == LONGEST_REFRACTORY else f"up to {period:,} steps"
    if rules.one_period:
        refractory += ", with one period and one decay of potentials a population"
    several = "yes" if most == MOST_SPIKES else f"up to {most}"
    return {
        **{_RESETS[reset]: "yes" if reset in rules.resets else "no" for reset in Reset},
        "refractory period": refractory,
        "adaptive threshold": "yes" if rules.adapts else "no",
        "several spikes a step": several if most > 1 else "no",
    }


_RESETS: Final = {
    Reset.ZERO: "reset to zero",
    Reset.VALUE: "reset to a value",
    Reset.SUBTRACT: "subtract an amount",
    Reset.NONE: "no reset",
}


def graph_words(can: Capabilities) -> Mapping[str, str]:
    """Return what else a graph may hold, by aspect."""
    return {
        "numbers": _named(can.stages) + _exponent_words(can),
        "delays per": _delay_words(can),
        "a loop has": "a step for each of its connections" if can.clocked else "a step",
        "graded messages": _message_words(can),
        "images": _image_words(can),
        "size": "any" if can.largest is None else f"{_bytes(can.largest)} as {can.form}",
        "stepped by hand": "yes" if can.stepped else "no",
        "resumed": "yes" if can.resumed else "no",
        "written as files": _named(can.exports) or "no",
    }


def _named(stages: frozenset[Stage]) -> str:
    return ", ".join(NUMBERS[stage] for stage in Stage if stage in stages)


def _exponent_words(can: Capabilities) -> str:
    least = can.least_exponent
    return "" if least is None else f"; exponents of weights from {least}"


def _delay_words(can: Capabilities) -> str:
    each = ["connection"]
    if can.neuron_delays and can.real is not None:
        each.append("neuron")
    if can.synapse_delays:
        each.append("synapse")
    words = ", ".join(each)
    if can.longest_delay is not None:
        words += f", up to {can.longest_delay} steps"
    if can.most_read is not None:
        words += f"; a population reads {can.most_read} others at most, each delay counted anew"
    return words


def _message_words(can: Capabilities) -> str:
    if not can.graded_messages:
        return "on the host; sums are part of synapses" if can.graded_inputs else "no"
    return "yes" if can.graded_inputs else "inside only"


def _image_words(can: Capabilities) -> str:
    if can.images is None:
        return "no"
    if can.images.largest_convolution is not None:
        return f"all numbers of a convolution up to {can.images.largest_convolution}"
    if can.images.largest_image is not None:
        return f"up to {can.images.largest_image:,} channels, and as many columns"
    return "yes"


def _bytes(count: int) -> str:
    whole = count + 1 if (count + 1) % 2**20 == 0 else count
    return f"{whole / 2**30:g} GiB" if whole >= 2**30 else f"{whole / 2**20:g} MiB"
