"""Operations in integers, as Lava's fixed-point models execute them."""

from dataclasses import dataclass
from typing import ClassVar, final

import numpy as np
from numpy.typing import NDArray

from toolchain import fixedpoint
from toolchain.fixedpoint import SignMode
from toolchain.ir.matrix import Matrix, frozen_matrix, values_of
from toolchain.ir.neurons import population_type
from toolchain.ir.node import Node
from toolchain.ir.synapses import check_delays, matrix_type
from toolchain.ir.types import EdgeKind, Origin, ValueType, frozen


@final
@dataclass(frozen=True, kw_only=True, eq=False)
class FixedDense(Node):
    r"""Integer synapses, dense or CSR, with one exponent and one sign mode.

    .. math:: a_i[t] = \sum_d \mathrm{shift}\Big(\sum_{j:\, d_{ij} = d} W_{ij}\, x_j[t - d],\; e\Big)

    A negative exponent rounds down, once per delay slot (see `fixedpoint.shift`).

    Attributes:
        weights: `[targets, sources]`, int32; already unchanged by `fixedpoint.apply_weight_rule`.
        exponent: `e`, -8 .. 7.
        sign_mode: Stated, not guessed from the matrix, so that removing or splitting synapses
            never changes another weight.
        weight_bits: 1 .. 8.
        delays: Optional steps per synapse, stored like `weights`.
    """

    kind: ClassVar[str] = "fixed_dense"

    weights: Matrix
    exponent: int
    sign_mode: SignMode
    weight_bits: int = fixedpoint.WEIGHT_BITS
    delays: Matrix | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "weights", frozen_matrix(self.weights, np.int32))
        if self.delays is not None:
            object.__setattr__(self, "delays", frozen_matrix(self.delays, np.int64))

    def result_type(self, *operands: ValueType) -> ValueType:
        """Return the current of the target neurons."""
        result = matrix_type(self, self.weights, self.only(operands))
        check_delays(self, self.weights, self.delays)
        lowest, highest = fixedpoint.WEIGHT_EXPONENTS
        if not (lowest <= self.exponent <= highest and 1 <= self.weight_bits <= fixedpoint.WEIGHT_BITS):
            raise self.fail(
                f"expected exponent -8 .. 7 and 1 .. 8 bits, got {self.exponent} and {self.weight_bits}"
            )
        values = values_of(self.weights)
        effective = fixedpoint.apply_weight_rule(values, self.sign_mode, self.weight_bits)
        if not np.array_equal(values, effective):
            bad = int(np.flatnonzero(values != effective)[0])
            raise self.fail(
                f"weight {values[bad]} would become {effective[bad]} on the chip "
                f"({self.sign_mode.value}, {self.weight_bits} bits)"
            )
        return result


@final
@dataclass(frozen=True, kw_only=True, eq=False)
class FixedLif(Node):
    r"""Leaky integrate-and-fire population in integers; see `fixedpoint.lif_step`.

    .. math::
        u_t = wrap(tz(u_{t-1}, d_u + 1) + 2^6 a_t), \qquad
        v_t = saturate(tz(v_{t-1}, d_v) + u_t + m 2^x)

        s_t = [v_t > 2^6 \theta], \qquad v_t \leftarrow 0 \text{ where } s_t

    Attributes:
        du: Current decay register, `[N]`, 0 .. 4095 (hidden + 1).
        dv: Potential decay register, `[N]`, 0 .. 4095.
        vth: Threshold mantissa, `[N]`, 0 .. 2^17 - 1.
        bias_mantissa: `m`, `[N]`, 13-bit signed.
        bias_exponent: `x`, `[N]`, 0 .. 7.
        scale: `S`, `[N]`: one unit of the float potential is `64 S` here.
        origin: The user's module and neuron indices.
    """

    kind: ClassVar[str] = "fixed_lif"

    du: NDArray[np.int32]
    dv: NDArray[np.int32]
    vth: NDArray[np.int32]
    bias_mantissa: NDArray[np.int32]
    bias_exponent: NDArray[np.int32]
    scale: NDArray[np.float64]
    origin: Origin

    def __post_init__(self) -> None:
        for name in ("du", "dv", "vth", "bias_mantissa", "bias_exponent"):
            object.__setattr__(self, name, frozen(getattr(self, name), np.int32))
        object.__setattr__(self, "scale", frozen(self.scale, np.float64))

    @property
    def bias(self) -> NDArray[np.int32]:
        """What is added to `v` every step: mantissa times two to the exponent, `[N]`."""
        return np.left_shift(self.bias_mantissa, self.bias_exponent)

    def result_type(self, *operands: ValueType) -> ValueType:
        """Return spikes of the population's shape."""
        shape = self.vth.shape
        population_type(self, shape, operands, self.origin)
        limits = {
            "du": (0, fixedpoint.DECAY_UNITY - 1),
            "dv": (0, fixedpoint.DECAY_UNITY - 1),
            "vth": (0, fixedpoint.THRESHOLD_MAX),
            "bias_mantissa": (-fixedpoint.BIAS_MANTISSA_MAX - 1, fixedpoint.BIAS_MANTISSA_MAX),
            "bias_exponent": (0, fixedpoint.BIAS_EXPONENT_MAX),
        }
        for name, (lowest, highest) in limits.items():
            values = getattr(self, name)
            if values.shape != shape:
                raise self.fail(f"{name} has shape {values.shape}, but vth has {shape}")
            if values.size and not (lowest <= values.min() and values.max() <= highest):
                raise self.fail(
                    f"{name} must lie in {lowest} .. {highest}, got {values.min()} .. {values.max()}"
                )
        if self.scale.shape != shape or not (np.isfinite(self.scale) & (self.scale > 0)).all():
            raise self.fail("expected one finite scale > 0 per neuron")
        return ValueType(shape, EdgeKind.SPIKE)
