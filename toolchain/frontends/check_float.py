"""Whether PyTorch's own forward pass and the float graph are one network, and where they first differ."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, final

import numpy as np
import torch
from numpy.typing import NDArray

from toolchain.execution.trace import Trace
from toolchain.models import FeedForward, Network


@final
@dataclass(frozen=True)
class FloatAgreement:
    """PyTorch in the precision it was trained in, against the graph in float64.

    In float64 both agree to rounding. In float32 potentials drift by about 1e-6 until a spike flips at a
    threshold; from then on that sample's error is of the size of a spike.

    Attributes:
        dtype: Precision of the module.
        samples: Number of samples that were compared.
        flipped: Number of samples that have a different spike.
        first_flip: Layer, sample, step and neuron of the earliest different spike, or None.
        error_before: Largest |v| difference, in model units, before the earliest flip of any sample.
    """

    dtype: str
    samples: int
    flipped: int
    first_flip: tuple[str, int, int, int] | None
    error_before: float

    def __str__(self) -> str:
        head = f"PyTorch in {self.dtype} against the float graph, {self.samples} samples: "
        if self.first_flip is None:
            return head + f"every spike equal, potentials to {self.error_before:.1e}."
        layer, sample, step, neuron = self.first_flip
        return head + (
            f"{self.flipped} with a different spike, first at step {step} (neuron {neuron} of '{layer}', "
            f"sample {sample}); before it potentials agree to {self.error_before:.1e}."
        )


def check_float(
    network: Network | FeedForward, inputs: Mapping[str, NDArray[Any]], trace: Trace
) -> FloatAgreement:
    """Compare a network with the run of its graph.

    Args:
        network: Network, which runs in its own precision.
        inputs: Values `[batch, time, *features]` per input name.
        trace: Spikes and potentials of the float graph on the same inputs.
    """
    weight = next(network.parameters())
    dtype = weight.dtype
    streams = {
        name: torch.from_numpy(np.array(values)).to(weight.device, dtype) for name, values in inputs.items()
    }
    with torch.inference_mode():
        single = isinstance(network, FeedForward)
        activity = network(next(iter(streams.values())) if single else streams, record=True)
    different = {
        name: _flat(activity.spikes[name].cpu().numpy() != trace.spikes[name]) for name in network.layers
    }
    flips = [(*_earliest(where), name) for name, where in different.items() if where.any()]
    flip = min(flips, default=None)
    steps = flip[0] if flip is not None else next(iter(trace.v.values())).shape[1]
    errors = [
        np.abs(activity.v[name].cpu().numpy()[:, :steps] - trace.v[name][:, :steps]).max(initial=0.0)
        for name in network.layers
    ]
    # A network may have no neurons but those that are read out.
    flipped = np.zeros(len(next(iter(streams.values()))), np.bool_)
    for where in different.values():
        flipped |= where.any(axis=(1, 2))
    return FloatAgreement(
        str(dtype).removeprefix("torch."),
        len(flipped),
        int(flipped.sum()),
        None if flip is None else (flip[3], flip[1], flip[0], flip[2]),
        float(max(errors, default=0.0)),
    )


def _flat(values: NDArray[Any]) -> NDArray[Any]:
    return values.reshape(*values.shape[:2], -1)


def _earliest(different: NDArray[np.bool_]) -> tuple[int, int, int]:
    """Return step, sample and neuron of the earliest True of `[batch, time, N]`."""
    step, sample, neuron = np.argwhere(np.moveaxis(different, 1, 0))[0]
    return int(step), int(sample), int(neuron)
