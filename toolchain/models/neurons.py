"""Neuron populations as PyTorch modules whose float semantics are the graph's."""

import copy
import math
from collections.abc import Sequence
from typing import Any, Final, cast, final

import torch
from torch import Tensor, nn

from toolchain.errors import ArgumentError
from toolchain.intake import choice_of, count_of, names_of, real_of
from toolchain.models.delays import SynapticDelays, convolved, delays_of
from toolchain.models.dynamics import LayerState, NeuronDynamics
from toolchain.models.learnt import (
    DECAYS,
    LEARNABLE,
    HeldRheobase,
    LearntDecay,
    LearntScale,
    LearntShift,
    decay_limits,
    learn,
    offset_of,
)
from toolchain.models.surrogates import Surrogate
from toolchain.options import LARGEST_FACTOR, MOST, SMALLEST_FACTOR, each, flag, real
from toolchain.reset import LONGEST_REFRACTORY, MOST_SPIKES, Reset

Values = Any
"""A number, or one number per neuron."""
TAU_LIMITS: Final = (0.25, 1000.0)
"""Shortest and longest time constant that is learnt, in steps."""
_SHORTEST_TAU: Final = 0.05
_LONGEST_TAU: Final = 1e6
_LIMITS: Final = {
    "du": (0.0, 1.0),
    "dv": (0.0, 1.0),
    "vth": (0.0, math.inf),
    "bias": (-LARGEST_FACTOR, LARGEST_FACTOR),
    "reset_amount": (-LARGEST_FACTOR, LARGEST_FACTOR),
    "subtracted amount": (0.0, LARGEST_FACTOR),
    "refractory": (0, LONGEST_REFRACTORY),
    "adaptation": (0.0, LARGEST_FACTOR),
    "adaptation_decay": (0.0, 1.0),
}
_POSITIVE: Final = frozenset(("vth", "adaptation_decay"))
"""Quantities that are above the lower limit, not at it."""


@final
class CubaLif(nn.Module):
    r"""Current-based leaky integrate-and-fire population.

    .. math::
        u_t = (1 - d_u) u_{t-1} + a_t, \quad v_t = (1 - d_v) v_{t-1} + u_t + b, \quad
        s_t = [v_t > \theta + h_t], \quad v_t \leftarrow reset(v_t) \text{ where } s_t, \quad
        h_{t+1} = (1 - d_h) h_t + k s_t

    The order of operations is exactly that of `toolchain.ir.Lif`, so that importing a model is exact.

    Backward, a spike has the surrogate's derivative at its distance to threshold, through which the threshold
    and what adaptation adds to it (Bellec et al. 2020) are learnt, too. The spike within a reset is not
    differentiated through: the potential passes its gradient on where it stays, the amount gets one where it
    is set or taken away. So does snnTorch, which detaches the reset; SpikingJelly does unless
    `detach_reset=True`.

    Args:
        size: Number of neurons `N`.
        du: Current decay per step; 1 means no current filter.
        dv: Potential decay per step; 0 means integrate-and-fire.
        vth: Threshold; infinite for a read-out population.
        bias: What is added to the potential every step.
        train_bias: Whether the bias is a parameter.
        reset: What a spike does to the potential: `zero`, `value`, `subtract` or `none`.
        reset_amount: Potential that a spike sets or takes away; None where it takes away the threshold.
        refractory: Steps after a spike for which a neuron keeps its potential and is silent, 0 .. 4095.
        adaptation: What a spike adds to the threshold of the steps after it.
        adaptation_decay: Decay of that per step, above 0: `1 - exp(-1 / tau)`.
        max_spikes: Most spikes that a neuron sends in one step; above 1 it sends counts.
        train: Names of the parameters that are learnt: `du`, `dv`, `vth`, `reset_amount`, `adaptation` and
            `adaptation_decay`; training starts from the values that are given.
        tau_limits: Shortest and longest time constant, in steps, between which decays are learnt.
        hold_rheobase: Whether the threshold follows a `dv` that is learnt, so that `vth * dv`, the constant
            input at which a neuron begins to fire, stays.
        surrogate: Shape of the spike derivative.
        slope: Sharpness of that derivative, with the distance to threshold measured in thresholds.

    Raises:
        ArgumentError: A value is not a number within its limits, or does not go with the others.
    """

    du: Tensor
    dv: Tensor
    vth: Tensor
    reset_amount: Tensor | None
    refractory: Tensor | None
    adaptation: Tensor | None
    adaptation_decay: Tensor | None
    elements: Tensor

    def __init__(
        self,
        size: int,
        *,
        du: Values = 1.0,
        dv: Values = 0.1,
        vth: Values = 1.0,
        bias: Values = 0.0,
        train_bias: bool = False,
        reset: Reset | str = Reset.ZERO,
        reset_amount: Values = None,
        refractory: Values = None,
        adaptation: Values = None,
        adaptation_decay: Values = None,
        max_spikes: int = 1,
        train: Sequence[str] = (),
        tau_limits: tuple[float, float] = TAU_LIMITS,
        hold_rheobase: bool = False,
        surrogate: Surrogate = Surrogate.FAST_SIGMOID,
        slope: float = 10.0,
    ) -> None:
        super().__init__()
        size = count_of(size, "size", least=1, most=MOST)
        self.reset = choice_of(reset, "reset", Reset)
        self.max_spikes = count_of(max_spikes, "max_spikes", least=1, most=MOST_SPIKES)
        for name, value in (("du", du), ("dv", dv), ("vth", vth)):
            self.register_buffer(name, _per_neuron(name, value, size))
        self.bias = nn.Parameter(
            _per_neuron("bias", bias, size), requires_grad=flag(train_bias, "train_bias")
        )
        limits = "subtracted amount" if self.reset is Reset.SUBTRACT else "reset_amount"
        for name, value in (
            ("reset_amount", reset_amount),
            ("refractory", refractory),
            ("adaptation", adaptation),
            ("adaptation_decay", adaptation_decay),
        ):
            given = None
            if value is not None:
                given = _per_neuron(name, value, size, limits if name == "reset_amount" else name)
            self.register_buffer(name, given)
        self.surrogate = choice_of(surrogate, "surrogate", Surrogate)
        self.slope = real_of(slope, "slope", least=SMALLEST_FACTOR, most=LARGEST_FACTOR)
        self.register_buffer("elements", torch.arange(size))
        self.tau_limits = _tau_limits(tau_limits)
        self.hold_rheobase = flag(hold_rheobase, "hold_rheobase")
        self._check_firing()
        self._learn(names_of(train, "train"))

    def _check_firing(self) -> None:
        if self.reset is Reset.VALUE and self.reset_amount is None:
            raise ArgumentError("reset_amount", "the value that a spike sets, since reset is 'value'", "None")
        if not self.reset.has_amount and self.reset_amount is not None:
            raise ArgumentError("reset_amount", f"None, since reset is '{self.reset.value}'", "a number")
        if (self.adaptation is None) != (self.adaptation_decay is None):
            raise ArgumentError(
                "adaptation" if self.adaptation is None else "adaptation_decay",
                "a number, since `adaptation` and `adaptation_decay` belong together",
                "None",
            )
        if self.max_spikes > 1:
            amount = self.effective_amount
            subtracts = self.reset is Reset.SUBTRACT
            if not subtracts or amount is None or not _all(amount > 0):
                raise ArgumentError(
                    "max_spikes",
                    "1, unless a spike takes an amount above 0 away",
                    str(self.max_spikes),
                    "give `reset_amount`: a neuron of infinite threshold has none of its own"
                    if subtracts
                    else "give reset='subtract'",
                )

    def _learn(self, names: tuple[str, ...]) -> None:
        for name in names:
            if name not in LEARNABLE:
                raise ArgumentError("train", f"names among {', '.join(LEARNABLE)}", repr(name))
        if "reset_amount" in names and self.reset is Reset.SUBTRACT and self.reset_amount is None:
            self.reset_amount = self.vth.clone()
        self.train_names = tuple(name for name in LEARNABLE if name in names)
        """Parameters that are learnt, beside the bias."""
        for name in self.train_names:
            self._learn_one(name)
        if self.hold_rheobase:
            if "dv" not in names:
                raise ArgumentError("hold_rheobase", "False, unless 'train' names dv", "True")
            self._check_start("vth", self.vth)
            learn(self, "vth", HeldRheobase(self.vth, self._learnt("dv")), trained="vth" in names)

    def _learn_one(self, name: str) -> None:
        values = getattr(self, name)
        if values is None:
            raise ArgumentError("train", f"`{name}` to be given, since it is learnt", "None")
        self._check_start(name, values)
        if name in DECAYS:
            learn(self, name, LearntDecay(values, decay_limits(self.tau_limits)))
        elif not self._is_scaled(name):
            learn(self, name, LearntShift(values))
        elif not (name == "vth" and self.hold_rheobase):
            learn(self, name, LearntScale(values))

    def _check_start(self, name: str, values: Tensor) -> None:
        """Raise where training could never leave its start."""
        if name in DECAYS:
            low, high = decay_limits(self.tau_limits)
            if not _all((values > low) & (values < high)):
                limits = " and ".join(f"{tau:g}" for tau in self.tau_limits)
                raise ArgumentError(
                    name,
                    f"decays between {low:.4g} and {high:.4g}, since they are learnt between time constants "
                    f"of {limits} steps",
                    f"{float(values.min()):g} .. {float(values.max()):g}",
                    "start inside, or widen `tau_limits`",
                )
        elif not _all(torch.isfinite(values)):
            raise ArgumentError(name, "finite numbers, since they are learnt", "infinity")
        elif self._is_scaled(name) and not _all((values > 0).any()):
            raise ArgumentError(
                name,
                "a number above 0, since it is learnt by a factor and 0 would stay 0",
                "0 for every neuron",
                "start from a small number",
            )

    def _is_scaled(self, name: str) -> bool:
        """Return whether a learnt quantity is a factor times its start, so that a start of 0 stays."""
        return name not in DECAYS and not (name == "reset_amount" and self.reset is Reset.VALUE)

    def _learnt(self, name: str) -> Any:  # noqa: ANN401 - torch's list of parametrizations
        parametrizations: Any = self.parametrizations
        return parametrizations[name]

    @property
    def size(self) -> int:
        """Number of neurons."""
        return int(self.elements.numel())

    @property
    def is_plain(self) -> bool:
        """Whether a spike sets the potential to zero and does nothing else."""
        return (
            self.reset is Reset.ZERO
            and self.refractory is None
            and self.adaptation is None
            and self.max_spikes == 1
        )

    @property
    def fires(self) -> bool:
        """Whether any neuron can fire: a read-out population has infinite thresholds."""
        return bool(torch.isfinite(self.vth).any())

    @property
    def effective_amount(self) -> Tensor | None:
        """Potential that a spike sets or takes away, `[N]`; None if the reset needs no number."""
        if self.reset is Reset.SUBTRACT and self.reset_amount is None:
            vth = self.vth
            # A neuron that never fires takes nothing away.
            return torch.where(torch.isfinite(vth), vth, 0.0)
        return self.reset_amount

    @property
    def dynamics(self) -> NeuronDynamics:
        """The numbers with which it advances, read once for all steps of a run."""
        refractory, decay = self.refractory, self.adaptation_decay
        return NeuronDynamics(
            keep_u=1 - self.du,
            keep_v=1 - self.dv,
            vth=self.vth,
            bias=self.bias,
            reset=self.reset,
            amount=self.effective_amount,
            refractory=None if refractory is None else refractory.to(self.bias.dtype),
            adaptation=self.adaptation,
            keep_rise=None if decay is None else 1 - decay,
            max_spikes=self.max_spikes,
            surrogate=self.surrogate,
            slope=self.slope,
        )

    def select(self, index: Tensor) -> "CubaLif":
        """Return a population of some of the neurons, with what they have learnt.

        Args:
            index: Numbers of the neurons.
        """
        small = copy.deepcopy(self)
        for module in small.modules():
            for name, values in module.named_buffers(recurse=False):
                setattr(module, name, values[index])
            for name, values in module.named_parameters(recurse=False):
                fewer = nn.Parameter(values.detach()[index], requires_grad=values.requires_grad)
                setattr(module, name, fewer)
        return small

    def forward(self, x: Tensor) -> Tensor:
        """Run all steps `[batch, time, N]` from rest; see `NeuronDynamics.run`."""
        return self.dynamics.run(x, fires=self.fires)

    def step(self, a: Tensor, state: LayerState) -> tuple[Tensor, LayerState]:
        """Advance one step; see `NeuronDynamics.step`. For a whole run, read `dynamics` once."""
        return self.dynamics.step(a, state)


@final
class MaskedSynapses(nn.Module):
    r"""A connection `a = W x`; pruned synapses are masked out.

    Args:
        weight: Weights `[targets, sources]`.
        mask: Bool of the same shape, False where there is no synapse; or None.
        delays: Steps that a synapse takes: one number for all, or one for each, of the shape of `weight`.
            They add to the delay of the connection. None for none.
        longest_delay: The longest delay that is learnt; None if `delays` are not learnt.

    Raises:
        ArgumentError: A delay is negative or longer than the longest.
    """

    mask: Tensor | None

    def __init__(
        self,
        weight: Tensor,
        mask: Tensor | None = None,
        *,
        delays: Values = None,
        longest_delay: int | None = None,
    ) -> None:
        super().__init__()
        self.weight = nn.Parameter(weight if mask is None else weight * mask)
        self.register_buffer("mask", mask)
        self.delays = delays_of(delays, longest_delay, weight)

    @property
    def effective(self) -> Tensor:
        """The weights that act, `[targets, sources]`."""
        return self.weight if self.mask is None else self.weight * self.mask

    @property
    def count(self) -> int:
        """Number of synapses."""
        return int(self.weight.numel() if self.mask is None else self.mask.sum())

    def forward(self, x: Tensor) -> Tensor:
        """Return the current `[..., targets]` that `x` `[..., sources]` makes.

        Where synapses have delays, `x` is `[batch, time, sources]`, and nothing came before it.
        """
        if self.delays is None:
            return nn.functional.linear(x, self.effective)
        return convolved(x, self.effective[..., None] * self.delays.kernel())


def learnt_parameters(network: nn.Module) -> tuple[list[nn.Parameter], list[nn.Parameter]]:
    """Return what the neurons of a network learn, beside their biases, and the delays that are learnt."""
    neurons: list[nn.Parameter] = []
    delays: list[nn.Parameter] = []
    for module in network.modules():
        if isinstance(module, CubaLif):
            offsets = [offset_of(module, name) for name in module.train_names]
            neurons += [offset for offset in offsets if offset is not None]
        elif isinstance(module, SynapticDelays) and module.learnt:
            delays.append(module.position)
    return neurons, delays


def _all(good: Tensor) -> bool:
    """Return whether a condition holds everywhere; numbers that are not there yet have no fault."""
    return good.device.type == "meta" or bool(good.all())


def _tau_limits(value: object) -> tuple[float, float]:
    rule = each(real(_SHORTEST_TAU, _LONGEST_TAU), least=2, most=2)
    shortest, longest = cast("tuple[float, float]", rule(value, "tau_limits"))
    if not shortest < longest:
        raise ArgumentError(
            "tau_limits", "the shortest time constant before the longest", f"{shortest:g}, {longest:g}"
        )
    return shortest, longest


def _per_neuron(name: str, value: Values, size: int, limits: str = "") -> Tensor:
    whole = name == "refractory"
    tensor = torch.as_tensor(value, dtype=None if whole else torch.get_default_dtype())
    if tensor.shape not in {(), (1,), (size,)}:
        raise ArgumentError(name, f"one number, or one for each of {size} neurons", str(list(tensor.shape)))
    if whole and (tensor.is_floating_point() or tensor.is_complex() or tensor.dtype == torch.bool):
        raise ArgumentError(name, "whole steps", str(tensor.flatten()[0].item()))
    if tensor.device.type != "meta":
        least, most = _LIMITS[limits or name]
        good = (tensor >= least) & (tensor <= most) & ((tensor != least) if name in _POSITIVE else True)
        if not bool(good.all()):
            upper = "" if most == math.inf else f" and at most {most:g}"
            wanted = f"above {least:g}{upper}" if name in _POSITIVE else f"{least:g} .. {most:g}"
            raise ArgumentError(name, f"numbers {wanted}", str(tensor[~good].flatten()[0].item()))
    return tensor.to(torch.int32 if whole else tensor.dtype).expand(size).clone()
