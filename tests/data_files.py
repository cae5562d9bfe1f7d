"""Small data sets in their true formats, one per kind that an experiment can name."""

import gzip
import struct
from collections.abc import Callable
from pathlib import Path

import numpy as np
from PIL import Image
from scipy.io import wavfile

from tests.event_files import aedat4, n_mnist, write_dvs_gesture, write_shd
from toolchain.data import DataSet, open_data
from toolchain.data.events.event_sources import SOURCES, EventData
from toolchain.execution.stimulus import Stimulus
from toolchain.files.npz import write_arrays
from toolchain.workflow.experiment import parse_experiment

CLASSES = ("left", "right")
EACH = 12
"""Samples of every class."""


def idx(array: np.ndarray) -> bytes:
    """Return bytes in IDX: two zeros, the type, the number of axes, their extents."""
    return bytes((0, 0, 8, array.ndim)) + struct.pack(f">{array.ndim}I", *array.shape) + array.tobytes()


def write_npz(folder: Path) -> Path:
    rng = np.random.default_rng(0)
    labels = np.arange(2 * EACH) % 2
    trains = rng.random((2 * EACH, 10, 6)) < 0.2 + 0.4 * labels[:, None, None]
    Stimulus({"input": trains}, labels).save(folder / "a.npz")
    return folder / "a.npz"


def write_csv(folder: Path) -> Path:
    rng = np.random.default_rng(0)
    rows = list[str]()
    for i in range(2 * EACH):
        length, width = rng.normal(i % 2), rng.normal(-(i % 2))
        rows.append(f"2024-05-{i + 1:02d};{length:.3f};{width:.3f};{CLASSES[i % 2]}".replace(".", ","))
    path = folder / "a.csv"
    path.write_text("\n".join(["date;length;width;species", *rows]) + "\n")
    return path


def write_houses(folder: Path) -> Path:
    """A table with a date, a word, a gap, decimal commas, and two columns to say from three others."""
    rng = np.random.default_rng(0)
    rows = list[str]()
    for i in range(2 * EACH):
        area, rooms, age = rng.uniform(30, 200), rng.integers(1, 8), rng.uniform(0, 90)
        price, rent = 3000 * area - 500 * age, round(9.5 * area + 20 * rooms, 2)
        rows.append(f"2024-06-{i + 1:02d};{area:.2f};{rooms};{price:.0f};{age:.1f};{rent};brick")
    head = "sold;area;rooms;price;age;rent;walls"
    path = folder / "houses.csv"
    path.write_text("\n".join([head, *(row.replace(".", ",") for row in rows)]) + "\n")
    return path


def write_weather(folder: Path) -> Path:
    """A series with dates, words, gaps and decimal commas, separated by semicolons."""
    rng = np.random.default_rng(0)
    rows = list[str]()
    for i in range(180):
        warmth = f"{12 + 8 * np.sin(i / 4) + rng.normal(0, 0.2):.2f}" if i % 17 != 3 else ""
        wind = f"{5 + 2 * np.cos(i / 7):.2f}" if i % 23 != 5 else "NA"
        rows.append(f"2024-01-01T{i:03d};{warmth};{wind};dry".replace(".", ","))
    path = folder / "weather.csv"
    path.write_text("\n".join(["time;temperature;wind;sky", *rows]) + "\n")
    return path


def write_idx(folder: Path, classes: int = 2, size: int = 8) -> Path:
    rng = np.random.default_rng(0)
    for name, samples in (("train", classes * EACH), ("t10k", classes * 3)):
        labels = (np.arange(samples) % classes).astype(np.uint8)
        brightness = 128 * rng.random((samples, size, size)) + 100 * (labels[:, None, None] % 2)
        pictures = brightness.astype(np.uint8)
        (folder / f"{name}-labels-idx1-ubyte").write_bytes(idx(labels))
        with gzip.open(folder / f"{name}-images-idx3-ubyte.gz", "wb") as file:
            file.write(idx(pictures))
    return folder


def write_images(folder: Path) -> Path:
    rng = np.random.default_rng(0)
    for number, name in enumerate(CLASSES):
        (folder / name).mkdir()
        for i in range(EACH):
            pixels = (rng.random((12, 20, 3)) * 100 + 150 * number).astype(np.uint8)
            Image.fromarray(pixels).save(folder / name / f"{i}.{'png' if i % 2 else 'jpg'}")
    return folder


def write_events(folder: Path) -> Path:
    rng = np.random.default_rng(0)
    for number, name in enumerate(CLASSES):
        (folder / name).mkdir()
        for i in range(EACH):
            times = np.sort(rng.integers(0, 10_000, 50))
            x = rng.integers(17 * number, 17 * number + 17, 50)
            events = {"t": times, "x": x, "y": rng.integers(0, 34, 50), "p": rng.integers(0, 2, 50)}
            write_arrays(folder / name / f"{i}.npz", events)
    return folder


def tone(hertz: float, seed: int, rate: int = 8000) -> np.ndarray:
    """Return a fifth of a second of a tone in noise, as integers of 16 bits."""
    rng = np.random.default_rng(seed)
    time = np.arange(rate // 5) / rate
    return (8000 * np.sin(2 * np.pi * hertz * time) + rng.normal(0, 200, len(time))).astype(np.int16)


def write_wav(folder: Path) -> Path:
    for number, name in enumerate(CLASSES):
        (folder / name).mkdir()
        for i in range(EACH):
            wavfile.write(folder / name / f"{i}.wav", 8000, tone(300 + 1500 * number, i))
    return folder


def write_spoken_digits(folder: Path) -> Path:
    for digit in range(10):
        for i in range(9):
            wavfile.write(folder / f"{digit}_jane_{i}.wav", 8000, tone(300 + 250 * digit, i))
    return folder


def write_cifar10(folder: Path, records: int = 10) -> Path:
    rng = np.random.default_rng(0)
    for name in [*(f"data_batch_{i}" for i in range(1, 6)), "test_batch"]:
        rows = rng.integers(0, 256, (records, 3073), dtype=np.uint8)
        rows[:, 0] = np.arange(records) % 10
        (folder / f"{name}.bin").write_bytes(rows.tobytes())
    names = "airplane automobile bird cat deer dog frog horse ship truck"
    (folder / "batches.meta.txt").write_text(names.replace(" ", "\n"))
    return folder


def _events(seed: int, size: int) -> list[tuple[int, int, int, int]]:
    rng = np.random.default_rng(seed)
    places = rng.integers(0, size, (40, 2)).tolist()
    return [(1000 * i, places[i][0], places[i][1], i % 2) for i in range(1, 40)]


def write_nmnist(folder: Path) -> Path:
    for number, part in enumerate(("Train", "Test")):
        for digit in range(10):
            for i in range(3):
                path = folder / "NMNIST" / part / str(digit) / f"{i}.bin"
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_bytes(n_mnist(_events(100 * number + 10 * i + digit, 34)))
    return folder


def write_gestures(folder: Path) -> Path:
    for number, part in enumerate(("ibmGestureTrain", "ibmGestureTest")):
        for gesture in range(11):
            for user in range(3):
                events = _events(100 * number + 11 * user + gesture, 128)
                write_dvs_gesture(folder, events, f"{part}/user{user:02d}_lab/{gesture}.npy")
    return folder


def write_cifar10_dvs(folder: Path) -> Path:
    for number, name in enumerate(SOURCES[EventData.CIFAR10_DVS].classes):
        for i in range(5):
            path = folder / "CIFAR10DVS" / name / f"{i}.aedat4"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(aedat4([_events(10 * i + number, 128)]))
    return folder


def write_spoken_spikes(folder: Path) -> Path:
    for name, each in (("shd_train.h5", 3), ("shd_test.h5", 1)):
        labels = [i % 20 for i in range(20 * each)]
        times = [[0.0, 0.25, 0.5, 1.0]] * len(labels)
        units = [[label, 30 * label, 699, i + 100 * each] for i, label in enumerate(labels)]
        write_shd(folder, times, units, labels, name)
    return folder


def write_braille(folder: Path) -> Path:
    rng = np.random.default_rng(0)
    trains = rng.random((42, 256, 12)) < 0.1
    labels = np.arange(42) % 7
    Stimulus({"input": trains[:28]}, labels[:28]).save(folder / "one.npz")
    Stimulus({"input": trains[14:]}, labels[14:]).save(folder / "two.npz")
    return folder


WRITERS: dict[str, Callable[[Path], Path]] = {
    "npz": write_npz,
    "csv": write_csv,
    "idx": write_idx,
    "images": write_images,
    "events": write_events,
    "wav": write_wav,
    "fashion_mnist": lambda folder: write_idx(folder, 10, 28),
    "cifar10": write_cifar10,
    "nmnist": write_nmnist,
    "dvs_gesture": write_gestures,
    "cifar10_dvs": write_cifar10_dvs,
    "shd": write_spoken_spikes,
    "spoken_digits": write_spoken_digits,
    "braille": write_braille,
}
"""Writes each kind into an empty folder, and returns its path."""
KEYS: dict[str, dict[str, object]] = {
    "csv": {"label": "species"},
    "images": {"size": [6, 5]},
    "events": {"reader": "arrays", "sensor": [2, 34, 34]},
    "nmnist": {"partial": True},
    "dvs_gesture": {"partial": True},
    "cifar10_dvs": {"partial": True},
}
"""What `[data]` must say of these kinds besides their path."""


def opened(name: str, path: Path, **keys: object) -> DataSet:
    """Open a set as an experiment names it."""
    data = open_data(parse_experiment({"data": keys_of(name, path, **keys)}).data)
    assert isinstance(data, DataSet)
    return data


def keys_of(name: str, path: Path, **keys: object) -> dict[str, object]:
    """Return what stands under `[data]`."""
    return {"name": name, "path": str(path)} | KEYS.get(name, {}) | keys


REAL_VALUES: dict[str, Callable[[Path], Path] | None] = {
    "csv_regression": write_houses,
    "csv_forecast": write_weather,
    "lorenz63": None,
    "rossler": None,
    "mackey_glass": None,
}
"""The same for examples that learn real values; None for what is computed."""
