"""Run a network on a board, over its serial line. It needs NumPy and pyserial, and nothing of Pumice.

    python host.py --port /dev/ttyUSB1 --input stimulus.npz --output answers.npz

`stimulus.npz` holds an array `[samples, steps, *features]` for each input; spikes are 0 and 1, and graded
inputs are in the model's units. `answers.npz` gets what every output sent, in integers: `NAME.spikes` or
`NAME.v`, `[samples, steps, *features]`, and `NAME.classes` where scores are read from it.

From Python: `with Board.connected(folder, "/dev/ttyUSB1") as board: board.load(); board.run(inputs)`.
"""

import argparse
import json
import sys
import zipfile
from collections import deque
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Protocol, Self

import numpy as np
from numpy.typing import NDArray

Arrays = dict[str, NDArray[Any]]

_WORDS = 64
"""Most words of the load stream that one byte announces."""
_LOAD, _COMPLETE, _REST, _VALUED = 0x80, 0xC0, 0xE0, 0x40
_POTENTIAL, _STEP_OVER, _MESSAGE = 1, 2, 0
"""What the highest two bits of an answer's first byte mean; 3 is a message with a value."""
_LOST, _FAULT = 2, 1
_SHORT_CODE, _SHORT_ANSWER = 14, 12
"""Most bits of a code that takes one byte beside the first one: of an event, and of an answer."""


class BoardError(Exception):
    """The board does not answer as it should."""


class Line(Protocol):
    """A serial line, or something like one."""

    def write(self, data: bytes, /) -> object:
        """Send bytes."""
        ...

    def read(self, most: int, /) -> bytes:
        """Return at least one byte, or none if there is none for a long time."""
        ...

    def send_break(self) -> None:
        """Hold the line low for longer than a byte takes."""
        ...

    def close(self) -> None:
        """Give the line back."""
        ...


class Board:
    """A network on a board.

    Args:
        folder: The exported folder.
        line: The line to the board, whose bitstream is that of the folder.
    """

    def __init__(self, folder: Path | str, line: Line) -> None:
        folder = Path(folder)
        self._line = line
        self._form: dict[str, Any] = json.loads((folder / "network.json").read_text("utf-8"))
        with np.load(folder / "codes.npz", allow_pickle=False) as stored:
            self._codes: Arrays = {name: stored[name] for name in stored.files}
        self._image = (folder / "image.bin").read_bytes()
        self._received = bytearray()
        bits = int(self._form["code_bits"])
        self._code_bytes = 2 if bits > _SHORT_CODE else 1
        self._out_bytes = 2 if bits > _SHORT_ANSWER else 1
        self._value_bytes = -(-int(self._form["value_bits"]) // 8)

    @classmethod
    def connected(cls, folder: Path | str, port: str, patience_s: float = 10.0) -> "Board":
        """Open the serial port of a board.

        Args:
            folder: The exported folder.
            port: Name of the port, such as `/dev/ttyUSB1` or `COM5`.
            patience_s: Seconds after which a board that says nothing counts as dead.
        """
        try:
            import serial  # noqa: PLC0415 - only where there is a port
        except ImportError:
            raise BoardError("the serial port needs pyserial: python -m pip install pyserial") from None
        form = json.loads((Path(folder) / "network.json").read_text("utf-8"))
        return cls(folder, _Port(serial.Serial(port, form["baud"], timeout=patience_s)))

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._line.close()

    def load(self) -> None:
        """Reset the board and write the network into its memories."""
        self._line.send_break()
        self._received.clear()
        words = len(self._image) // 2
        for first in range(0, words, _WORDS):
            part = self._image[2 * first : 2 * (first + _WORDS)]
            self._line.write(bytes([_LOAD | (len(part) // 2 - 1)]) + part)

    def run(self, inputs: Mapping[str, NDArray[Any]]) -> Arrays:
        """Run samples, each from rest.

        Args:
            inputs: `[samples, steps, *features]` for each input.

        Returns:
            `NAME.spikes` or `NAME.v` of each output, `[samples, steps, *features]`, integers.
        """
        samples, steps = self._check(inputs)
        answers = {
            _key(form): np.zeros((samples * steps, int(self._output_codes(form).max()) + 1), np.int32)
            for form in self._form["outputs"]
        }
        coming = self._steps(inputs, samples, steps)
        waiting: deque[int] = deque()
        upcoming = next(coming, None)
        for done in range(samples * steps):
            # The board takes the bytes of one step as they come. Those of later steps wait in its queue.
            while upcoming is not None and _behind(waiting, len(upcoming)) <= int(self._form["queue"]):
                self._line.write(upcoming)
                waiting.append(len(upcoming))
                upcoming = next(coming, None)
            self._take_step({name: rows[done] for name, rows in answers.items()})
            waiting.popleft()
        return {
            _key(form): answers[_key(form)].reshape(samples, steps, -1)[..., self._output_codes(form)]
            for form in self._form["outputs"]
        }

    def classes(self, answers: Arrays) -> Arrays:
        """Return the class with the highest score of each output that scores are read from, `[samples]`."""
        chosen: Arrays = {}
        for form in self._form["outputs"]:
            values = answers[_key(form)]
            scores = _scores(values.reshape(*values.shape[:2], -1), form)
            if scores is not None:
                chosen[f"{form['name']}.classes"] = scores.argmax(axis=1)
        return chosen

    def _check(self, inputs: Mapping[str, NDArray[Any]]) -> tuple[int, int]:
        """Return how many samples and steps the inputs have; raise if they are none of this network."""
        extents: set[tuple[int, ...]] = set()
        for number, form in enumerate(self._form["inputs"]):
            name, features = form["name"], self._codes[f"input{number}"].shape
            if name not in inputs:
                raise BoardError(f"what enters lacks input '{name}', it has {', '.join(inputs) or 'none'}")
            given = np.asarray(inputs[name])
            if given.shape[2:] != features or given.ndim != len(features) + 2:
                expected = ", ".join(["samples", "steps", *map(str, features)])
                raise BoardError(f"expected [{expected}] for input '{name}', got {list(given.shape)}")
            if given.dtype.kind not in "biuf" or not np.isfinite(given).all():
                raise BoardError(f"input '{name}' holds what is no number")
            extents.add(given.shape[:2])
        if len(extents) != 1 or 0 in min(extents):
            raise BoardError(f"inputs have no samples or no steps, or differ in them: {sorted(extents)}")
        samples, steps = extents.pop()
        return samples, steps

    def _output_codes(self, form: Mapping[str, Any]) -> NDArray[Any]:
        return self._codes[f"output{form['number']}"]

    def _steps(self, inputs: Mapping[str, NDArray[Any]], samples: int, steps: int) -> Iterator[bytes]:
        """Yield the bytes of every step of every sample."""
        for sample in range(samples):
            for step in range(steps):
                parts = (
                    self._events(form, self._codes[f"input{number}"], inputs[form["name"]][sample, step])
                    for number, form in enumerate(self._form["inputs"])
                )
                yield bytes([_REST] * (step == 0)) + b"".join(part + bytes([_COMPLETE]) for part in parts)

    def _events(self, form: Mapping[str, Any], codes: NDArray[Any], values: NDArray[Any]) -> bytes:
        """Return the bytes of one input in one step."""
        if not form["graded"]:
            return b"".join(self._code(int(code)) for code in np.sort(codes[values.astype(bool)]))
        limit = 2 ** int(form["bits"]) - 1
        whole = np.clip(np.rint(values.astype(np.float64) * form["scale"]), -limit, limit).astype(np.int64)
        events = sorted(zip(codes[whole != 0].tolist(), whole[whole != 0].tolist(), strict=True))
        size = self._value_bytes
        return b"".join(
            self._code(code, _VALUED) + (value & ((1 << 8 * size) - 1)).to_bytes(size, "big")
            for code, value in events
        )

    def _code(self, code: int, flag: int = 0) -> bytes:
        count = self._code_bytes
        return bytes([flag | code >> 8 * count]) + (code & ((1 << 8 * count) - 1)).to_bytes(count, "big")

    def _take_step(self, rows: Arrays) -> None:
        """Read what the board says of one step, into a row of each output."""
        while True:
            first = self._take(1)[0]
            kind, source, highest = first >> 6, first >> 4 & 3, first & 15
            if kind == _STEP_OVER:
                _check_state(first)
                return
            code = highest << 8 * self._out_bytes | int.from_bytes(self._take(self._out_bytes), "big")
            value = 1 if kind == _MESSAGE else int.from_bytes(self._take(3), "big", signed=True)
            for form in self._form["outputs"]:
                if form["number"] == source and form["potentials"] == (kind == _POTENTIAL):
                    _note(rows[_key(form)], code, value, form)

    def _take(self, count: int) -> bytes:
        while len(self._received) < count:
            arrived = self._line.read(4096)
            if not arrived:
                raise BoardError(
                    "the board says nothing: is its bitstream that of this folder, and the network loaded?"
                )
            self._received += arrived
        taken = bytes(self._received[:count])
        del self._received[:count]
        return taken


class _Port:
    """A serial port that returns what is there, instead of waiting for all that was asked for."""

    def __init__(self, port: Any) -> None:  # noqa: ANN401 - pyserial has no types here
        self._port = port

    def write(self, data: bytes, /) -> object:
        return self._port.write(data)

    def read(self, most: int, /) -> bytes:
        return self._port.read(max(1, min(most, self._port.in_waiting)))

    def send_break(self) -> None:
        self._port.send_break(0.01)
        self._port.reset_input_buffer()

    def close(self) -> None:
        self._port.close()


def _behind(waiting: deque[int], more: int) -> int:
    """Return the bytes of steps behind the first one that is not over, if so many were sent."""
    return sum([*waiting, more][1:])


def _key(form: Mapping[str, Any]) -> str:
    return f"{form['name']}.{'v' if form['potentials'] else 'spikes'}"


def _note(row: NDArray[Any], code: int, value: int, form: Mapping[str, Any]) -> None:
    """Write what one neuron said; a lane without a neuron shows a potential of zero, too."""
    if code < len(row):
        row[code] = value
    elif value or not form["potentials"]:
        raise BoardError(
            f"the board names neuron {code} of output '{form['name']}', which has none such: "
            "is its bitstream that of this folder? Load the network again and run anew"
        )


def _check_state(byte: int) -> None:
    if byte & _LOST:
        raise BoardError("bytes were lost on their way to the board; load the network again and run anew")
    if byte & _FAULT:
        raise BoardError("the board got events that its network has no input for; load the network again")


def _scores(values: NDArray[Any], output: Mapping[str, Any]) -> NDArray[np.float64] | None:
    """Return the scores `[samples, classes]` that are read from an output's `[samples, steps, neurons]`."""
    real = values.astype(np.float64)
    if output["potentials"]:
        real = real / np.asarray(output["units"])
    read = {
        "spike_count": lambda: real.sum(axis=1),
        "spike_rate": lambda: real.mean(axis=1),
        "last_v": lambda: real[:, -1],
        "mean_v": lambda: real.mean(axis=1),
        "max_v": lambda: real.max(axis=1),
    }.get(output["decode"])
    if read is None:
        return None
    scores = read()
    if output.get("weights") is not None:
        scores = (scores[:, None, :] * np.asarray(output["weights"])).sum(axis=2)
    return scores if output.get("bias") is None else scores + np.asarray(output["bias"])


def _read_samples(path: Path) -> Arrays:
    if not zipfile.is_zipfile(path):
        path.open("rb").close()
        raise BoardError(f"'{path}' is no .npz file")
    with np.load(path, allow_pickle=False) as stored:
        return {name: stored[name] for name in stored.files}


def main(arguments: list[str] | None = None) -> int:
    """Load a network, run the samples of a file, and write what it answers."""
    parser = argparse.ArgumentParser(description="Run a network on a board, over its serial line.")
    parser.add_argument("--port", required=True, help="serial port, such as /dev/ttyUSB1 or COM5")
    parser.add_argument("--input", required=True, type=Path, help="samples (.npz), an array for each input")
    parser.add_argument("--output", type=Path, help="file (.npz) for the answers")
    parser.add_argument("--folder", type=Path, default=Path(__file__).parent, help="the exported folder")
    chosen = parser.parse_args(arguments)
    try:
        inputs = _read_samples(chosen.input)
        with Board.connected(chosen.folder, chosen.port) as board:
            board.load()
            answers = board.run(inputs)
            answers |= board.classes(answers)
        if chosen.output:
            arrays: dict[str, Any] = dict(answers)
            np.savez(chosen.output, **arrays)
    except (BoardError, OSError, KeyError, ValueError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    for name, values in answers.items():
        print(f"{name}: {values.shape}")
        if name.endswith(".classes"):
            print(*values.tolist())
    return 0


if __name__ == "__main__":
    sys.exit(main())
