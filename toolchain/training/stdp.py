"""Unsupervised learning of a recurrent pool: pair-based spike-timing-dependent plasticity with soft bounds.

The paper trains its pools by STDP or by surrogate gradients and gives no constants; these are the usual
ones of the liquid-state literature.
"""

from dataclasses import dataclass
from typing import Any, final

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.sparse import csc_array, csr_array

from toolchain.compiled import njit
from toolchain.errors import TrainingError
from toolchain.models.network import Network
from toolchain.models.neurons import MaskedSynapses
from toolchain.options import factor, hold, milliseconds, real
from toolchain.progress import Progress, no_progress
from toolchain.training.samples import SampleReader, Samples


@final
@dataclass(frozen=True)
class StdpOptions:
    r"""Numbers of the learning rule.

    A spike of the target adds :math:`\eta_+ (w_{max} - w)\, x_{source}`, a spike of the source takes
    :math:`\eta_- w\, x_{target}`, with traces :math:`x` that decay exponentially and grow by 1 at every
    spike. Only excitatory synapses learn; they stay between 0 and `w_max`.

    Attributes:
        potentiation: Learning rate `eta_+` of a source that fires before its target.
        depression: Learning rate `eta_-` of a source that fires after its target.
        tau_source_ms: Time constant of the trace of the source.
        tau_target_ms: Time constant of the trace of the target.
        bound: Largest weight `w_max` in units of the mean excitatory weight at the start.
    """

    potentiation: float = 0.005
    depression: float = 0.006
    tau_source_ms: float = 20.0
    tau_target_ms: float = 20.0
    bound: float = 3.0

    def __post_init__(self) -> None:
        hold(
            self,
            potentiation=real(0),
            depression=real(0),
            tau_source_ms=milliseconds,
            tau_target_ms=milliseconds,
            bound=factor,
        )


def learn_stdp(
    network: Network,
    layer: str,
    inputs: Samples,
    options: StdpOptions,
    *,
    progress: Progress = no_progress,
) -> None:
    """Let the recurrent synapses of a layer learn from samples, one after the other, in place.

    Args:
        network: Network whose layer is driven by inputs and itself only.
        layer: Name of the recurrent layer.
        inputs: Samples `[samples, time, channels]`, as `fit` takes them; every sample starts from rest.
        options: Numbers of the learning rule.
        progress: Function that is called after every sample.

    Raises:
        ArgumentError: The inputs do not fit the network, are empty or not finite.
        TrainingError: The layer is driven by something else, filters its current, or has no synapse.
    """
    loop, drives = _parts(network, layer)
    population = network.layer(layer)
    weights = csr_array(loop.effective.detach().cpu().double().numpy())
    weights.sort_indices()
    excitatory = weights.data > 0
    if not excitatory.any():
        raise TrainingError(f"layer '{layer}' has no excitatory recurrent synapse that could learn")
    limit = options.bound * float(weights.data[excitatory].mean())
    places = csr_array((np.arange(weights.nnz), weights.indices, weights.indptr), weights.shape)
    by_source = csc_array(places)
    forget = np.exp(-network.dt_ms / np.array([options.tau_source_ms, options.tau_target_ms]))
    if len(network.inputs) != 1:
        raise TrainingError(f"STDP takes networks of one input, got {len(network.inputs)}")
    samples = SampleReader(network, inputs)
    for i in range(len(samples)):
        with torch.no_grad():
            x = samples.read(np.array([i]), population.bias)
            current = torch.stack([synapses(x)[0] for synapses in drives]).sum(dim=0) + population.bias
        _run(
            (weights.indptr, weights.indices, weights.data, excitatory),
            (by_source.indptr, by_source.indices, by_source.data),
            (1 - population.dv.detach().double().numpy(), population.vth.detach().double().numpy()),
            current.double().numpy(),
            (float(forget[0]), float(forget[1]), options.potentiation, options.depression, limit),
        )
        progress(i + 1, len(samples))
    with torch.no_grad():
        loop.weight.copy_(torch.from_numpy(weights.toarray()))


def _parts(network: Network, layer: str) -> tuple[MaskedSynapses, list[MaskedSynapses]]:
    loops: list[MaskedSynapses] = []
    drives: list[MaskedSynapses] = []
    for arrow in network.connections:
        module = network.synapses[arrow.name]
        if arrow.target == layer and isinstance(module, MaskedSynapses):
            if arrow.source == layer and arrow.delay == 1:
                loops.append(module)
            elif arrow.source in network.inputs and arrow.delay == 0:
                drives.append(module)
    wanted = sum(arrow.target == layer for arrow in network.connections)
    if len(loops) != 1 or not drives or len(drives) + 1 != wanted:
        raise TrainingError(
            f"STDP needs a layer that is driven by inputs and, one step later, by itself; '{layer}' is not"
        )
    if not bool((network.layer(layer).du == 1).all()):
        raise TrainingError(f"STDP knows neurons without a current filter; layer '{layer}' has one")
    if not network.layer(layer).is_plain:
        raise TrainingError(f"STDP knows neurons whose spikes set them to zero and do no more, not '{layer}'")
    if any(module.delays is not None for module in (*loops, *drives)):
        raise TrainingError(f"STDP knows no delays of single synapses; those that drive '{layer}' have some")
    return loops[0], drives


@njit(cache=True)
def _run(
    rows: tuple[Any, Any, Any, Any],
    columns: tuple[Any, Any, Any],
    neurons: tuple[Any, Any],
    current: NDArray[Any],
    rule: tuple[float, float, float, float, float],
) -> None:
    """Run one sample from rest and change the weights on the way."""
    _, _, weights, learns = rows
    column_ptr, column_index, places = columns
    beta, threshold = neurons
    forget_source, forget_target, up, down, limit = rule
    steps, size = current.shape
    v = np.zeros(size)
    recurrent = np.zeros(size)
    source_trace = np.zeros(size)
    target_trace = np.zeros(size)
    fired = np.zeros(size, np.bool_)
    for t in range(steps):
        for i in range(size):
            p = beta[i] * v[i] + recurrent[i] + current[t, i]
            fired[i] = p > threshold[i]
            v[i] = 0.0 if fired[i] else p
            recurrent[i] = 0.0
            source_trace[i] *= forget_source
            target_trace[i] *= forget_target
        _potentiate(rows, np.flatnonzero(fired), source_trace, up, limit)
        for j in np.flatnonzero(fired):
            for c in range(column_ptr[j], column_ptr[j + 1]):
                e = places[c]
                if learns[e]:
                    weights[e] -= down * weights[e] * target_trace[column_index[c]]
                recurrent[column_index[c]] += weights[e]
        for i in range(size):
            source_trace[i] += fired[i]
            target_trace[i] += fired[i]


@njit(cache=True)
def _potentiate(
    rows: tuple[Any, Any, Any, Any], fired: NDArray[Any], trace: NDArray[Any], up: float, limit: float
) -> None:
    pointers, sources, weights, learns = rows
    for i in fired:
        for e in range(pointers[i], pointers[i + 1]):
            if learns[e]:
                weights[e] += up * (limit - weights[e]) * trace[sources[e]]
