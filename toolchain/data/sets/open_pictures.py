"""Opens sets of pictures: scikit-learn's digits, IDX, CIFAR-10, and folders of image files."""

from functools import partial
from pathlib import Path
from typing import Final

from toolchain.data.pictures.cifar import load_cifar10
from toolchain.data.pictures.digits import load_digits
from toolchain.data.pictures.idx import IMAGES, LABELS, LAYOUT, has_test, idx_file, load_idx_pair
from toolchain.data.pictures.images import as_pictures, in_rows
from toolchain.data.pictures.picture_files import SUFFIXES, read_picture
from toolchain.data.sets.assembly import Raw, assemble, classes_of, own_test, part_of_files
from toolchain.data.sets.data_set import DataSet, Part, SampleKind
from toolchain.data.sets.folders import advised, find_files, official_parts, usable
from toolchain.data.sets.known import KNOWN
from toolchain.data.sets.options import DigitsData, IdxData, ImagesData, Naming, PublishedPictures
from toolchain.errors import CorruptArtifactError, MissingFileError
from toolchain.intake import path_of

_FOLDERS: Final = "a folder with a folder of image files for each class, or with `train` and `test` of such"
_CIFAR_FILES: Final = (*(f"data_batch_{i}.bin" for i in range(1, 6)), "test_batch.bin", "batches.meta.txt")


def open_digits(options: DigitsData) -> DataSet:
    """Open scikit-learn's digits."""
    digits = load_digits(options.test_fraction, options.split_seed)
    in_sequence = options.name == "sequential_digits"
    images = in_rows(digits) if in_sequence else as_pictures(digits)
    kind = SampleKind.VALUES if in_sequence else SampleKind.PICTURES
    raw = Raw(Part(images.train, images.train_labels), Part(images.test, images.test_labels), images.classes)
    return assemble(options, raw, kind, images.train.shape[1:])


def open_idx(options: IdxData) -> DataSet:
    """Open pictures in IDX of your own."""
    return _open_idx(options, "check `path`, or name `test_path`: it is " + LAYOUT, options.classes)


def open_published_pictures(options: PublishedPictures) -> DataSet:
    """Open MNIST, Fashion-MNIST or CIFAR-10."""
    known = KNOWN[options.name]
    if options.name != "cifar10":
        return _open_idx(options, known.advice, known.classes)
    folder = path_of(options.path, "path")
    for name in _CIFAR_FILES:
        if not (folder / name).is_file():
            raise MissingFileError("CIFAR file", folder / name, known.advice)
    images = load_cifar10(folder)
    raw = Raw(
        Part(images.train, images.train_labels),
        Part(images.test, images.test_labels),
        images.classes,
        [folder / name for name in _CIFAR_FILES],
        folder,
    )
    return assemble(options, raw, SampleKind.PICTURES, images.train.shape[1:])


def _open_idx(options: IdxData | PublishedPictures, advice: str, classes: tuple[str, ...]) -> DataSet:
    folder = path_of(options.path, "path")
    files = [idx_file(folder, each["train"], advice) for each in (IMAGES, LABELS)]
    pictures, labels = load_idx_pair(*files)
    names = classes_of(labels, classes, files[1])
    elsewhere = own_test(options) if isinstance(options, IdxData) else None
    test = None
    place = elsewhere or folder
    if elsewhere or isinstance(options, PublishedPictures) or has_test(folder):
        tests = [idx_file(place, each["test"], advice) for each in (IMAGES, LABELS)]
        test_pictures, test_labels = load_idx_pair(*tests)
        if test_pictures.shape[1:] != pictures.shape[1:] or test_labels.max() >= len(names):
            raise CorruptArtifactError(tests[0], "does not go with the training part: other sizes or classes")
        test, files = Part(test_pictures, test_labels), [*files, *tests]
    raw = Raw(Part(pictures, labels), test, names, files, folder)
    return assemble(options, raw, SampleKind.PICTURES, pictures.shape[1:])


def open_images(options: ImagesData) -> DataSet:
    """Open a folder of image files; they are read when they are asked for."""
    root = path_of(options.path, "path")
    folder, elsewhere = official_parts(root, options.test_path)
    read = partial(read_picture, size=options.size, grey=options.grey)
    parts, left_out, paths, classes = list[Part](), (), list[Path](), ()
    for place in (folder, *([elsewhere] if elsewhere else [])):
        files = find_files(place, SUFFIXES, Naming.FOLDER, _FOLDERS)
        good, bad = usable(files, read, options.broken)
        classes = classes or tuple(sorted({each.word for each in good}))
        parts.append(part_of_files(good, classes, advised(read), place))
        left_out, paths = (*left_out, *bad), [*paths, *(each.path for each in files)]
    raw = Raw(parts[0], parts[1] if elsewhere else None, classes, paths, root, left_out)
    channels = 1 if options.grey else 3
    return assemble(options, raw, SampleKind.PICTURES, (channels, *options.size))
