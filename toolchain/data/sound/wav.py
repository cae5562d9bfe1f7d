"""Waveforms from WAV files of any origin."""

import io
import math
import warnings
from pathlib import Path
from typing import Any, Final, Literal

import numpy as np
from numpy.typing import NDArray
from scipy.io import wavfile

from toolchain.errors import CorruptArtifactError
from toolchain.files.disk import check_file
from toolchain.memory import budget

Waveform = NDArray[np.float32]

_GROWTH: Final = 12
"""A file takes at most so many times its size: bytes become real numbers, which are resampled."""
_RESAMPLED: Final = 8
"""Bytes of a sample while a waveform is brought to a faster rate."""
FASTEST: Final = 10**6
"""Samples in a second of anything that is sound."""
_ORDERS: Final[dict[bytes, Literal["little", "big"]]] = {b"RIFF": "little", b"RF64": "little", b"RIFX": "big"}
"""What a WAV file begins with, and the order of its bytes."""
_UNREADABLE: Final = (ValueError, EOFError, OverflowError, ZeroDivisionError, TypeError, MemoryError)


def read_wav(path: Path, hertz: int = 0) -> tuple[Waveform, int]:
    """Return a waveform in -1 .. 1 and its samples in a second.

    Args:
        path: The WAV file; the channels of one that has several are averaged.
        hertz: Samples in a second to which it is brought; 0 to leave it.

    Raises:
        MissingFileError: There is no such file.
        CorruptArtifactError: It is damaged, cut off, silent for lack of samples, or no WAV file.
    """
    check_file("WAV file", path)
    budget().check_file(path, _GROWTH * path.stat().st_size)
    try:
        with warnings.catch_warnings(record=True) as said:
            warnings.simplefilter("always")
            # In memory, so that nothing is allocated that a header only claims.
            rate, samples = wavfile.read(io.BytesIO(path.read_bytes()))
    except _UNREADABLE as error:
        raise CorruptArtifactError(path, f"is no WAV file that can be read: {error}") from None
    except Exception as error:  # noqa: BLE001 - struct.error, UnboundLocalError: SciPy does not foresee all damage
        raise CorruptArtifactError(path, f"is damaged: {type(error).__name__}: {error}") from None
    cut = [str(warning.message) for warning in said if "EOF" in str(warning.message)]
    if cut or not np.size(samples) or not 0 < rate <= FASTEST:
        why = cut[0] if cut else f"{np.size(samples)} samples at {rate} Hz"
        raise CorruptArtifactError(path, f"is cut off or empty: {why}")
    wave = _scaled(np.asarray(samples))
    if not np.isfinite(wave).all():
        raise CorruptArtifactError(path, "holds values that are not finite")
    if not hertz or hertz == rate:
        return wave, rate
    budget().check_file(path, _RESAMPLED * (len(wave) * hertz // rate))
    return _resampled(wave, rate, hertz), hertz


def sampling_rate(path: Path) -> int:
    """Return the samples in a second that a WAV file claims; 0 if it is none."""
    with path.open("rb") as file:
        mark, _, kind = file.read(4), file.read(4), file.read(4)
        if mark not in _ORDERS or kind != b"WAVE":
            return 0
        while len(head := file.read(8)) == 8:
            size = int.from_bytes(head[4:], _ORDERS[mark])
            if head[:4] == b"fmt ":
                return int.from_bytes(file.read(8)[4:], _ORDERS[mark])
            file.seek(size + size % 2, 1)
    return 0


def _scaled(samples: NDArray[Any]) -> Waveform:
    kind = samples.dtype
    wave = samples.astype(np.float32)
    if kind == np.uint8:
        wave = (wave - 128) / 128
    elif kind.kind in "iu":
        wave /= np.float32(2 ** (8 * kind.itemsize - 1))
    return np.asarray(wave.mean(axis=1) if wave.ndim > 1 else wave, np.float32)


def _resampled(wave: Waveform, rate: int, hertz: int) -> Waveform:
    from scipy.signal import resample_poly  # noqa: PLC0415 - takes long to load

    shared = math.gcd(rate, hertz)
    return np.asarray(resample_poly(wave, hertz // shared, rate // shared), np.float32)
