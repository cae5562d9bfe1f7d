"""Errors of workers arrive as they were raised."""

from pathlib import Path

import pytest

from toolchain.cluster.outcome import CarriedError, RemoteError, carried
from toolchain.errors import (
    ArgumentError,
    FidelityError,
    OutOfMemoryError,
    StorageError,
    ToolchainError,
    UnknownNameError,
    VerifyError,
)


@pytest.mark.parametrize(
    "error",
    [
        ArgumentError("workers", "a number", "none", "give one"),
        UnknownNameError("target", "lavva", ["lava", "onnx"]),
        StorageError(Path("a/b"), "cannot be written", "free some space"),
        FidelityError("spike_f1", "hidden", measured=0.5, required=0.9),
        VerifyError("hidden", "is not well formed"),
    ],
)
def test_our_own_errors_keep_class_text_exit_code_and_attributes(error: ToolchainError) -> None:
    error.add_note("this was in a shard")
    arrived = carried(error).restored()
    assert type(arrived) is type(error)
    assert str(arrived) == str(error)
    assert vars(arrived) == vars(error)


def test_what_only_one_process_can_have_stays_there() -> None:
    error = ToolchainError("it failed")
    vars(error)["file"] = open  # a function is none of the plain values
    assert "file" not in vars(carried(error).restored())


def test_any_other_exception_is_a_bug_with_the_traceback_of_its_worker() -> None:
    try:
        raise KeyError("nothing")
    except KeyError as error:
        arrived = carried(error).restored()
    assert isinstance(arrived, RemoteError)
    assert "test_outcome.py" in str(arrived)
    assert str(arrived).endswith("KeyError: 'nothing'")


def test_what_the_machine_refuses_is_no_bug() -> None:
    assert carried(OSError("no room")) == CarriedError(ToolchainError, ("no room",), {"remedy": ""})
    assert carried(MemoryError()).kind is OutOfMemoryError
