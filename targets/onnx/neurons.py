"""A step of a neuron as functions of ONNX: the rules of `toolchain.fixedpoint.lif_step`, written once.

A population calls the function of its kind. That of neurons which only reset to zero is `pumice.LIF`; the
others are made of the same lines and those of the rules that they follow.
"""

from dataclasses import dataclass
from typing import Final, assert_never, final

import onnx
from onnx import TensorProto, parser

from toolchain.fixedpoint import ALIGNMENT_BITS, DECAY_UNITY, STATE_LIMIT, WORD_LIMIT
from toolchain.ir.firing import Neurons
from toolchain.reset import Reset

OPSET: Final = 21
DOMAIN: Final = "pumice"
NAME: Final = "LIF"
_REAL: Final = """    decayed_u = Mul (u, keep_u)
    next_u = Add (decayed_u, a)
    decayed_v = Mul (v, keep_v)
    driven = Add (decayed_v, next_u)
    potential = Add (driven, bias)"""
# Sums have 32 bits. `Div` rounds toward zero, as decays do; `u` wraps once and `v` saturates.
_FIXED: Final = f"""    nothing = Constant <value_int = 0> ()
    unit = Constant <value_int = {1 << ALIGNMENT_BITS}> ()
    unity = Constant <value_int = {DECAY_UNITY}> ()
    half = Constant <value_int = {WORD_LIMIT}> ()
    word = Constant <value_int = {2 * WORD_LIMIT}> ()
    limit = Constant <value_int = {STATE_LIMIT}> ()
    turn = Constant <value_int = {2 * STATE_LIMIT}> ()
    lowest = Constant <value_int = {-STATE_LIMIT}> ()
    low = Constant <value_int = {1 - STATE_LIMIT}> ()
    high = Constant <value_int = {STATE_LIMIT - 1}> ()
    lifted_a = Add (a, half)
    rest_a = Mod (lifted_a, word)
    word_a = Sub (rest_a, half)
    aligned = Mul (word_a, unit)
    lifted_input = Add (aligned, half)
    rest_input = Mod (lifted_input, word)
    input = Sub (rest_input, half)
    product_u = Mul (u, keep_u)
    decayed_u = Div (product_u, unity)
    current = Add (decayed_u, input)
    lifted_current = Add (current, half)
    rest_current = Mod (lifted_current, word)
    c = Sub (rest_current, half)
    above = Greater (c, limit)
    below = LessOrEqual (c, lowest)
    lower = Sub (c, turn)
    higher = Add (c, turn)
    not_above = Where (above, lower, c)
    next_u = Where (below, higher, not_above)
    product_v = Mul (v, keep_v)
    decayed_v = Div (product_v, unity)
    driven = Add (decayed_v, next_u)
    biased = Add (driven, bias)
    at_most = Min (biased, high)
    potential = Max (at_most, low)"""


@final
@dataclass(frozen=True)
class NeuronFunction:
    """A function of ONNX: a step of neurons of one kind.

    Attributes:
        fixed: Whether it computes in integers.
        reset: Effect of a spike on the potential.
        refractory: Whether spikes make a neuron refractory.
        adaptive: Whether spikes raise its threshold.
        several: Whether it may send several spikes in a step.
    """

    fixed: bool
    reset: Reset = Reset.ZERO
    refractory: bool = False
    adaptive: bool = False
    several: bool = False

    @classmethod
    def of(cls, node: Neurons, *, fixed: bool) -> "NeuronFunction":
        """Return the function that a population calls."""
        waits, rises = node.refractory is not None, node.adaptation is not None
        return cls(fixed, node.reset, waits, rises, node.max_spikes > 1)

    @property
    def name(self) -> str:
        """`LIF`, and the rules beyond a reset to zero."""
        rules = {
            self.reset.value: self.reset is not Reset.ZERO,
            "refractory": self.refractory,
            "adaptive": self.adaptive,
            "several": self.several,
        }
        return "_".join([NAME, *(rule for rule, follows in rules.items() if follows)])

    @property
    def states(self) -> tuple[str, ...]:
        """What the neurons remember."""
        return "u", "v", *(["wait"] if self.refractory else []), *(["rise"] if self.adaptive else [])

    @property
    def parameters(self) -> tuple[str, ...]:
        """Numbers per neuron, in the order in which they follow the states; `most` is one for all."""
        given = {
            ("amount",): self.reset.has_amount,
            ("period",): self.refractory,
            ("keep_rise", "adaptation"): self.adaptive,
            ("most",): self.several,
        }
        more = (name for names, needed in given.items() if needed for name in names)
        return "keep_u", "keep_v", "bias", "vth", *more

    def proto(self) -> onnx.FunctionProto:
        """Return the function itself."""
        inputs = ", ".join(("a", *self.states, *self.parameters))
        outputs = ", ".join(("s", *(f"next_{name}" for name in self.states)))
        head = f'<domain: "{DOMAIN}", opset_import: ["": {OPSET}]>\n{self.name} ({inputs}) => ({outputs})'
        body = "\n".join([_FIXED if self.fixed else _REAL, *(f"    {line}" for line in self._rules())])
        function = parser.parse_function(f"{head}\n{{\n{body}\n}}")
        function.doc_string = self._text()
        return function

    def _text(self) -> str:
        if self == NeuronFunction(self.fixed):
            return (
                "Leaky integrate-and-fire in integers, as Lava's fixed_pt: u wraps, v saturates."
                if self.fixed
                else "Leaky integrate-and-fire, reset to zero."
            )
        number = "integers, u wraps and v saturates" if self.fixed else "real numbers"
        return f"Leaky integrate-and-fire in {number}; {self.name.replace('_', ', ')}."

    def _rules(self) -> list[str]:
        """Return what follows on the potential without spikes."""
        v, fired = "held" if self.refractory else "potential", "fired" if self.several else "s"
        return [
            *(
                [f"waits = Cast <to = {TensorProto.BOOL}> (wait)", "held = Where (waits, v, potential)"]
                if self.refractory
                else []
            ),
            *self._threshold(),
            *self._fires(v, fired),
            *([] if self.fixed else ["nothing = Constant <value = double {0.0}> ()"]),
            *self._number(v, fired),
            *self._reset(v, fired),
            *self._waiting(fired),
            *self._rising(),
        ]

    def _threshold(self) -> list[str]:
        if not self.adaptive:
            return ["threshold = Mul (vth, unit)"] if self.fixed else []
        if self.fixed:
            return ["base = Mul (vth, unit)", "threshold = Add (base, rise)"]
        return ["threshold = Add (vth, rise)"]

    @property
    def _level(self) -> str:
        return "threshold" if self.fixed or self.adaptive else "vth"

    def _fires(self, v: str, fired: str) -> list[str]:
        """Return which neurons are above their threshold, and not refractory."""
        if not self.refractory:
            return [f"{fired} = Greater ({v}, {self._level})"]
        return [
            f"over_level = Greater ({v}, {self._level})",
            "ready = Not (waits)",
            f"{fired} = And (ready, over_level)",
        ]

    def _number(self, v: str, fired: str) -> list[str]:
        """Return how many spikes there are, as the number `n`; and `s` where a neuron may send several."""
        kind = TensorProto.INT64 if self.fixed else TensorProto.DOUBLE
        one = "<value_int = 1>" if self.fixed else "<value = double {1.0}>"
        lines = [f"one = Constant {one} ()"] if self.refractory or self.several else []
        if not self.several:
            needed = self.adaptive or self.reset is Reset.SUBTRACT
            return [*lines, f"n = Cast <to = {kind}> (s)"] if needed else lines
        lines.append(f"over = Sub ({v}, {self._level})")
        if self.fixed:
            lines += ["less = Sub (over, one)", "times = Div (less, amount)", "count = Add (times, one)"]
        else:
            lines += [
                f"reach = Where ({fired}, over, nothing)",
                "ratio = Div (reach, amount)",
                "whole = Floor (ratio)",
                "taken = Mul (whole, amount)",
                f"left = Sub ({v}, taken)",
                f"more = Greater (left, {self._level})",
                f"another = Cast <to = {kind}> (more)",
                "count = Add (whole, another)",
            ]
        lines += ["bounded = Min (count, most)", f"n = Where ({fired}, bounded, nothing)"]
        return [*lines, f"s = Cast <to = {TensorProto.UINT8}> (n)"]

    def _reset(self, v: str, fired: str) -> list[str]:
        match self.reset:
            case Reset.ZERO:
                return [f"next_v = Where ({fired}, nothing, {v})"]
            case Reset.VALUE:
                return [f"next_v = Where ({fired}, amount, {v})"]
            case Reset.SUBTRACT:
                return ["lost = Mul (n, amount)", f"next_v = Sub ({v}, lost)"]
            case Reset.NONE:
                return [f"next_v = Identity ({v})"]
            case _:
                assert_never(self.reset)

    def _waiting(self, fired: str) -> list[str]:
        if not self.refractory:
            return []
        return [
            "shorter = Sub (wait, one)",
            "still = Max (shorter, nothing)",
            f"next_wait = Where ({fired}, period, still)",
        ]

    def _rising(self) -> list[str]:
        if not self.adaptive:
            return []
        added = "added = Mul (n, adaptation)"
        if self.fixed:
            return [
                "product_rise = Mul (rise, keep_rise)",
                "decayed_rise = Div (product_rise, unity)",
                added,
                "risen = Add (decayed_rise, added)",
                "next_rise = Min (risen, high)",
            ]
        return ["decayed_rise = Mul (rise, keep_rise)", added, "next_rise = Add (decayed_rise, added)"]
