"""The keys of `[data]`: each kind of data set has its own, and `name` says which.

`CODE` is the encoding that a kind has if the experiment names none. `SERIES` says whether it is a series.
"""

from enum import Enum
from typing import Annotated, ClassVar, Final, Literal, get_args

from pydantic import Field

from toolchain.files.documents import Document, later

Text = Annotated[str, Field(min_length=1)]
Positive = Annotated[int, Field(gt=0, lt=2**31)]
Seed = Annotated[int, Field(ge=0, lt=2**32)]
Part = Annotated[float, Field(ge=0, lt=1)]
Parts = Annotated[float, Field(gt=0, lt=1)]

_VALIDATION: Final = "share of the training samples that is held out for validation, apart from the test"
_FEWER: Final = "take so many samples to train and validate only, of every class its share"
_FEWER_TESTS: Final = "test on so many samples only, of every class its share"
_FEWER_WINDOWS: Final = "train on so many windows only, evenly spaced, and on the same share to validate"
_FEWER_TEST_WINDOWS: Final = "test on the first so many windows only"


class Broken(Enum):
    """What to do about files that cannot be read."""

    REFUSE = "refuse"
    SKIP = "skip"


class Gaps(Enum):
    """What to do about cells that hold no number."""

    REFUSE = "refuse"
    INTERPOLATE = "interpolate"
    DROP = "drop"


class Naming(Enum):
    """What names the class of a file."""

    FOLDER = "folder"
    FILE = "file"


class EventReader(Enum):
    """How the recordings of a folder are read."""

    ARRAYS = "arrays"
    N_MNIST = "n_mnist"
    DVS_GESTURE = "dvs_gesture"
    AEDAT4 = "aedat4"
    DVS_128 = "dvs_128"
    DAVIS_346 = "davis_346"
    DVS_346MINI = "dvs_346mini"
    DVS_IBM = "dvs_ibm"
    DVS_RED = "dvs_red"


class NamedData(Document):
    """`[data]`: what all kinds have."""

    CODE: ClassVar[str] = "rate"
    SERIES: ClassVar[bool] = False


class DigitsData(NamedData):
    """`[data]`: scikit-learn's 1,797 digits of 8 x 8 pixels, at once or row by row."""

    name: Literal["digits", "sequential_digits"] = Field(
        default="digits", description="digits: each image at once; sequential_digits: row by row"
    )
    test_fraction: Parts = Field(default=0.3, description="share held out for testing")
    split_seed: Seed = Field(default=0, description="seed of the split, apart from the seed of the network")
    validation_fraction: Part = later(0.0, _VALIDATION)
    train_samples: Positive | None = later(None, _FEWER)
    test_samples: Positive | None = later(None, _FEWER_TESTS)


class FilesData(NamedData):
    """`[data]`: what all sets have that are read from a path."""

    path: Text = Field(description="file or folder, seen from where the command runs")
    validation_fraction: Part = Field(default=0.1, description=_VALIDATION)
    split_seed: Seed = Field(default=0, description="seed of the split, apart from the seed of the network")
    train_samples: Positive | None = later(None, _FEWER)
    test_samples: Positive | None = later(None, _FEWER_TESTS)


class OwnData(FilesData):
    """`[data]`: what all sets of your own have."""

    test_path: str = Field(default="", description="where the test part lies; empty to hold out a share")
    test_fraction: Parts = Field(default=0.2, description="share held out for testing without `test_path`")


class NpzData(OwnData):
    """`[data]`: arrays `input` and `labels` in an `.npz` file, as `Stimulus.save` writes it.

    Whole numbers `[samples]` are classes, real numbers `[samples]` or `[samples, outputs]` values to learn.
    """

    CODE: ClassVar[str] = "as_is"

    name: Literal["npz"] = Field(description="kind of data set")
    scale: bool = Field(
        default=False, description="bring values to 0 .. 1 by minimum and maximum of the training part"
    )
    classes: tuple[str, ...] = Field(
        default=(), description="names of the classes, or of the outputs for real labels; empty for numbers"
    )


class CsvData(OwnData):
    """`[data]`: a table; with `label` or `targets` a sample per row, without them a series to forecast."""

    name: Literal["csv"] = Field(description="kind of data set")
    label: str = Field(default="", description="column that names the class of a row; empty for none")
    targets: tuple[str, ...] = later((), "columns of numbers to say of a row (regression); empty for none")
    columns: tuple[str, ...] = Field(default=(), description="columns to read; empty for all of numbers")
    delimiter: str = Field(default="", description="what stands between cells; empty to find out")
    decimal: Literal["", ".", ","] = Field(default="", description="point or comma; empty to find out")
    gaps: Gaps = Field(default=Gaps.REFUSE, description="cells without number: refuse, interpolate or drop")
    frames: Positive = Field(default=1, description="pieces that a row is cut into and shown in")


class IdxData(OwnData):
    """`[data]`: pictures in the four files of MNIST, packed by gzip or not."""

    name: Literal["idx"] = Field(description="kind of data set")
    classes: tuple[str, ...] = Field(default=(), description="names of the classes; empty for numbers")


class ImagesData(OwnData):
    """`[data]`: a folder with a folder of image files for each class."""

    name: Literal["images"] = Field(description="kind of data set")
    size: tuple[Positive, Positive] = Field(description="height and width to which pictures are scaled")
    grey: bool = Field(default=True, description="one grey channel instead of red, green and blue")
    broken: Broken = Field(default=Broken.REFUSE, description="files that cannot be read: refuse or skip")


class EventsData(OwnData):
    """`[data]`: a folder with a folder of event recordings for each class."""

    CODE: ClassVar[str] = "bins"

    name: Literal["events"] = Field(description="kind of data set")
    reader: EventReader = Field(description="format of the recordings")
    sensor: tuple[Positive, Positive, Positive] = Field(description="polarities, rows and columns")
    broken: Broken = Field(default=Broken.REFUSE, description="files that cannot be read: refuse or skip")


class WavData(OwnData):
    """`[data]`: a folder of WAV files."""

    CODE: ClassVar[str] = "filter_bank"

    name: Literal["wav"] = Field(description="kind of data set")
    label: Naming = Field(
        default=Naming.FOLDER, description="class: the file's folder, or its name up to the first '_' (file)"
    )
    broken: Broken = Field(default=Broken.REFUSE, description="files that cannot be read: refuse or skip")


class PublishedPictures(FilesData):
    """`[data]`: published pictures with an official test part."""

    name: Literal["fashion_mnist", "mnist", "cifar10"] = Field(description="kind of data set")


class PublishedEvents(FilesData):
    """`[data]`: published event recordings, as tonic unpacks them."""

    CODE: ClassVar[str] = "bins"

    name: Literal["nmnist", "dvs_gesture", "cifar10_dvs", "shd"] = Field(description="kind of data set")
    partial: bool = Field(default=False, description="whether fewer recordings than were published are fine")
    test_fraction: Parts = Field(
        default=0.2, description="share held out for testing where there is no official test part at hand"
    )
    broken: Broken = Field(default=Broken.REFUSE, description="files that cannot be read: refuse or skip")


class SpokenDigitsData(FilesData):
    """`[data]`: the Free Spoken Digit Dataset; the recordings 0 to 4 of everybody are the official test."""

    CODE: ClassVar[str] = "filter_bank"

    name: Literal["spoken_digits"] = Field(description="kind of data set")
    broken: Broken = Field(default=Broken.REFUSE, description="files that cannot be read: refuse or skip")


class BrailleData(FilesData):
    """`[data]`: letters under a fingertip of twelve sensors, as spikes; equal samples count once."""

    CODE: ClassVar[str] = "as_is"

    name: Literal["braille"] = Field(description="kind of data set")
    test_fraction: Parts = Field(default=0.2, description="share held out for testing")


class ChaosData(NamedData):
    """`[data]`: a chaotic system to forecast."""

    CODE: ClassVar[str] = "values"
    SERIES: ClassVar[bool] = True

    name: Literal["lorenz63", "rossler"] = Field(description="kind of data set")
    train_samples: Positive | None = later(None, _FEWER_WINDOWS)
    test_samples: Positive | None = later(None, _FEWER_TEST_WINDOWS)


class MackeyGlassData(NamedData):
    """`[data]`: the Mackey-Glass series to forecast."""

    CODE: ClassVar[str] = "values"
    SERIES: ClassVar[bool] = True

    name: Literal["mackey_glass"] = Field(description="kind of data set")
    delay: Annotated[float, Field(ge=0, le=2**20)] = Field(default=17.0, description="delay of the series")
    samples: Positive = Field(default=10_000, description="values of the series")
    train_samples: Positive | None = later(None, _FEWER_WINDOWS)
    test_samples: Positive | None = later(None, _FEWER_TEST_WINDOWS)


ReadData = (
    NpzData
    | CsvData
    | IdxData
    | ImagesData
    | EventsData
    | WavData
    | PublishedPictures
    | PublishedEvents
    | SpokenDigitsData
    | BrailleData
)
"""What is read from a path."""
DataOptions = Annotated[DigitsData | ReadData | ChaosData | MackeyGlassData, Field(discriminator="name")]
"""What may stand under `[data]`."""
DATA_KINDS: Final[tuple[type[NamedData], ...]] = get_args(get_args(DataOptions)[0])
"""All of that, kind by kind."""
