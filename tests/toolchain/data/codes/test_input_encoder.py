"""What enters a network: the same at once, in pieces and on demand; codes suit the samples or are refused."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.data_files import WRITERS
from toolchain.data import DataSet, Encoding, Part, SampleKind, bin_events, encode, open_data
from toolchain.data.codes.input_encoder import InputEncoder, gathered
from toolchain.data.sets.data_set import OnDemand
from toolchain.errors import ExperimentError, UsageError
from toolchain.workflow.experiment import parse_experiment

_RNG = np.random.default_rng(0)
_EVENTS = np.array(
    [(t, t % 5, t % 7, t % 2) for t in range(60)], [("t", "i8"), ("x", "i8"), ("y", "i8"), ("p", "i8")]
)


def _data(kind: SampleKind, samples: Any, shape: tuple[int, ...], hertz: int = 0) -> DataSet:
    part = Part(samples, np.arange(len(samples)) % 2)
    return DataSet("mine", kind, shape, ("a", "b"), part, part, part, None, hertz)


def _values(*shape: int) -> DataSet:
    kinds = {1: SampleKind.VALUES, 2: SampleKind.VALUES, 3: SampleKind.PICTURES}
    return _data(kinds[len(shape)], np.random.default_rng(1).random((6, *shape)), shape)


def _encoder(data: DataSet, flat: bool = True, **keys: Any) -> InputEncoder:
    return InputEncoder(data, parse_experiment({"encoding": keys}).encoding, flat)


def _encoded(encoder: InputEncoder) -> np.ndarray:
    return gathered(encoder.part(encoder.data.train, np.random.default_rng(5), [5]))


def test_intensities_are_encoded_as_by_the_function() -> None:
    for shape in ((7,), (3, 7)):
        data = _values(*shape)
        for code in Encoding:
            expected = encode(data.train.samples, code, 4, rng=np.random.default_rng(5), max_rate=0.5)
            encoded = _encoded(_encoder(data, name=code.value, steps=4, max_rate=0.5))
            assert np.array_equal(encoded, expected)
            assert encoded.dtype == expected.dtype


@pytest.mark.parametrize("name", ["rate", "latency", "direct"])
@pytest.mark.parametrize("shape", [(7,), (3, 7), (2, 3, 4)])
def test_on_demand_and_at_once_are_the_same(
    name: str, shape: tuple[int, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    encoder = _encoder(_values(*shape), name=name, steps=5)
    whole = encoder.part(encoder.data.train, _RNG, [0])
    monkeypatch.setenv("PUMICE_MEMORY", "1K")
    demanded = OnDemand(
        lambda i: encoder._one(encoder.data.train, i, np.random.default_rng(i)), range(len(whole))
    )
    assert isinstance(whole, np.ndarray)
    monkeypatch.setenv("PUMICE_MEMORY", "1G")
    for i in range(len(whole)):
        assert np.array_equal(demanded[i], whole[i])


def test_what_does_not_fit_into_the_memory_is_encoded_on_demand(monkeypatch: pytest.MonkeyPatch) -> None:
    encoder = _encoder(_values(7), name="poisson", steps=2000)
    monkeypatch.setenv("PUMICE_MEMORY", "320K")
    demanded = encoder.part(encoder.data.train, np.random.default_rng(5), [5])
    assert isinstance(demanded, OnDemand)
    monkeypatch.setenv("PUMICE_MEMORY", "1G")
    assert demanded[2].shape == (2000, 7)
    assert np.array_equal(demanded[2], demanded[2])
    assert not np.array_equal(demanded[2], demanded[3])
    monkeypatch.setenv("PUMICE_MEMORY", "100K")
    with pytest.raises(UsageError, match="`test_samples`"):
        gathered(OnDemand(lambda _: np.zeros((2000, 7), bool), range(9)))


def test_rows_of_a_picture_come_one_after_the_other() -> None:
    data = _values(2, 3, 4)
    encoder = _encoder(data, name="direct", steps=2, rows=True)
    encoded = _encoded(encoder)
    assert encoded.shape == (6, encoder.steps, encoder.channels) == (6, 6, 8)
    assert np.array_equal(encoded[1, 2], data.train.samples[1][:, 1].ravel())


def test_channels_stand_in_a_row_or_as_they_are() -> None:
    data = _values(2, 3, 4)
    flat, square = (_encoded(_encoder(data, flat=flat, name="rate", steps=2)) for flat in (True, False))
    assert square.shape == (6, 2, 2, 3, 4)
    assert np.array_equal(flat, square.reshape(6, 2, 24))


def test_a_picture_that_is_shown_as_it_is_stands_there_once() -> None:
    data = _values(2, 3, 4)
    encoder = _encoder(data, flat=False, name="direct", steps=2)
    assert encoder.still
    assert np.array_equal(_encoded(encoder), data.train.samples.astype(np.float32))


def test_bytes_are_255ths() -> None:
    pictures = np.arange(24, dtype=np.uint8).reshape(2, 1, 3, 4) * 10
    encoded = _encoded(_encoder(_data(SampleKind.PICTURES, pictures, (1, 3, 4)), name="direct", steps=1))
    np.testing.assert_allclose(encoded[:, 0], pictures.reshape(2, 12) / 255, rtol=1e-6)


def test_movement_becomes_spikes_up_and_down() -> None:
    samples = np.array([[[0.0], [0.4], [0.1]]])
    encoded = _encoded(_encoder(_data(SampleKind.VALUES, samples, (3, 1)), name="delta", steps=4, unit=0.1))
    assert encoded.shape == (1, 12, 2)
    assert encoded[0].reshape(3, 4, 2).sum(axis=1).tolist() == [[0, 0], [4, 0], [0, 3]]


@pytest.mark.parametrize("shrink", [1, 2, 3])
def test_events_are_binned_and_joined(shrink: int) -> None:
    data = _data(SampleKind.EVENTS, OnDemand(lambda _: _EVENTS, range(2)), (2, 7, 5))
    counts = bin_events(_EVENTS, (2, 7, 5), 4, binary=False)
    encoder = _encoder(data, flat=False, name="bins", steps=4, shrink=shrink, graded=True)
    encoded = _encoded(encoder)
    assert encoded.shape[1:] == (4, *encoder.features)
    assert encoded[0].sum() == len(_EVENTS)
    assert encoded[0, 0, 0, 0, 0] == counts[0, 0, :shrink, :shrink].sum()
    spikes = _encoded(_encoder(data, flat=False, name="bins", steps=4, shrink=shrink))
    assert np.array_equal(spikes, encoded > 0)


def test_louder_bands_send_more_spikes(tmp_path: Path) -> None:
    path = WRITERS["wav"](tmp_path)
    experiment = parse_experiment(
        {"data": {"name": "wav", "path": str(path)}, "encoding": {"steps": 25, "bands": 10}}
    )
    data = open_data(experiment.data)
    assert isinstance(data, DataSet)
    spikes = _encoded(InputEncoder(data, experiment.encoding))
    levels = _encoded(_encoder(data, name="filter_bank", steps=25, bands=10, graded=True))
    assert spikes.shape == levels.shape == (len(data.train), 25, 10)
    assert (np.abs(spikes.sum(axis=1) - levels.sum(axis=1)) <= 1).all()


def test_stored_spikes_of_any_type_are_spikes() -> None:
    trains = np.random.default_rng(0).integers(0, 2, (4, 5, 3))
    encoded = _encoded(_encoder(_data(SampleKind.TRAINS, trains, (5, 3)), name="as_is"))
    assert encoded.dtype == np.bool_
    assert np.array_equal(encoded, trains)
    graded = _encoded(_encoder(_data(SampleKind.TRAINS, 2 * trains, (5, 3)), name="as_is"))
    assert np.array_equal(graded, 2 * trains)


@pytest.mark.parametrize("memory", ["1G", "1K"])
def test_the_training_part_alone_says_whether_trains_are_spikes(
    memory: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    spikes = np.random.default_rng(0).integers(0, 2, (4, 5, 3))
    graded = spikes / 2

    def encoder(train: np.ndarray) -> InputEncoder:
        return _encoder(_data(SampleKind.TRAINS, train, (5, 3)), name="as_is")

    def part(train: np.ndarray, other: np.ndarray) -> np.ndarray:
        samples = encoder(train).part(Part(other, np.zeros(4, np.int64)), _RNG, [0])
        return np.stack([samples[i] for i in range(4)])

    monkeypatch.setenv("PUMICE_MEMORY", memory)
    assert part(spikes, spikes).dtype == np.bool_
    assert part(graded, spikes.astype(float)).dtype == np.float64
    with pytest.raises(UsageError, match="holds 0.5, and those to train on are spikes, which are 0 or 1"):
        part(spikes, graded)


@pytest.mark.parametrize(
    ("data", "keys", "said"),
    [
        (_values(7), {"name": "filter_bank"}, "'filter_bank' does not suit data 'mine'.*values.*choose rate"),
        (_values(7), {"name": "delta"}, "for sequences, delta"),
        (_values(7), {"name": "as_is"}, "choose rate"),
        (_values(2, 3, 4), {"name": "bins"}, "pictures"),
        (_data(SampleKind.SOUND, [], (), 8000), {"name": "rate"}, "choose filter_bank"),
        (_data(SampleKind.EVENTS, [], (2, 3, 4)), {"name": "rate"}, "choose bins"),
        (_values(3, 7), {"name": "rate", "rows": True}, "shows pictures"),
    ],
)
def test_a_code_that_does_not_suit_says_which_do(data: DataSet, keys: dict[str, Any], said: str) -> None:
    with pytest.raises(ExperimentError, match=said):
        _encoder(data, **keys)
