"""Questions to the process that reads files of strangers, and its answers, which are not trusted either."""

import json
import os
import re
import select
import subprocess
import time
from collections.abc import Mapping
from math import prod
from typing import Any, Final, final

import numpy as np
from numpy.typing import NDArray

_PLAIN: Final = re.compile(r"[<>|][biufU]\d{1,9}")
"""Types of arrays that are numbers or text."""
_DOCUMENT: Final = 2**24
"""Bytes of the longest document; the names of so many arrays are no file that anybody wrote."""
_CONFUSED: Final = "confused the reading process"


class LostError(Exception):
    """The process ended, was too slow, or answered what is no answer; it is of no use any more."""


@final
class Pipe:
    """One question to a process and its answer; `process.py` describes both.

    Args:
        process: Its input and output are pipes.
        seconds: How long it may take until the whole answer is here.
        limit: Most bytes of the arrays together.
    """

    def __init__(self, process: "subprocess.Popen[bytes]", seconds: float, limit: int) -> None:
        if process.stdin is None or process.stdout is None:  # pragma: no cover - both are pipes
            raise LostError("cannot be read: no pipe to the reading process")
        self._input, self._output = process.stdin, process.stdout.fileno()
        self._waiting = select.poll()
        self._waiting.register(self._output, select.POLLIN)
        self._seconds, self._deadline, self._left = seconds, time.monotonic() + seconds, limit

    def ask(self, question: Mapping[str, object]) -> str | dict[str, NDArray[Any]]:
        """Return the arrays of a file by name, or what is wrong with it.

        Raises:
            LostError: There is no answer.
        """
        try:
            self._input.write(json.dumps(question).encode() + b"\n")
        except BrokenPipeError:
            raise LostError("ended the reading process") from None
        answer = self._document()
        return (
            answer["refused"]
            if isinstance(answer.get("refused"), str)
            else self._arrays(answer.get("arrays"))
        )

    def _document(self) -> dict[str, Any]:
        size = int.from_bytes(self._bytes(8), "big")
        if size > _DOCUMENT:
            raise LostError(_CONFUSED)
        try:
            answer = json.loads(self._bytes(size))
        except (ValueError, RecursionError):
            answer = None
        if not isinstance(answer, dict):
            raise LostError(_CONFUSED)
        return answer

    def _arrays(self, listed: Any) -> dict[str, NDArray[Any]]:  # noqa: ANN401 - whatever came
        arrays: dict[str, NDArray[Any]] = {}
        try:
            for name, kind, shape in listed:
                if not _PLAIN.fullmatch(kind) or any(extent < 0 for extent in shape):
                    raise LostError(_CONFUSED)
                size = np.dtype(kind).itemsize * prod(shape)
                self._left -= size
                if self._left < 0:
                    raise LostError("made the reading process send more than was asked")
                arrays[str(name)] = np.ndarray(tuple(shape), kind, self._bytes(size))
        except (TypeError, ValueError):
            raise LostError(_CONFUSED) from None
        return arrays

    def _bytes(self, count: int) -> bytearray:
        content = bytearray(count)
        left = memoryview(content)
        while left:
            if not self._waiting.poll(max(self._deadline - time.monotonic(), 0) * 1000):
                raise LostError(f"could not be read within {self._seconds:g} seconds")
            got = os.readv(self._output, [left])
            if not got:
                raise LostError("ended the reading process")
            left = left[got:]
        return content
