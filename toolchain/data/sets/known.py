"""What is known of data sets that can be named: their classes, where they lie, and where they can be had.

Nothing is downloaded: a path that does not hold what it should is answered with this table.
"""

from dataclasses import dataclass
from typing import Final, final

from toolchain.data.events.event_sources import SOURCES, EventData
from toolchain.data.pictures.idx import LAYOUT

_DIGITS: Final = tuple("0123456789")
_CLOTHES: Final = (
    "T-shirt/top",
    "trouser",
    "pullover",
    "dress",
    "coat",
    "sandal",
    "shirt",
    "sneaker",
    "bag",
    "ankle boot",
)
_TONIC: Final = "tonic downloads and unpacks it"


@final
@dataclass(frozen=True)
class KnownSet:
    """A published data set.

    Attributes:
        classes: Names of the classes in the order of their numbers; empty if its files name them.
        train: Samples of the official training part; 0 where there is none.
        test: Samples of the official test part; 0 where there is none.
        layout: What `path` must hold.
        source: Where it can be had.
    """

    classes: tuple[str, ...]
    train: int
    test: int
    layout: str
    source: str

    @property
    def advice(self) -> str:
        """What to do where it is not found."""
        return f"`path` must be {self.layout}; {self.source}, nothing is downloaded here"


def _recordings(data: EventData, source: str) -> KnownSet:
    known = SOURCES[data]
    parts = " and ".join(dict.fromkeys(f"{known.folder}/{part}".rstrip("/") for part in known.parts))
    train, test = (0, 0) if known.parts[0] == known.parts[1] else known.samples
    return KnownSet(known.classes, train, test, f"the folder that holds {parts}", f"{source}; {_TONIC}")


KNOWN: Final = {
    "fashion_mnist": KnownSet(
        _CLOTHES,
        60_000,
        10_000,
        LAYOUT,
        "get it at github.com/zalandoresearch/fashion-mnist or as Debian's package dataset-fashion-mnist",
    ),
    "mnist": KnownSet(
        _DIGITS, 60_000, 10_000, LAYOUT, "get it at yann.lecun.com/exdb/mnist or a mirror of it"
    ),
    "cifar10": KnownSet(
        (),
        50_000,
        10_000,
        "the folder cifar-10-batches-bin with data_batch_1.bin to 5, test_batch.bin and batches.meta.txt",
        "get the binary version at www.cs.toronto.edu/~kriz/cifar.html",
    ),
    "nmnist": _recordings(EventData.N_MNIST, "get it at www.garrickorchard.com/datasets/n-mnist"),
    "dvs_gesture": _recordings(EventData.DVS_GESTURE, "get it at research.ibm.com/dvsgesture"),
    "cifar10_dvs": _recordings(
        EventData.CIFAR10_DVS, "get it at figshare.com (CIFAR10-DVS: An Event-Stream Dataset)"
    ),
    "shd": _recordings(EventData.SHD, "get it at zenkelab.org/resources/spiking-heidelberg-datasets-shd"),
    "spoken_digits": KnownSet(
        _DIGITS,
        2_700,
        300,
        "the folder `recordings` with files DIGIT_SPEAKER_INDEX.wav",
        "get it at github.com/Jakobovski/free-spoken-digit-dataset",
    ),
    "braille": KnownSet(
        ("space", "A", "E", "I", "O", "U", "Y"),
        0,
        0,
        "a folder of .npz files, or one, with `input` [samples, 256, 12] and `labels`",
        "get the recordings at zenodo.org/records/7050094 (tactile Braille letters)",
    ),
}
"""Data sets by the name that stands under `[data]`; digits come with scikit-learn, series are computed."""
