"""The sets of event recordings that can be read, and where tonic puts their files."""

from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from typing import Final, final

from toolchain.confined.reader import Format
from toolchain.errors import CorruptArtifactError, MissingFileError, UsageError


class EventData(Enum):
    """Recordings that can be read."""

    N_MNIST = "n_mnist"
    """Orchard et al. 2015: 34 x 34, two polarities, ten digits."""
    CIFAR10_DVS = "cifar10_dvs"
    """Li et al. 2017: 128 x 128, two polarities; no split of its own."""
    DVS_GESTURE = "dvs_gesture"
    """Amir et al. 2017: 128 x 128, two polarities, eleven gestures."""
    SHD = "shd"
    """Cramer et al. 2020: 700 channels of a cochlea, twenty spoken digits."""


@final
@dataclass(frozen=True, kw_only=True)
class EventSource:
    """How a set lies on disk.

    Attributes:
        folder: Name of the set's folder.
        parts: Folders of the training and the test part below that; of SHD the files.
        pattern: Pattern of the recordings' names; empty if they are all in one file.
        samples: Numbers of recordings that were published for training and for test.
        form: Format of the files.
        shape: Shape `(C, H, W)` of the sensor.
        unit: Length of the unit of its times in microseconds.
        classes: Names of the classes in their order: those of the recordings' folders or files.
        by_file: Whether the file of a recording names its class, not the folder.
    """

    folder: str
    parts: tuple[str, str]
    pattern: str = ""
    samples: tuple[int, int] = (0, 0)
    form: Format
    shape: tuple[int, int, int]
    unit: int = 1
    classes: tuple[str, ...]
    by_file: bool = False

    def find(self, folder: Path, *, train: bool, partial: bool) -> list[tuple[Path, int]]:
        """Return the recordings of a part with their labels, folder by folder, in the order of their names.

        Args:
            folder: Folder in which the set's own folder lies.
            train: Whether to take the training part; else the test part.
            partial: Whether fewer recordings than were published are fine.

        Raises:
            MissingFileError: There is no such folder; says where they were looked for.
            UsageError: The folder is there, and holds none.
            CorruptArtifactError: There are fewer, or the name of one says no class.
        """
        part = folder / self.folder / self.parts[0 if train else 1]
        expected = self.samples[0 if train else 1]
        paths = sorted(part.rglob(self.pattern)) if part.is_dir() else []
        if not paths and part.is_dir():
            raise UsageError(
                f"folder '{part}' holds no recording ({self.pattern}), expected {expected}",
                "unpack the recordings there, as tonic does, or name another folder",
            )
        if not paths:
            raise MissingFileError(f"folder of {expected} recordings ({self.pattern})", part)
        if len(paths) < expected and not partial:
            raise CorruptArtifactError(
                part,
                f"holds {len(paths)} recordings ({self.pattern}), the published set has {expected}; "
                "extract it again, or allow it with partial=True",
            )
        return [(path, self._label(path)) for path in paths]

    def _label(self, path: Path) -> int:
        word = path.stem if self.by_file else path.parent.name
        if word not in self.classes:
            where = "is called" if self.by_file else "lies in a folder called"
            known = f"{self.classes[0]} .. {self.classes[-1]}"
            raise CorruptArtifactError(
                path, f"{where} '{word}', which is no class ({known}): move it elsewhere"
            )
        return self.classes.index(word)


def _numbers(count: int) -> tuple[str, ...]:
    return tuple(map(str, range(count)))


SOURCES: Final = {
    EventData.N_MNIST: EventSource(
        folder="NMNIST",
        parts=("Train", "Test"),
        pattern="*.bin",
        samples=(60_000, 10_000),
        form=Format.N_MNIST,
        shape=(2, 34, 34),
        classes=_numbers(10),
    ),
    EventData.CIFAR10_DVS: EventSource(
        folder="CIFAR10DVS",
        parts=("", ""),
        pattern="*.aedat4",
        samples=(10_000, 10_000),
        form=Format.CIFAR10_DVS,
        shape=(2, 128, 128),
        classes=("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck"),
    ),
    EventData.DVS_GESTURE: EventSource(
        folder="DVSGesture",
        parts=("ibmGestureTrain", "ibmGestureTest"),
        pattern="*.npy",
        samples=(1077, 264),
        form=Format.DVS_GESTURE,
        shape=(2, 128, 128),
        unit=1000,
        classes=_numbers(11),
        by_file=True,
    ),
    EventData.SHD: EventSource(
        folder="SHD",
        parts=("shd_train.h5", "shd_test.h5"),
        form=Format.SHD,
        shape=(1, 1, 700),
        unit=1_000_000,
        classes=_numbers(20),
    ),
}
