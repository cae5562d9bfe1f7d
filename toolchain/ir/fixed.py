"""Operations in integers, as Lava's fixed-point models execute them; see `toolchain.fixedpoint`."""

from dataclasses import dataclass
from typing import ClassVar, final

import numpy as np
from numpy.typing import NDArray

from toolchain import fixedpoint
from toolchain.arrays import Pair
from toolchain.fixedpoint import SignMode
from toolchain.ir.firing import Neurons
from toolchain.ir.matrix import Matrix, StepMatrix, WeightMatrix, frozen_matrix, values_of
from toolchain.ir.node import Node
from toolchain.ir.synapses import check_delays, convolution_type, kernel_window, matrix_type
from toolchain.ir.types import Origin, ValueType, frozen
from toolchain.ir.windows import Window
from toolchain.reset import Reset


@final
@dataclass(frozen=True, kw_only=True, eq=False)
class FixedDense(Node):
    r"""Integer synapses with one exponent and one sign mode, stored as a dense matrix or as CSR.

    .. math:: a_i[t] = \sum_d \mathrm{shift}\Big(\sum_{j:\, d_{ij} = d} W_{ij}\, x_j[t - d],\; e\Big)

    A negative exponent rounds down, once per delay slot (see `fixedpoint.shift`).

    Attributes:
        weights: Weights `[targets, sources]`, int32, as the chip uses them: `fixedpoint.apply_weight_rule`
            leaves them as they are.
        exponent: The exponent `e`, -8 .. 7.
        sign_mode: Signs that the weights may have. It is stated and not read off the matrix, so that removing
            or splitting synapses never changes another weight.
        weight_bits: Bits of a weight, 1 .. 8.
        delays: Steps that each synapse takes, stored like `weights`; None for none.
    """

    kind: ClassVar[str] = "fixed_dense"

    weights: WeightMatrix
    exponent: int
    sign_mode: SignMode
    weight_bits: int = fixedpoint.WEIGHT_BITS
    delays: StepMatrix | None = None

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
        _check_weight_rule(self, self.weights, self.sign_mode, self.weight_bits)
        return result


@final
@dataclass(frozen=True, kw_only=True, eq=False)
class FixedConv2d(Node):
    r"""An integer convolution with one exponent and one sign mode.

    .. math::
        a_{o,y,x} = wrap\Big( 2^e \sum_{i,k,l} W_{o,i,k,l}\, x_{i,\, s y + d k - p,\, s x + d l - p} \Big)

    The sum wraps at 24 bits (see `fixedpoint.wrap_sum`). Lava's CPU model of a convolution ignores
    exponent, bits and sign mode. So the weights here are those that the chip would use, and the exponent is
    not negative, so that it can be multiplied into them.

    Attributes:
        weights: Kernels, `[out channels, in channels / groups, rows, columns]`, int32.
        exponent: The exponent `e`, 0 .. 7.
        sign_mode: Signs that the weights may have; stated, not read off the kernels.
        weight_bits: Bits of a weight, 1 .. 8.
        stride: Distance from one position to the next, rows and columns.
        padding: Zeros on both sides of the image.
        dilation: Distance between the elements of the kernel.
        groups: Number of groups of channels; an output channel reads the input channels of its group only.
    """

    kind: ClassVar[str] = "fixed_conv2d"

    weights: NDArray[np.int32]
    exponent: int
    sign_mode: SignMode
    weight_bits: int = fixedpoint.WEIGHT_BITS
    stride: Pair = (1, 1)
    padding: Pair = (0, 0)
    dilation: Pair = (1, 1)
    groups: int = 1

    def __post_init__(self) -> None:
        object.__setattr__(self, "weights", frozen(self.weights, np.int32))

    @property
    def window(self) -> Window:
        """The geometry of the kernel."""
        return kernel_window(self.weights, self.stride, self.padding, self.dilation)

    def result_type(self, *operands: ValueType) -> ValueType:
        """Return the current of the target feature maps."""
        result = convolution_type(self, self.weights, self.groups, self.window, self.only(operands))
        if not (
            0 <= self.exponent <= fixedpoint.WEIGHT_EXPONENTS[1]
            and 1 <= self.weight_bits <= fixedpoint.WEIGHT_BITS
        ):
            raise self.fail(
                f"expected exponent 0 .. 7 and 1 .. 8 bits, got {self.exponent} and {self.weight_bits}"
            )
        _check_weight_rule(self, self.weights, self.sign_mode, self.weight_bits)
        return result


def _check_weight_rule(node: Node, weights: Matrix, sign_mode: SignMode, weight_bits: int) -> None:
    values = values_of(weights)
    effective = fixedpoint.apply_weight_rule(values, sign_mode, weight_bits)
    if not np.array_equal(values, effective):
        bad = int(np.flatnonzero(values != effective)[0])
        raise node.fail(
            f"weight {values[bad]} would become {effective[bad]} on the chip "
            f"({sign_mode.value}, {weight_bits} bits)"
        )


@final
@dataclass(frozen=True, kw_only=True, eq=False)
class FixedLif(Neurons):
    r"""A population of leaky integrate-and-fire neurons in integers; see `fixedpoint.lif_step`.

    .. math::
        u_t = wrap(tz(u_{t-1}, d_u + 1) + 2^6 a_t), \qquad
        v_t = saturate(tz(v_{t-1}, d_v) + u_t + m 2^x)

        s_t = [v_t > 2^6 \theta + h_t], \qquad v_t \leftarrow reset(v_t) \text{ where } s_t, \qquad
        h_{t+1} = \min(tz(h_t, d_h) + k s_t,\; 2^{23} - 1)

    Here :math:`tz(z, d)` is a decay that is rounded toward zero, and all arrays have one shape. What a
    refractory neuron and one with several spikes a step do stands at `Lif`.

    Attributes:
        du: Registers of the current's decay, 0 .. 4095, `[N]` or `[C, H, W]`; the chip adds 1.
        dv: Registers of the potential's decay, 0 .. 4095.
        vth: Mantissas of the thresholds, 0 .. 2^17 - 1.
        bias_mantissa: Mantissas `m` of the bias, 13 bits with a sign.
        bias_exponent: Exponents `x` of the bias, 0 .. 7.
        scale: Scales `S`: one unit of the float potential is `64 S` here.
        origin: Module and indices of the neurons in the user's model.
        reset: Effect of a spike on the potential.
        reset_amount: Potential that a spike sets, or that it takes away, in the units of the potential (1/64
            of those of the threshold), of 24 bits with a sign; None if the reset needs no number.
        refractory: Steps after a spike for which a neuron is refractory, 0 .. 4095; None for none.
        adaptation: Amount `k` by which a spike raises the threshold of the next step, in the units of the
            potential, 0 .. 2^23 - 1; None for none.
        adaptation_decay: Decay of what was added to the threshold in units of 1 / 4096, 1 .. 4096, without
            a hidden 1; None without adaptation.
        max_spikes: Most spikes that a neuron sends in one step, 1 .. 255.
    """

    kind: ClassVar[str] = "fixed_lif"
    required: ClassVar[tuple[str, ...]] = ("du", "dv", "vth", "bias_mantissa", "bias_exponent", "scale")

    du: NDArray[np.int32]
    dv: NDArray[np.int32]
    vth: NDArray[np.int32]
    bias_mantissa: NDArray[np.int32]
    bias_exponent: NDArray[np.int32]
    scale: NDArray[np.float64]
    origin: Origin
    reset: Reset = Reset.ZERO
    reset_amount: NDArray[np.int32] | None = None
    refractory: NDArray[np.int32] | None = None
    adaptation: NDArray[np.int32] | None = None
    adaptation_decay: NDArray[np.int32] | None = None
    max_spikes: int = 1

    def __post_init__(self) -> None:
        self.freeze(vth=np.int32, scale=np.float64)

    @property
    def bias(self) -> NDArray[np.int32]:
        """The constant that is added to `v` in every step: mantissa times two to the exponent."""
        return np.left_shift(self.bias_mantissa, self.bias_exponent)

    def result_type(self, *operands: ValueType) -> ValueType:
        """Return spikes of the population's shape, or counts if a neuron may send several in a step."""
        self.check_population(operands)
        largest = fixedpoint.STATE_LIMIT - 1
        limits = {
            "du": (0, fixedpoint.DECAY_UNITY - 1),
            "dv": (0, fixedpoint.DECAY_UNITY - 1),
            "vth": (0, fixedpoint.THRESHOLD_MAX),
            "bias_mantissa": (-fixedpoint.BIAS_MANTISSA_MAX - 1, fixedpoint.BIAS_MANTISSA_MAX),
            "bias_exponent": (0, fixedpoint.BIAS_EXPONENT_MAX),
            "reset_amount": (-largest, largest),
            "adaptation": (0, largest),
            "adaptation_decay": (1, fixedpoint.DECAY_UNITY),
        }
        for name, values in self.per_neuron.items():
            lowest, highest = limits.get(name, (-np.inf, np.inf))
            if values.size and not (lowest <= values.min() and values.max() <= highest):
                raise self.fail(
                    f"{name} must lie in {lowest} .. {highest}, got {values.min()} .. {values.max()}"
                )
        self.check_scales(self.scale)
        return self.sent
