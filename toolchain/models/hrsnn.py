"""The heterogeneous recurrent spiking network: one pool whose neurons differ in time constant."""

from dataclasses import dataclass
from enum import Enum
from typing import Any, Final, final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from toolchain.errors import ArgumentError
from toolchain.intake import names_of
from toolchain.models.delays import LONGEST_LEARNT
from toolchain.models.network import Connection, Network, Readout
from toolchain.models.neurons import CubaLif, MaskedSynapses
from toolchain.models.topology import clustered_small_world, dale_weights, small_world, spectral_radius
from toolchain.options import (
    LONGEST_MS,
    choice,
    each,
    factor,
    hold,
    milliseconds,
    optional,
    real,
    share,
    whole,
)
from toolchain.reset import Reset

BETA_LIMITS: Final = (2 / np.e, 0.995)
"""Range of `exp(-dt / tau)`: the defaults of Perez-Nieves et al. 2021 (code)."""


class LearntDelays(Enum):
    """Which delays of a network are learnt."""

    NONE = "none"
    CONNECTION = "connection"
    """One for each connection, by which all its synapses wait."""
    SYNAPSE = "synapse"
    """One for each synapse."""


@final
@dataclass(frozen=True, kw_only=True)
class HrsnnShape:
    """Everything that defines a random HRSNN, or clustered HRSNN, but the random numbers.

    The paper (Chakraborty et al., ICLR 2024) gives LIF neurons, gamma-distributed membrane
    time constants and a random small-world graph; in the clustered network (CHRSNN) each cluster has a
    distribution of its own. Every number below is our fill-in.

    Attributes:
        channels: Number of input channels.
        classes: Number of classes.
        neurons: Size of the recurrent pool.
        density: Share of possible recurrent synapses.
        rewiring: Share of the ring's edges that are rewired (directed Watts-Strogatz).
        input_density: Share of possible input synapses.
        tau_mean_ms: Mean membrane time constant.
        tau_shape: Shape `k` of the gamma distribution; the larger, the more alike the neurons.
        cluster_tau_ms: Mean membrane time constant of each cluster, in place of `tau_mean_ms`; empty
            for one pool. The reference choice is 5, 10, 20, 40, 80.
        between: Density of synapses between clusters over the density inside one.
        inhibitory: Share of inhibitory neurons.
        inhibition: Strength of an inhibitory synapse against an excitatory one.
        gain: Spectral radius of the recurrent matrix, in thresholds.
        input_gain: Standard deviation of the summed input, in thresholds.
        bias: Constant input of every neuron, in thresholds: 1 holds it at its threshold.
        readout_tau_ms: Membrane time constant of the read-out.
        dt_ms: Length of a step.
        reset: Effect of a spike on the potential of a neuron of the pool.
        reset_amount: Potential that a spike sets or takes away, in thresholds; None for a whole threshold
            taken away.
        refractory_ms: Refractory period, rounded to steps.
        adaptation: Rise of the threshold at a spike, in thresholds; 0 for none. Bellec et al. 2018 have
            `1.8 (1 - exp(-dt / tau))`, which is 0.009 at the time constant below.
        adaptation_tau_ms: Time constant with which that rise decays.
        train: Parameters of the pool's neurons that are learnt: `dv` (time constants), `vth`,
            `reset_amount`, `adaptation`, `adaptation_decay`.
        delays: Whether the delays of input and recurrent synapses are learnt; all start at 0.
        longest_delay: The longest of them, in steps.
    """

    channels: int
    classes: int
    neurons: int = 512
    density: float = 0.1
    rewiring: float = 0.1
    input_density: float = 0.3
    tau_mean_ms: float = 20.0
    tau_shape: float = 3.0
    cluster_tau_ms: tuple[float, ...] = ()
    between: float = 0.1
    inhibitory: float = 0.2
    inhibition: float = 4.0
    gain: float = 0.8
    input_gain: float = 8.0
    bias: float = 0.0
    readout_tau_ms: float = 20.0
    dt_ms: float = 1.0
    reset: Reset = Reset.ZERO
    reset_amount: float | None = None
    refractory_ms: float = 0.0
    adaptation: float = 0.0
    adaptation_tau_ms: float = 200.0
    train: tuple[str, ...] = ()
    delays: LearntDelays = LearntDelays.NONE
    longest_delay: int = 10

    def __post_init__(self) -> None:
        hold(
            self,
            channels=whole(1),
            classes=whole(1),
            neurons=whole(1),
            density=share,
            rewiring=share,
            input_density=share,
            tau_mean_ms=milliseconds,
            tau_shape=factor,
            cluster_tau_ms=each(milliseconds),
            between=share,
            inhibitory=share,
            inhibition=factor,
            gain=real(0),
            input_gain=factor,
            bias=real(),
            readout_tau_ms=milliseconds,
            dt_ms=milliseconds,
            reset=choice(Reset),
            reset_amount=optional(real()),
            refractory_ms=real(0, LONGEST_MS),
            adaptation=real(0),
            adaptation_tau_ms=milliseconds,
            train=names_of,
            delays=choice(LearntDelays),
            longest_delay=whole(1, LONGEST_LEARNT),
        )
        if self.reset is Reset.SUBTRACT and self.reset_amount is not None and self.reset_amount < 0:
            raise ArgumentError("reset_amount", "an amount of 0 or more", f"{self.reset_amount:g}")
        # What a neuron can be is known in one place: whoever makes one is told.
        self.neurons_of(np.array([0.1]))

    @property
    def clusters(self) -> int:
        """Number of clusters; 1 for one pool."""
        return max(1, len(self.cluster_tau_ms))

    def neurons_of(self, dv: NDArray[np.floating[Any]]) -> CubaLif:
        """Return the neurons of the pool.

        Args:
            dv: Decay of each one's potential.

        Raises:
            ArgumentError: They contradict themselves.
        """
        vth = 1 / dv
        adaptation: dict[str, Any] = {}
        if self.adaptation:
            decay = -np.expm1(-self.dt_ms / self.adaptation_tau_ms)
            adaptation = {"adaptation": torch.tensor(self.adaptation * vth), "adaptation_decay": decay}
        return CubaLif(
            len(dv),
            du=1.0,
            dv=torch.tensor(dv),
            vth=torch.tensor(vth),
            bias=self.bias,
            train_bias=False,
            reset=self.reset,
            reset_amount=None if self.reset_amount is None else torch.tensor(self.reset_amount * vth),
            refractory=round(self.refractory_ms / self.dt_ms) or None,
            train=self.train,
            hold_rheobase="dv" in self.train,
            **adaptation,
        )

    @property
    def cluster(self) -> NDArray[np.int64]:
        """Which cluster each neuron belongs to, `[N]`: equal runs of neighbours."""
        return np.arange(self.neurons) * self.clusters // self.neurons


def build_hrsnn(shape: HrsnnShape, rng: np.random.Generator, *, readout: Readout = Readout.MEAN_V) -> Network:
    r"""Return an untrained HRSNN.

    The update `v <- beta v + (1 - beta) I` with threshold 1 is written in the equivalent form
    without a gain: threshold `1 / (1 - beta)` and input `I` (free rescaling: spikes are the
    same), so that weights of fast and slow neurons have one magnitude and train alike. Where time
    constants are learnt, thresholds follow them, so that it stays the same network as with that gain.

    Args:
        shape: Sizes and distributions.
        rng: Source of every random number.
        readout: How the output layer is read.
    """
    hidden = shape.neurons_of(1 - gamma_betas(shape, rng))
    readout_dv = 1 - np.exp(-shape.dt_ms / shape.readout_tau_ms)
    output = CubaLif(shape.classes, du=1.0, dv=readout_dv, vth=float("inf"))
    readout_weights = rng.normal(0, 1 / np.sqrt(shape.neurons), (shape.classes, shape.neurons))
    connections = {
        Connection("encode", "input", "hidden"): _sparse(shape, *_input_weights(shape, rng)),
        Connection("recur", "hidden", "hidden", delay=1): _sparse(shape, *_recurrent_weights(shape, rng)),
        Connection("decode", "hidden", "readout"): MaskedSynapses(_tensor(readout_weights)),
    }
    return Network(
        inputs={"input": shape.channels},
        layers={"hidden": hidden, "readout": output},
        connections=connections,
        output="readout",
        readout=readout,
        dt_ms=shape.dt_ms,
    )


def gamma_betas(shape: HrsnnShape, rng: np.random.Generator) -> NDArray[np.floating[Any]]:
    """Return `exp(-dt / tau)` per neuron, tau gamma-distributed, clipped to `BETA_LIMITS`."""
    means = np.array(shape.cluster_tau_ms or (shape.tau_mean_ms,))[shape.cluster]
    tau = rng.gamma(shape.tau_shape, means / shape.tau_shape)
    return np.clip(np.exp(-shape.dt_ms / np.maximum(tau, 1e-9)), *BETA_LIMITS)


def _recurrent_weights(
    shape: HrsnnShape, rng: np.random.Generator
) -> tuple[NDArray[np.floating[Any]], NDArray[np.bool_]]:
    """Return weights whose columns obey Dale's law, scaled to the wanted spectral radius."""
    if shape.clusters > 1:
        mask = clustered_small_world(shape.cluster, shape.density, shape.between, shape.rewiring, rng)
    else:
        mask = small_world(shape.neurons, shape.density, shape.rewiring, rng)
    weights = dale_weights(mask, shape.inhibitory, shape.inhibition, rng)
    radius = spectral_radius(weights)
    return weights * (shape.gain / radius if radius > 0 else 1.0), mask


def _input_weights(
    shape: HrsnnShape, rng: np.random.Generator
) -> tuple[NDArray[np.floating[Any]], NDArray[np.bool_]]:
    """Return weights with which every neuron reads the same number of channels, drawn at random."""
    fan_in = max(1, round(shape.input_density * shape.channels))
    order = rng.random((shape.neurons, shape.channels)).argsort(axis=1)
    mask = order < fan_in
    scale = shape.input_gain / np.sqrt(fan_in)
    return mask * rng.normal(0, scale, mask.shape), mask


def _sparse(shape: HrsnnShape, weights: NDArray[np.floating[Any]], mask: NDArray[np.bool_]) -> MaskedSynapses:
    start = {
        LearntDelays.NONE: None,
        LearntDelays.CONNECTION: 0.0,
        LearntDelays.SYNAPSE: torch.zeros(weights.shape),
    }[shape.delays]
    return MaskedSynapses(
        _tensor(weights),
        None if mask.all() else torch.tensor(mask),
        delays=start,
        longest_delay=None if start is None else shape.longest_delay,
    )


def _tensor(values: NDArray[np.floating[Any]]) -> Tensor:
    return torch.tensor(values, dtype=torch.get_default_dtype())
