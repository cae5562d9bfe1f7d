"""The serial line and its bytes: what is sent arrives, and means what the host means."""

from pathlib import Path

import numpy as np
import pytest

from tests.targets.rtl.icarus import simulate


def _hex(path: Path, values: list[int], digits: int) -> None:
    path.write_text("\n".join(f"{value:0{digits}x}" for value in values))


@pytest.mark.parametrize("divisor", [4, 12, 25])
def test_bytes_arrive_and_noise_and_breaks_are_told_apart(divisor: int, tmp_path: Path) -> None:
    values = [0, 255, 85, 170, *np.random.default_rng(divisor).integers(0, 256, 60).tolist()]
    _hex(tmp_path / "bytes.hex", values, 2)
    lines = simulate(
        tmp_path, "uart_bench", ("uart_rx", "uart_tx"), {"DIVISOR": divisor, "COUNT": len(values)}
    )
    assert lines == [*map(str, values), "noise: broken 0", "low: broken 1", "high: broken 0"]


def _answer(kind: int, source: int, code: int, value: int, size: int) -> list[int]:
    """Return the bytes of a beat, as `link.v` says."""
    if kind == 2:
        return [0x81]
    first = 1 if kind == 1 else 0 if value == 1 else 3
    tail = list(code.to_bytes(size + 1, "big"))[1:]
    amount = [] if first == 0 else list((value & 0xFFFFFF).to_bytes(3, "big"))
    return [first << 6 | source << 4 | code >> 8 * size, *tail, *amount]


@pytest.mark.parametrize(("code_bits", "value_bits"), [(6, 1), (12, 1), (14, 9), (16, 25)])
def test_bytes_become_beats_and_beats_become_bytes(code_bits: int, value_bits: int, tmp_path: Path) -> None:
    rng = np.random.default_rng(code_bits)
    size, wide, out_size = 1 + (code_bits > 14), -(-value_bits // 8), 1 + (code_bits > 12)
    words = rng.integers(0, 2**16, 5).tolist()
    sent = [0x80 | len(words) - 1, *(part for word in words for part in (word >> 8, word & 255))]
    expected_in = [f"load {word}" for word in words]
    for number, code in enumerate(rng.integers(0, 2**code_bits, 12).tolist()):
        value = int(rng.integers(-(2 ** (value_bits - 1)), 2 ** (value_bits - 1)))
        valued = number % 2 and value_bits > 1
        sent += [(0x40 if valued else 0) | code >> 8 * size, *code.to_bytes(size + 1, "big")[1:]]
        sent += [*(value & 2 ** (8 * wide) - 1).to_bytes(wide, "big")] if valued else []
        expected_in.append(f"in 0 {code} {value if valued else 1 if value_bits > 1 else -1}")
    sent += [0xC0, 0xE0]
    expected_in += [f"in {kind} 0" for kind in (1, 2)]
    beats = [(0, 3, 2**code_bits - 1, 1), (1, 1, 3, -5), (0, 0, 2, 7), (1, 2, 0, 1), (2, 0, 0, 0)]
    expected_out = [
        byte for kind, source, code, value in beats for byte in _answer(kind, source, code, value, out_size)
    ]
    _hex(tmp_path / "bytes.hex", sent, 2)
    packed = [k << 56 | s << 48 | c << 24 | v & 0xFFFFFF for k, s, c, v in beats]
    _hex(tmp_path / "beats.hex", packed, 16)
    parameters = {"CODE_BITS": code_bits, "VALUE_BITS": value_bits, "BYTES": len(sent), "BEATS": len(beats)}
    lines = simulate(tmp_path, "link_bench", ("link",), parameters)
    said_in = [line for line in lines if line.startswith(("load", "in"))]
    # An end and a rest have no code: only their kind counts.
    assert said_in[:-2] == expected_in[:-2]
    assert [line.split()[1] for line in said_in[-2:]] == ["1", "2"]
    assert [int(line.split()[1]) for line in lines if line.startswith("out")] == expected_out
