"""Bands hear the tones they are made for, as loud as they are."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.data_files import tone
from toolchain.data.sound.filter_bank import FilterBank, centres
from toolchain.errors import ArgumentError


@settings(max_examples=20, deadline=None)
@given(hertz=st.floats(150, 3000), bands=st.integers(4, 40))
def test_a_tone_is_loudest_in_the_band_that_is_nearest(hertz: float, bands: int) -> None:
    levels = FilterBank(8000, bands, 100, 3200).levels(tone(hertz, 0), 10).mean(axis=0)
    place = np.abs(np.log(centres(bands, 100, 3200) / hertz)).argmin()
    assert abs(int(levels.argmax()) - int(place)) <= 1


@settings(max_examples=40, deadline=None)
@given(wave=st.lists(st.floats(-1, 1, width=32), min_size=1, max_size=200), steps=st.integers(1, 60))
def test_levels_of_any_sound_lie_in_0_to_1(wave: list[float], steps: int) -> None:
    levels = FilterBank(8000, 5).levels(np.array(wave), steps)
    assert levels.shape == (steps, 5)
    assert np.isfinite(levels).all()
    assert levels.min() >= 0
    assert levels.max() <= 1


def test_loudness_does_not_matter_and_silence_stays_silent() -> None:
    bank, wave = FilterBank(8000, 8), tone(700, 0).astype(float)
    np.testing.assert_allclose(bank.levels(wave, 20), bank.levels(wave / 1000, 20), atol=1e-9)
    assert not bank.levels(np.zeros(500), 20).any()


def test_a_later_tone_is_heard_later() -> None:
    wave = np.concatenate([np.zeros(1600), tone(700, 0)])
    levels = FilterBank(8000, 8).levels(wave, 10)
    assert not levels[:5].any()
    assert levels[5:].max() == 1


@pytest.mark.parametrize(("low", "high"), [(100, 4000), (500, 500), (900, 300)])
def test_bands_that_cannot_be_are_refused(low: float, high: float) -> None:
    with pytest.raises(ArgumentError, match="below half the samples in a second, 4000 Hz"):
        FilterBank(8000, 8, low, high)
