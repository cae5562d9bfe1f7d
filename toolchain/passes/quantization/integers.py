"""The integer counterpart of a node, once its scale and exponent are chosen."""

from dataclasses import replace
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array

from toolchain import fixedpoint, ir
from toolchain.arrays import Floats
from toolchain.ir.matrix import rows_of, select_synapses, values_of, with_values
from toolchain.passes.quantization.scales import Incoming

_AVERAGED: Final = 4.0
_LARGEST: Final = fixedpoint.STATE_LIMIT - 1
COARSE: Final = ".coarse"
FINE: Final = ".fine"
"""Endings of the names of two connections whose synapses together have weights of more than eight bits."""
LOST_PER_DECAY: Final = 0.494
"""Mean units that rounding toward zero takes from a state per step (measured for nengo-loihi)."""


def nearest_weights(item: Incoming, exponent: int, scale: Floats) -> NDArray[np.int32]:
    """Return every weight rounded to the nearest that the chip can hold, in the order of `values_of`."""
    factor = scale[rows_of(item.weights)] / 2.0**exponent
    return fixedpoint.round_weights(values_of(item.weights) * factor, item.sign_mode, item.weight_bits)


def fixed_connections(
    node: ir.Dense | ir.Conv2d, item: Incoming, exponent: int, integers: NDArray[np.int32]
) -> list[ir.FixedDense | ir.FixedConv2d]:
    """Return a connection of integers; two, `<name>.coarse` and `<name>.fine`, if one cannot hold them.

    A synapse is in the coarse half only if its weight needs it, and in the fine half if something is left;
    what weighs zero is in the fine half.
    """
    narrow = replace(item, weight_bits=min(item.weight_bits, fixedpoint.WEIGHT_BITS))
    if np.abs(integers).max(initial=0) <= narrow.limit:
        return [_connection(node, narrow, exponent, integers)]
    coarse, fine = fixedpoint.halve_weights(integers, item.sign_mode, item.weight_bits)
    return [
        _half(node, COARSE, narrow, exponent + item.spare, coarse, coarse != 0),
        _half(node, FINE, narrow, exponent, fine, (fine != 0) | (coarse == 0)),
    ]


def _half(
    node: ir.Dense | ir.Conv2d,
    suffix: str,
    item: Incoming,
    exponent: int,
    integers: NDArray[np.int32],
    mask: NDArray[np.bool_],
) -> ir.FixedDense | ir.FixedConv2d:
    named = replace(node, name=node.name + suffix)
    if isinstance(named, ir.Conv2d):
        return _connection(named, item, exponent, integers)
    if not isinstance(item.weights, csr_array):
        # In a dense array zero means no synapse.
        mask = mask & (values_of(item.weights) != 0)
    stored = replace(item, weights=select_synapses(item.weights, item.weights, mask))
    delays = None if named.delays is None else select_synapses(named.delays, item.weights, mask)
    return _connection(replace(named, delays=delays), stored, exponent, integers[mask])


def _connection(
    node: ir.Dense | ir.Conv2d, item: Incoming, exponent: int, integers: NDArray[np.int32]
) -> ir.FixedDense | ir.FixedConv2d:
    weights = with_values(item.weights, integers)
    if isinstance(node, ir.Dense):
        return ir.FixedDense(
            name=node.name,
            inputs=node.inputs,
            weights=weights,
            exponent=exponent,
            sign_mode=item.sign_mode,
            weight_bits=item.weight_bits,
            delays=node.delays,
        )
    return ir.FixedConv2d(
        name=node.name,
        inputs=node.inputs,
        weights=np.asarray(weights),
        exponent=exponent,
        sign_mode=item.sign_mode,
        weight_bits=item.weight_bits,
        stride=node.stride,
        padding=node.padding,
        dilation=node.dilation,
        groups=node.groups,
    )


def fixed_neurons(node: ir.Lif, scale: Floats, sizes: tuple[Floats, Floats] | None = None) -> ir.FixedLif:
    """Return a population of integers.

    An amount becomes the nearest number of units of the potential, `round(64 S r)`, and what a spike adds to
    the threshold `round(64 S k)`. What exceeds 24 bits is clipped, and `prove_fit` asks for a smaller scale.
    A neuron that sends several spikes takes at least one unit for each of them.

    The decay of what was added to the threshold is the nearest register, 1 .. 4096: it does not make up for
    rounding toward zero, as those of the current and of the potential do. A rise has tens of thousands of
    units and mostly fades slowly, so that rounding takes less from it than the register is off by.

    Args:
        node: The population in real numbers.
        scale: Scale of every neuron, in the population's shape.
        sizes: Mean magnitudes of u and v in the model's units, if they were observed. Decays then make up for
            what rounding toward zero takes from them.
    """
    unit = scale * 2.0**fixedpoint.ALIGNMENT_BITS
    u_size, v_size = (None, None) if sizes is None else (size * unit for size in sizes)
    mantissa, exponent = fixedpoint.split_bias(node.bias * unit)
    units = np.where(np.isfinite(node.vth), node.vth * scale, fixedpoint.THRESHOLD_MAX)
    return ir.FixedLif(
        name=node.name,
        inputs=node.inputs,
        # The current's decay carries a hidden + 1: it is never without leak.
        du=decay_register(node.du, u_size, least=1) - 1,
        dv=np.minimum(decay_register(node.dv, v_size, least=0), fixedpoint.DECAY_UNITY - 1),
        vth=np.clip(np.rint(units), 0, fixedpoint.THRESHOLD_MAX),
        bias_mantissa=mantissa,
        bias_exponent=exponent,
        scale=scale,
        origin=node.origin,
        reset=node.reset,
        reset_amount=_units(node.reset_amount, unit, least=1 if node.max_spikes > 1 else -_LARGEST),
        refractory=node.refractory,
        adaptation=_units(node.adaptation, unit, least=0),
        adaptation_decay=(
            None if node.adaptation_decay is None else decay_register(node.adaptation_decay, None, least=1)
        ),
        max_spikes=node.max_spikes,
    )


def _units(amount: Floats | None, unit: Floats, *, least: int) -> NDArray[np.int32] | None:
    """Return an amount in the units of the potential, at least so many and no more than 24 bits hold."""
    return None if amount is None else np.clip(np.rint(amount * unit), least, _LARGEST).astype(np.int32)


def most_compensated(wanted: Floats) -> Floats:
    """Return by how many units `decay_register` can stay below the nearest register."""
    return np.floor(LOST_PER_DECAY / _AVERAGED * wanted * fixedpoint.DECAY_UNITY) + 1


def decay_register(wanted: Floats, size: Floats | None, *, least: int) -> NDArray[np.int32]:
    r"""Return the decay in 1/4096 whose effect is nearest to the wanted one.

    Rounding toward zero takes about half a unit a step from a state of magnitude x, so that a decay d acts
    like `d / 4096 + 0.494 / x`, except that d = 0 takes nothing. Half a unit is a mean: where a step takes
    less than four units the loss depends on the very value, and the nearest register is taken, as where x
    is not known.

    Args:
        wanted: Share that is lost per step, 0 .. 1.
        size: Mean magnitude of the state in integers, or None.
        least: Smallest decay that the register holds.
    """
    unity = fixedpoint.DECAY_UNITY
    nearest = np.clip(np.rint(wanted * unity), least, unity).astype(np.int32)
    if size is None:
        return nearest
    lost = LOST_PER_DECAY / np.maximum(size, 1.0)
    lower = np.floor((wanted - lost) * unity)
    best, error = nearest, np.full(wanted.shape, np.inf)
    for candidate in (np.full(wanted.shape, float(least)), lower, lower + 1, nearest):
        register = np.clip(candidate, least, unity).astype(np.int32)
        effect = register / unity + np.where((register > 0) & (register < unity), lost, 0.0)
        closer = np.abs(effect - wanted) < error
        best, error = np.where(closer, register, best), np.where(closer, np.abs(effect - wanted), error)
    known = (size * wanted >= _AVERAGED) & (wanted < 1)
    return np.where(known, best, nearest)
