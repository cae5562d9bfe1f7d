"""Pictures: digits as images, CIFAR from files in its true format."""

from pathlib import Path

import numpy as np
import pytest

from toolchain.data import as_pictures, load_cifar10, load_digits
from toolchain.errors import CorruptArtifactError, MissingFileError, UsageError


def test_digits_become_pictures_without_change() -> None:
    flat = load_digits(0.3, 0)
    pictures = as_pictures(flat)
    assert pictures.train.shape == (1257, 1, 8, 8)
    np.testing.assert_array_equal(pictures.test[5, 0].ravel(), flat.test[5])


def test_digits_can_be_made_larger_and_keep_their_mean() -> None:
    pictures = as_pictures(load_digits(0.3, 0), 32)
    assert pictures.test.shape == (540, 1, 32, 32)
    assert pictures.test.min() >= 0
    assert pictures.test.max() <= 1
    small = as_pictures(load_digits(0.3, 0)).test.mean(axis=(1, 2, 3))
    np.testing.assert_allclose(pictures.test.mean(axis=(1, 2, 3)), small, atol=0.02)


def test_digits_cannot_be_made_smaller_or_be_oblong() -> None:
    flat = load_digits(0.3, 0)
    with pytest.raises(UsageError, match="only be made larger, got size 4"):
        as_pictures(flat, 4)
    with pytest.raises(UsageError, match="flat square images"):
        as_pictures(as_pictures(flat))


def test_pictures_that_do_not_fit_into_the_memory_are_refused() -> None:
    with pytest.raises(UsageError, match="pictures that fit into the memory, got 1000000.*the set needs"):
        as_pictures(load_digits(0.3, 0), 10**6)


def _write_cifar10(folder: Path, records: int) -> np.ndarray:
    rng = np.random.default_rng(0)
    everything = []
    for name in [*(f"data_batch_{i}" for i in range(1, 6)), "test_batch"]:
        rows = rng.integers(0, 256, (records, 3073), dtype=np.uint8)
        rows[:, 0] = rng.integers(0, 10, records)
        (folder / f"{name}.bin").write_bytes(rows.tobytes())
        everything.append(rows)
    names = "airplane automobile bird cat deer dog frog horse ship truck"
    (folder / "batches.meta.txt").write_text(names.replace(" ", "\n") + "\n\n")
    return np.stack(everything)


def test_cifar10_is_read_plane_by_plane(tmp_path: Path) -> None:
    written = _write_cifar10(tmp_path, 7)
    images = load_cifar10(tmp_path, records=7)
    assert images.train.shape == (35, 3, 32, 32)
    assert images.classes[3] == "cat"
    # Record 2 of the third file: green plane, row 4, column 9.
    assert images.train[2 * 7 + 2, 1, 4, 9] == np.float32(written[2, 2, 1 + 1024 + 4 * 32 + 9] / 255)
    assert images.train_labels[2 * 7 + 2] == written[2, 2, 0]
    np.testing.assert_array_equal(images.test_labels, written[5, :, 0])


def test_missing_and_truncated_files_are_named_with_the_size_they_should_have(tmp_path: Path) -> None:
    _write_cifar10(tmp_path, 3)
    batch = tmp_path / "data_batch_4.bin"
    batch.write_bytes(batch.read_bytes()[:-1])
    with pytest.raises(CorruptArtifactError, match=r"data_batch_4.*has 9218 bytes, expected 9219"):
        load_cifar10(tmp_path, records=3)
    batch.unlink()
    with pytest.raises(MissingFileError, match=r"data_batch_4\.bin"):
        load_cifar10(tmp_path, records=3)
    with pytest.raises(CorruptArtifactError, match=r"expected 30730000"):
        load_cifar10(tmp_path)


def test_impossible_labels_and_names_are_refused(tmp_path: Path) -> None:
    _write_cifar10(tmp_path, 1)
    test = tmp_path / "test_batch.bin"
    test.write_bytes(b"\x0b" + test.read_bytes()[1:])
    with pytest.raises(CorruptArtifactError, match=r"label 11, expected 0 \.\. 9"):
        load_cifar10(tmp_path, records=1)
    (tmp_path / "batches.meta.txt").write_text("cat dog")
    with pytest.raises(CorruptArtifactError, match="2 class names, expected 10"):
        load_cifar10(tmp_path, records=1)
    (tmp_path / "batches.meta.txt").write_bytes(b"\xff\xfe")
    with pytest.raises(CorruptArtifactError, match="not text"):
        load_cifar10(tmp_path, records=1)
    (tmp_path / "batches.meta.txt").unlink()
    with pytest.raises(MissingFileError, match="batches.meta"):
        load_cifar10(tmp_path, records=1)


def test_names_of_classes_are_few(tmp_path: Path) -> None:
    _write_cifar10(tmp_path, 1)
    (tmp_path / "batches.meta.txt").write_text("airplane " * 2**14)
    with pytest.raises(CorruptArtifactError, match=r"batches\.meta\.txt' is larger than 65536 bytes"):
        load_cifar10(tmp_path, records=1)


def test_a_batch_larger_than_the_memory_allows_is_refused_unread(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _write_cifar10(tmp_path, 7)
    monkeypatch.setenv("PUMICE_MEMORY", "1M")
    with pytest.raises(CorruptArtifactError, match=r"data_batch_1\.bin' needs 1.0 MiB of memory"):
        load_cifar10(tmp_path, records=7)
