"""Opens folders of WAV files, the Free Spoken Digit Dataset among them."""

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Final

from toolchain.data.sets.assembly import Raw, assemble, part_of_files
from toolchain.data.sets.data_set import DataSet, Part, SampleKind
from toolchain.data.sets.folders import LabelledFile, advised, check_apart, find_files, official_parts, usable
from toolchain.data.sets.known import KNOWN
from toolchain.data.sets.options import Broken, Naming, SpokenDigitsData, WavData
from toolchain.data.sets.reading import FileKind, Reading
from toolchain.data.sound.wav import Waveform, read_wav, sampling_rate
from toolchain.errors import CorruptArtifactError, MissingFileError, UsageError
from toolchain.intake import path_of

_SUFFIXES: Final = (".wav",)
_FOLDERS: Final = (
    "a folder with a folder of WAV files for each class, or with folders called train and test of such; or, "
    'with `label = "file"`, of files CLASS_ANYTHING.wav'
)
_OFFICIAL_TEST: Final = frozenset("01234")
"""Numbers of the recordings that everybody keeps for the test."""
_PIECES: Final = 3
"""Parts of a name: digit, speaker and number."""


def open_wav(options: WavData) -> DataSet:
    """Open a folder of WAV files; they are read when they are asked for."""
    root = path_of(options.path, "path")
    folder, elsewhere = official_parts(root, options.test_path)
    train = find_files(folder, _SUFFIXES, options.label, _FOLDERS)
    test = find_files(elsewhere, _SUFFIXES, options.label, _FOLDERS) if elsewhere else None
    return _opened(options, root, train, test, ())


def open_spoken_digits(options: SpokenDigitsData) -> DataSet:
    """Open the Free Spoken Digit Dataset with its official test part."""
    known, root = KNOWN["spoken_digits"], path_of(options.path, "path")
    try:
        files = find_files(root, _SUFFIXES, Naming.FILE, known.layout)
    except MissingFileError:
        raise MissingFileError("folder of recordings", root, known.advice) from None
    except UsageError:
        raise UsageError(f"folder '{root}' holds no WAV file", known.advice) from None
    for each in files:
        if len(each.path.stem.split("_")) != _PIECES or each.word not in known.classes:
            raise CorruptArtifactError(each.path, f"is not called DIGIT_SPEAKER_NUMBER: {known.advice}")
    tests = [each for each in files if each.path.stem.rpartition("_")[2] in _OFFICIAL_TEST]
    chosen = {each.path for each in tests}
    train = [each for each in files if each.path not in chosen]
    return _opened(options, root, train, tests, known.classes)


def _opened(
    options: WavData | SpokenDigitsData,
    root: Path,
    train: list[LabelledFile],
    test: list[LabelledFile] | None,
    classes: tuple[str, ...],
) -> DataSet:
    check_apart((each.path for each in train), (each.path for each in test or ()))
    hertz = _hertz_of(train, options.broken)
    read: Callable[[Path], Waveform] = partial(_wave, hertz=hertz)
    parts, left_out = list[Part](), ()
    for files in (train, *([test] if test else [])):
        good, bad = usable(files, read, options.broken)
        classes = classes or tuple(sorted({each.word for each in good}))
        parts.append(part_of_files(good, classes, advised(read), root))
        left_out = (*left_out, *bad)
    paths = [each.path for each in (*train, *(test or ()))]
    reading = Reading(
        files=FileKind.SOUND,
        rates=tuple(sorted({hertz, *map(sampling_rate, paths)} - {0})),
        naming=options.label if isinstance(options, WavData) else Naming.FILE,
    )
    raw = Raw(parts[0], parts[1] if test else None, classes, paths, root, left_out, reading)
    return assemble(options, raw, SampleKind.SOUND, (), hertz)


def _wave(path: Path, hertz: int) -> Waveform:
    return read_wav(path, hertz)[0]


def _hertz_of(files: list[LabelledFile], broken: Broken) -> int:
    """Return the samples in a second of the first file that can be read: all others are brought to them."""
    rates = list[int]()

    def read(path: Path) -> Waveform:
        wave, rate = read_wav(path)
        rates.append(rate)
        return wave

    for each in files:
        try:
            advised(read)(each.path)
        except CorruptArtifactError:
            if broken is Broken.REFUSE or each is files[-1]:
                raise
        else:
            break
    return rates[0]
