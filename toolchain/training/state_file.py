"""The state of a training between two epochs in one file: network, optimizer, callbacks and records."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Final, final

import torch
from pydantic import Field, JsonValue, ValidationError
from torch import Tensor, nn

from toolchain.errors import CorruptArtifactError, TrainingError
from toolchain.files.documents import Count, Document, explain
from toolchain.training.callback import Callback
from toolchain.training.tensor_files import check_state, load_tensors, save_tensors

STATE_FILE: Final = "state.safetensors"
_SCALAR: Final = "step"
"""The one thing of an optimizer that is not shaped like its parameter."""


@final
@dataclass(frozen=True)
class EpochRecord:
    """What came out of an epoch.

    Attributes:
        epoch: Number of the epoch, from 1.
        loss: Mean cross-entropy, or mean squared error where values are learnt.
        accuracy: On the training samples as they were seen, percent; None where values are learnt.
        validation_loss: The same after the epoch on samples that are not learnt from; None if there are none.
        validation_accuracy: Likewise.
    """

    epoch: Count
    loss: Annotated[float, Field(ge=0)]
    accuracy: Annotated[float, Field(ge=0, le=100)] | None
    validation_loss: Annotated[float, Field(ge=0)] | None = None
    validation_accuracy: Annotated[float, Field(ge=0, le=100)] | None = None


class TrainingNote(Document):
    """What the file says beside its tensors.

    Attributes:
        options: How the network is trained.
        seed: Seed of the order of samples.
        callbacks: Settings of each callback.
        records: What came out of the epochs that are done.
    """

    options: dict[str, JsonValue]
    seed: int
    callbacks: tuple[dict[str, JsonValue], ...]
    records: tuple[EpochRecord, ...]


def save_state(
    folder: Path,
    network: nn.Module,
    optimizer: torch.optim.Optimizer,
    callbacks: Sequence[Callback],
    note: TrainingNote,
) -> None:
    """Write the state after an epoch, whole or not at all."""
    tensors = {f"network.{name}": tensor for name, tensor in network.state_dict().items()}
    for index, state in optimizer.state_dict()["state"].items():
        tensors |= {f"optimizer.{index}.{name}": value for name, value in state.items()}
    for index, each in enumerate(callbacks):
        tensors |= {f"callback.{index}.{name}": value for name, value in each.state().items()}
    save_tensors(folder / STATE_FILE, tensors, note.model_dump_json())


def restore_state(
    folder: Path,
    network: nn.Module,
    optimizer: torch.optim.Optimizer,
    callbacks: Sequence[Callback],
    wanted: TrainingNote,
) -> tuple[EpochRecord, ...]:
    """Take back the state that a folder holds, and return the epochs that are done.

    Args:
        folder: Folder of the state.
        network: Network that gets its numbers.
        optimizer: Optimizer that gets its moments.
        callbacks: Callbacks that get what they remember.
        wanted: The training that is to be continued, without records.

    Raises:
        CorruptArtifactError: The file is damaged.
        TrainingError: It is the state of another training.
    """
    path = folder / STATE_FILE
    if not path.is_file():
        return ()
    tensors, text = load_tensors(path)
    known = _note(path, text)
    if known.model_copy(update={"records": ()}) != wanted:
        raise TrainingError(
            f"'{folder}' holds the state of a training with other options; choose another folder"
        )
    if [record.epoch for record in known.records] != list(range(1, len(known.records) + 1)):
        raise _damaged(path, "its epochs are not numbered one by one")
    parts = _by_part(tensors)
    try:
        check_state(parts.get("network", {}), network.state_dict(), path)
    except CorruptArtifactError as error:
        raise TrainingError(f"'{folder}' holds the state of another network: {error}") from None
    moments = _moments(path, parts.get("optimizer", {}), optimizer)
    network.load_state_dict(parts["network"])
    optimizer.load_state_dict(optimizer.state_dict() | {"state": moments})
    remembered = _by_part(parts.get("callback", {}))
    for index, each in enumerate(callbacks):
        each.restore(remembered.get(str(index), {}))
    return known.records


def _note(path: Path, text: str) -> TrainingNote:
    try:
        return TrainingNote.model_validate_json(text)
    except ValidationError as error:
        key, reason = explain(error)
        raise _damaged(path, f"'{key}' {reason}" if key else reason) from None


def _moments(
    path: Path, tensors: Mapping[str, Tensor], optimizer: torch.optim.Optimizer
) -> dict[int, dict[str, Tensor]]:
    """Return what an optimizer remembers of each parameter, checked against the parameters."""
    parameters = {
        str(index): parameter
        for index, parameter in enumerate(
            parameter for group in optimizer.param_groups for parameter in group["params"]
        )
    }
    moments: dict[int, dict[str, Tensor]] = {}
    for index, state in _by_part(tensors).items():
        if index not in parameters:
            raise _damaged(path, f"its optimizer moves a parameter '{index}', which does not exist")
        like = {
            name: tensor.new_empty(()) if name == _SCALAR else parameters[index]
            for name, tensor in state.items()
        }
        check_state(state, like, path)
        # An optimizer walks over memory: what it remembers must lie as the parameter does.
        moments[int(index)] = {
            name: torch.empty_like(like[name], dtype=tensor.dtype).copy_(tensor)
            for name, tensor in state.items()
        }
    names = {frozenset(state) for state in moments.values()}
    if len(names) > 1:
        raise _damaged(path, "its optimizer remembers other things of one parameter than of another")
    return moments


def _damaged(path: Path, reason: str) -> TrainingError:
    return TrainingError(f"'{path}' is not the state of a training ({reason}); remove it")


def _by_part(tensors: Mapping[str, Tensor]) -> dict[str, dict[str, Tensor]]:
    """Return tensors grouped by what stands before the first dot of their names."""
    parts: dict[str, dict[str, Any]] = {}
    for key, tensor in tensors.items():
        head, _, rest = key.partition(".")
        parts.setdefault(head, {})[rest] = tensor
    return parts
