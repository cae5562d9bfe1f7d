"""A step of a neuron as a function of ONNX: the rules of `toolchain.fixedpoint.lif_step`, written once."""

from typing import Final

import onnx
from onnx import TensorProto, parser

from toolchain.fixedpoint import ALIGNMENT_BITS, DECAY_UNITY, STATE_LIMIT, WORD_LIMIT

OPSET: Final = 21
DOMAIN: Final = "pumice"
NAME: Final = "LIF"
_HEAD: Final = f"""
<domain: "{DOMAIN}", opset_import: ["": {OPSET}]>
{NAME} (a, u, v, keep_u, keep_v, bias, vth) => (s, next_u, next_v)
"""
_REAL: Final = """{
    decayed_u = Mul (u, keep_u)
    next_u = Add (decayed_u, a)
    decayed_v = Mul (v, keep_v)
    driven = Add (decayed_v, next_u)
    potential = Add (driven, bias)
    s = Greater (potential, vth)
    nothing = Constant <value = double {0.0}> ()
    next_v = Where (s, nothing, potential)
}"""
# Sums have 32 bits. `Div` rounds toward zero, as decays do; `u` wraps once and `v` saturates.
_FIXED: Final = f"""{{
    nothing = Constant <value_int = 0> ()
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
    potential = Max (at_most, low)
    threshold = Mul (vth, unit)
    s = Greater (potential, threshold)
    next_v = Where (s, nothing, potential)
}}"""


def lif_function(number: int) -> onnx.FunctionProto:
    """Return a step of a neuron in integers or in real numbers, by their ONNX type."""
    fixed = number == TensorProto.INT64
    function = parser.parse_function(_HEAD + (_FIXED if fixed else _REAL))
    function.doc_string = (
        "Leaky integrate-and-fire in integers, as Lava's fixed_pt: u wraps, v saturates."
        if fixed
        else "Leaky integrate-and-fire, reset to zero."
    )
    return function
