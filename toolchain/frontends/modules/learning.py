"""A module of another framework as `fit` trains it: run from rest as it is, its result read as scores."""

from dataclasses import dataclass
from typing import final

import torch
from torch import Tensor, nn

from toolchain.errors import FrontendError, TrainingError
from toolchain.frontends.modules.kinds import neurons_of, reset_containers
from toolchain.frontends.modules.layouts import Layout
from toolchain.frontends.modules.ledger import Untyped
from toolchain.frontends.modules.network import Recorded
from toolchain.frontends.modules.readouts import tensors_of
from toolchain.frontends.modules.running import run_forward
from toolchain.intake import Axes
from toolchain.interrupts import Held
from toolchain.ir import Decode
from toolchain.models.over_steps import largest_over_steps, last_step, mean_over_steps, total_over_steps
from toolchain.training.own_module import OwnModule

_POOLED, _OVER_TIME = 2, 3


@final
@dataclass(frozen=True)
class OwnForward:
    """How a module is run on a batch, and how what it returns becomes scores.

    Attributes:
        module: The module.
        layout: How the samples lie that it takes.
        decode: What is read of the steps, where it returns them all.
        time: Axis of the steps in what it returns; None if it pools them itself.
    """

    module: nn.Module
    layout: Layout
    decode: Decode
    time: int | None

    def __call__(self, x: Tensor, lengths: Tensor | None = None) -> Tensor:
        """Return the scores of a batch `[batch, time, ...]`, or of pictures `[batch, ...]`.

        Args:
            x: The batch.
            lengths: Number of valid steps of each sample; None if all are valid.

        Raises:
            TrainingError: It fails on the batch, or reads all steps itself where samples have lengths.
        """
        if lengths is not None and self.time is None:
            raise TrainingError(
                "samples have lengths, and the module reads all steps itself, those after the end included",
                "let its forward return the spikes or potentials of every step: what is read of them is then "
                "taken from the valid steps",
            )
        try:
            result = first_result(self.module, x, self.layout)
        except (ArithmeticError, AttributeError, LookupError, TypeError, ValueError) as error:
            # Such as a batch-norm, which takes no statistics of one sample.
            raise TrainingError(
                f"the module fails on a batch of {len(x)} samples: {error}",
                "choose a batch_size that leaves no smaller batch at the end, or mend its forward",
            ) from error
        if self.time is None:
            return result
        match self.decode:
            case Decode.SPIKE_COUNT:
                return total_over_steps(result, lengths, self.time)
            case Decode.MEAN_V:
                return mean_over_steps(result, lengths, self.time)
            case Decode.MAX_V:
                return largest_over_steps(result, lengths, self.time)
            case _:
                return last_step(result, lengths, self.time)


def learner_of(module: nn.Module, record: Recorded, sample: Tensor) -> OwnModule:
    """Return a module as `fit` trains it, in place.

    Args:
        module: The module.
        record: What came of running it on an example.
        sample: One sample `[time, ...]`, or a picture `[...]`, as the example had them.

    Raises:
        FrontendError: It takes samples one by one, or returns what is no scores.
    """
    layout, output = record.layout, record.imported.graph.outputs[0]
    if layout.merged:
        raise FrontendError(
            "the module takes samples and steps in one axis, and so learns from one sample at a time only",
            "let its forward take [batch, time, ...]",
        )
    was_training = module.training
    # Another number of samples than of steps tells which axis is which.
    batch = 1 if record.steps != 1 else 2
    x = sample[None].expand(batch, *sample.shape).to(next(module.parameters()).dtype)
    with Held(module.eval, lambda _: module.train(was_training)), torch.enable_grad():
        result = first_result(module, x, layout)
    if not result.requires_grad:
        raise FrontendError(
            "what the module returns has no gradient, so that nothing can be learnt",
            "leave `no_grad`, `detach` and `.data` out of its forward",
        )
    time = _time_axis(result, batch, record.steps)
    forward = OwnForward(module, layout, output.decode, time)
    states = [
        f"{path}.{name}"
        for path, (child, _) in neurons_of(module).items()
        for name, _ in child.named_buffers()
    ]
    axes: Axes = ("samples", *sample.shape) if layout.time is None else ("samples", "time", *sample.shape[1:])
    return OwnModule(module, forward, forms=(axes,), scores=result.shape[-1], states=states)


def _time_axis(result: Tensor, batch: int, steps: int) -> int | None:
    if result.dim() == _POOLED and len(result) == batch:
        return None
    if result.dim() == _OVER_TIME and tuple(result.shape[:2]) in {(steps, batch), (batch, steps)}:
        return 0 if result.shape[0] == steps else 1
    raise FrontendError(
        f"the module returns {list(result.shape)} for {batch} sample(s) of {steps} steps",
        "return scores [batch, outputs], or the outputs of every step with that axis first or second",
    )


def first_result(module: nn.Module, x: Tensor, layout: Layout) -> Tensor:
    """Run a module from rest on a batch, and return the first tensor of what it returns."""
    for child, kind in neurons_of(module).values():
        kind.reset(child)
    reset_containers(module)
    tensor = x.transpose(0, 1) if layout.samples == 1 else x
    result: Untyped = run_forward(module, {"input": tensor}, layout)
    first = next(iter(tensors_of(result).values()), None)
    if first is None:
        raise FrontendError("the module returns no tensor", "return spikes, potentials or scores")
    return first
