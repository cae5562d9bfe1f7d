"""WAV files of every type of number; damaged ones are named."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.io import wavfile

from tests.data_files import tone
from toolchain.data.sound.wav import read_wav
from toolchain.errors import CorruptArtifactError, MissingFileError


@pytest.mark.parametrize(
    ("kind", "largest"), [("u1", 255), ("i2", 2**15 - 1), ("i4", 2**31 - 1), ("f4", 1.0), ("f8", 1.0)]
)
def test_numbers_of_every_type_come_to_one(kind: str, largest: float, tmp_path: Path) -> None:
    low = 0 if kind == "u1" else -largest
    wavfile.write(tmp_path / "a.wav", 8000, np.array([low, (low + largest) / 2, largest]).astype(kind))
    wave, rate = read_wav(tmp_path / "a.wav")
    assert rate == 8000
    assert wave.dtype == np.float32
    np.testing.assert_allclose(wave, [-1, 0, 1], atol=0.01)


def test_channels_are_averaged(tmp_path: Path) -> None:
    wavfile.write(tmp_path / "a.wav", 100, np.array([[0.5, -0.5], [1.0, 0.5]], np.float32))
    assert read_wav(tmp_path / "a.wav")[0].tolist() == [0.0, 0.75]


def test_a_waveform_is_brought_to_another_rate(tmp_path: Path) -> None:
    wavfile.write(tmp_path / "a.wav", 16_000, tone(440, 0, 16_000))
    wave, rate = read_wav(tmp_path / "a.wav", 8000)
    assert rate == 8000
    assert len(wave) == 1600
    strongest = np.abs(np.fft.rfft(wave)).argmax() * 8000 / len(wave)
    assert abs(strongest - 440) <= 5


def test_a_rate_that_would_swell_a_waveform_beyond_the_memory_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    wavfile.write(tmp_path / "a.wav", 1, tone(440, 0, 8000))
    monkeypatch.setenv("PUMICE_MEMORY", "64M")
    with pytest.raises(CorruptArtifactError, match="of memory"):
        read_wav(tmp_path / "a.wav", 10**6)


@pytest.mark.parametrize("content", [b"", b"RIFF", b"no sound at all", b"RIFF\x24\0\0\0WAVEfmt "])
def test_what_is_no_wav_file_is_named(content: bytes, tmp_path: Path) -> None:
    (tmp_path / "a.wav").write_bytes(content)
    with pytest.raises(CorruptArtifactError, match=r"a\.wav'"):
        read_wav(tmp_path / "a.wav")
    with pytest.raises(MissingFileError, match=r"b\.wav"):
        read_wav(tmp_path / "b.wav")


def test_a_recording_that_is_cut_off_is_refused(tmp_path: Path) -> None:
    wavfile.write(tmp_path / "a.wav", 8000, tone(440, 0))
    (tmp_path / "a.wav").write_bytes((tmp_path / "a.wav").read_bytes()[:-700])
    with pytest.raises(CorruptArtifactError, match="cut off"):
        read_wav(tmp_path / "a.wav")


def test_a_recording_that_is_not_finite_is_refused(tmp_path: Path) -> None:
    wavfile.write(tmp_path / "a.wav", 8000, np.array([0, np.nan], np.float32))
    with pytest.raises(CorruptArtifactError, match="not finite"):
        read_wav(tmp_path / "a.wav")


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("wav") / "a.wav"


@settings(max_examples=80, deadline=None)
@given(data=st.data())
def test_a_changed_file_is_sound_or_refused(place: Path, data: st.DataObject) -> None:
    wavfile.write(place, 8000, np.arange(40, dtype=data.draw(st.sampled_from(["u1", "<i2", "<f4"]))))
    content = bytearray(place.read_bytes())
    content[data.draw(st.integers(0, 60))] ^= data.draw(st.integers(1, 255))
    place.write_bytes(bytes(content[: data.draw(st.integers(0, len(content)))]))
    try:
        wave, rate = read_wav(place)
    except CorruptArtifactError:
        return
    assert wave.ndim == 1
    assert len(wave)
    assert rate > 0
