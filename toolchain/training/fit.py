"""The training loop: surrogate gradients, a one-cycle learning rate, a checkpoint after every epoch."""

import json
import math
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final, final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from toolchain.errors import TrainingError
from toolchain.models.network import Network
from toolchain.progress import Progress, no_progress
from toolchain.training.checkpoint import load_tensors, save_tensors

_STATE: Final = "state.safetensors"
_WARM_UP: Final = 0.3
_FIRST, _LAST = 1 / 25, 1 / 1000


@final
@dataclass(frozen=True)
class FitOptions:
    """How to train.

    Attributes:
        epochs: Passes over the training split.
        batch_size: Samples per step.
        learning_rate: Peak of the cycle.
        weight_decay: Decoupled weight decay of AdamW.
        gradient_clip: Largest norm of a gradient.
        label_smoothing: Of the cross-entropy.
        device: `cpu`, `cuda` or `auto`: a GPU if there is one. Another device sums in another
            order, so it trains to slightly other numbers.
    """

    epochs: int
    batch_size: int
    learning_rate: float
    weight_decay: float = 0.0
    gradient_clip: float = 1.0
    label_smoothing: float = 0.0
    device: str = "auto"


@final
@dataclass(frozen=True)
class EpochRecord:
    """One epoch.

    Attributes:
        epoch: From 1.
        loss: Mean cross-entropy, or mean squared error where values are learnt.
        accuracy: On the training samples as they were seen, percent; None where values are learnt.
    """

    epoch: int
    loss: float
    accuracy: float | None


def fit(
    network: Network,
    inputs: NDArray[Any],
    labels: NDArray[Any],
    options: FitOptions,
    *,
    seed: int,
    checkpoint: Path | None = None,
    progress: Progress = no_progress,
) -> tuple[EpochRecord, ...]:
    """Train a network in place.

    The order of samples in an epoch depends on `seed` and the epoch only, and the learning rate
    on the step only, so that a run continued from its checkpoint ends with the same numbers as
    one that was never interrupted.

    Args:
        network: Trained in place.
        inputs: `[samples, time, channels]`.
        labels: Classes `[samples]`, learnt by cross-entropy; or values `[samples, outputs]`, learnt by
            squared error.
        options: How to train.
        seed: Of the order of samples.
        checkpoint: Folder for the state after every epoch; continued from if it holds one.
        progress: Told after every epoch.

    Raises:
        TrainingError: The loss is not finite, the checkpoint is of another training, or the device
            does not exist.
    """
    network.to(_device(options.device))
    try:
        return _fit_epochs(network, inputs, labels, options, seed, checkpoint, progress)
    finally:
        network.to("cpu")


def _fit_epochs(
    network: Network,
    inputs: NDArray[Any],
    labels: NDArray[Any],
    options: FitOptions,
    seed: int,
    checkpoint: Path | None,
    progress: Progress,
) -> tuple[EpochRecord, ...]:
    x, y = torch.from_numpy(np.asarray(inputs)), torch.from_numpy(np.asarray(labels))
    optimizer = torch.optim.AdamW(
        [p for p in network.parameters() if p.requires_grad],
        lr=options.learning_rate,
        weight_decay=options.weight_decay,
    )
    records = [] if checkpoint is None else _resume(checkpoint, network, optimizer, options, seed)
    for epoch in range(len(records) + 1, options.epochs + 1):
        progress(epoch - 1, options.epochs)
        order = torch.from_numpy(np.random.default_rng([seed, epoch]).permutation(len(x)))
        records.append(_epoch(network, optimizer, x, y, order, epoch, options))
        if checkpoint is not None:
            _save(checkpoint, network, optimizer, options, seed, records)
    progress(options.epochs, options.epochs)
    return tuple(records)


def _device(name: str) -> torch.device:
    if name == "cuda" and not torch.cuda.is_available():
        raise TrainingError("device 'cuda' is not available here; use 'auto' or 'cpu'")
    return torch.device("cuda" if name == "cuda" or (name == "auto" and torch.cuda.is_available()) else "cpu")


def one_cycle(part: float) -> float:
    """Return the share of the peak learning rate after `part` (0 .. 1) of all steps.

    A function of the step alone, so that nothing of it has to be stored to continue a training.
    Cosine from 1/25 up to 1 during the first 30 %, then cosine down to 1/1000 (Smith & Topin
    2018, in the shape that torch's OneCycleLR made common).
    """
    if part < _WARM_UP:
        start, end, phase = _FIRST, 1.0, part / _WARM_UP
    else:
        start, end, phase = 1.0, _LAST, (part - _WARM_UP) / (1 - _WARM_UP)
    return end + (start - end) * (1 + math.cos(math.pi * phase)) / 2


def _epoch(
    network: Network,
    optimizer: torch.optim.Optimizer,
    x: Tensor,
    y: Tensor,
    order: Tensor,
    epoch: int,
    options: FitOptions,
) -> EpochRecord:
    batches = order.split(options.batch_size)
    weight = next(network.parameters())
    total, right = 0.0, 0
    for i, batch in enumerate(batches):
        part = (epoch - 1 + i / len(batches)) / options.epochs
        for group in optimizer.param_groups:
            group["lr"] = options.learning_rate * one_cycle(part)
        target = y[batch].to(weight.device)
        scores = network(x[batch].to(weight.device, weight.dtype)).scores
        loss = _loss(scores, target, options)
        value = float(loss.detach())
        if not math.isfinite(value):
            raise TrainingError(
                f"the loss became {value} in epoch {epoch}; lower training.learning_rate or model.gain"
            )
        optimizer.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(network.parameters(), options.gradient_clip)
        optimizer.step()
        total += value * len(batch)
        if not y.is_floating_point():
            right += int((scores.argmax(dim=1) == target).sum())
    return EpochRecord(epoch, total / len(x), None if y.is_floating_point() else 100 * right / len(x))


def _loss(scores: Tensor, target: Tensor, options: FitOptions) -> Tensor:
    if target.is_floating_point():
        return nn.functional.mse_loss(scores, target.to(scores.dtype))
    return nn.functional.cross_entropy(scores, target, label_smoothing=options.label_smoothing)


def _save(
    folder: Path,
    network: Network,
    optimizer: torch.optim.Optimizer,
    options: FitOptions,
    seed: int,
    records: list[EpochRecord],
) -> None:
    tensors = {f"network.{name}": tensor for name, tensor in network.state_dict().items()}
    for index, state in optimizer.state_dict()["state"].items():
        tensors |= {f"optimizer.{index}.{name}": value for name, value in state.items()}
    document = {"options": asdict(options), "seed": seed, "records": [asdict(record) for record in records]}
    save_tensors(folder / _STATE, tensors, json.dumps(document))


def _resume(
    folder: Path, network: Network, optimizer: torch.optim.Optimizer, options: FitOptions, seed: int
) -> list[EpochRecord]:
    if not (folder / _STATE).is_file():
        return []
    tensors, note = load_tensors(folder / _STATE)
    try:
        document = dict(json.loads(note))
    except (ValueError, TypeError) as error:
        raise TrainingError(
            f"'{folder / _STATE}' is not the state of a training ({error}); remove it"
        ) from None
    if document.get("options") != asdict(options) or document.get("seed") != seed:
        raise TrainingError(
            f"'{folder}' holds the state of a training with other options; choose another folder"
        )
    state: dict[int, dict[str, Tensor]] = {}
    weights: dict[str, Tensor] = {}
    for key, tensor in tensors.items():
        part, _, rest = key.partition(".")
        if part == "network":
            weights[rest] = tensor
        else:
            index, _, name = rest.partition(".")
            state.setdefault(int(index), {})[name] = tensor
    try:
        network.load_state_dict(weights)
    except RuntimeError as error:
        raise TrainingError(f"'{folder}' holds the state of another network: {error}") from None
    optimizer.load_state_dict(optimizer.state_dict() | {"state": state})
    return [EpochRecord(**record) for record in document["records"]]
