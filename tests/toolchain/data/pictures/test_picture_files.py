"""Pictures from files of any format; damaged ones are named."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from toolchain.data.pictures.picture_files import read_picture
from toolchain.errors import ArgumentError, CorruptArtifactError, MissingFileError


def test_a_picture_is_read_plane_by_plane(tmp_path: Path) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (6, 4, 3)).astype(np.uint8)
    Image.fromarray(pixels).save(tmp_path / "a.png")
    assert np.array_equal(read_picture(tmp_path / "a.png", (6, 4), grey=False), pixels.transpose(2, 0, 1))
    grey = read_picture(tmp_path / "a.png", (3, 2), grey=True)
    assert grey.shape == (1, 3, 2)
    assert abs(float(grey.mean()) - float(pixels.mean())) < 25


@pytest.mark.parametrize("mode", ["1", "L", "P", "RGBA", "I;16", "CMYK"])
def test_pictures_of_every_mode_become_bytes(mode: str, tmp_path: Path) -> None:
    path = tmp_path / ("a.tif" if mode in {"CMYK", "I;16"} else "a.png")
    Image.new(mode, (5, 3)).save(path)
    assert read_picture(path, (3, 5), grey=False).shape == (3, 3, 5)


@pytest.mark.parametrize("ending", ["png", "tif", "pgm"])
def test_of_sixteen_bits_the_upper_eight_are_taken(ending: str, tmp_path: Path) -> None:
    pixels = np.array([[0, 255, 256], [0x1234, 0x8000, 0xFFFF]], np.uint16)
    Image.fromarray(pixels).save(tmp_path / f"a.{ending}")
    read = read_picture(tmp_path / f"a.{ending}", (2, 3), grey=True)
    assert read[0].tolist() == [[0, 0, 1], [0x12, 0x80, 0xFF]]


@pytest.mark.parametrize("mode", ["RGBA", "LA"])
def test_what_is_drawn_with_transparency_alone_is_seen(mode: str, tmp_path: Path) -> None:
    """Ink on glass: black everywhere, and transparent where there is no ink."""
    alpha = np.array([[255, 0, 0], [0, 255, 51]], np.uint8)
    picture = Image.fromarray(np.stack([*[np.zeros_like(alpha)] * 3, alpha], axis=-1))
    picture.convert(mode).save(tmp_path / "a.png")
    seen = read_picture(tmp_path / "a.png", (2, 3), grey=True)
    assert seen[0].tolist() == [[0, 255, 255], [255, 0, 204]]


@pytest.mark.parametrize("transparency", [7, bytes([255] * 7 + [0])])
def test_a_transparent_colour_of_a_palette_shows_white(transparency: int | bytes, tmp_path: Path) -> None:
    picture = Image.new("P", (2, 1), 7)
    picture.putpalette([0, 0, 0] * 8)
    picture.putpixel((0, 0), 0)
    picture.save(tmp_path / "a.png", transparency=transparency)
    assert read_picture(tmp_path / "a.png", (1, 2), grey=True)[0].tolist() == [[0, 255]]


def test_what_is_drawn_in_white_on_glass_is_refused_and_a_blank_is_not(tmp_path: Path) -> None:
    pixels = np.full((2, 3, 4), 255, np.uint8)
    pixels[0, 0, 3] = 0
    Image.fromarray(pixels).save(tmp_path / "a.png")
    with pytest.raises(CorruptArtifactError, match="white wherever it is not transparent.*with a background"):
        read_picture(tmp_path / "a.png", (2, 3), grey=True)
    Image.new("RGBA", (3, 2)).save(tmp_path / "b.png")
    assert (read_picture(tmp_path / "b.png", (2, 3), grey=False) == 255).all()


@pytest.mark.parametrize("kind", [np.int32, np.float32])
def test_pixels_of_32_bits_are_refused(kind: type, tmp_path: Path) -> None:
    Image.fromarray(np.ones((2, 2), kind)).save(tmp_path / "a.tif")
    with pytest.raises(CorruptArtifactError, match="pixels have 32 bits.*save it with 8 or 16"):
        read_picture(tmp_path / "a.tif", (2, 2), grey=True)


@pytest.mark.parametrize("content", [b"", b"\x89PNG\r\n\x1a\n", b"no picture", b"GIF89a"])
def test_what_is_no_picture_is_named(content: bytes, tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(content)
    with pytest.raises(CorruptArtifactError, match=r"a\.png' is no picture that can be read"):
        read_picture(tmp_path / "a.png", (2, 2), grey=True)
    with pytest.raises(MissingFileError, match=r"b\.png"):
        read_picture(tmp_path / "b.png", (2, 2), grey=True)


def test_a_picture_larger_than_the_memory_is_refused_undecoded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    Image.new("L", (3000, 3000)).save(tmp_path / "a.png")
    monkeypatch.setenv("PUMICE_MEMORY", "16M")
    with pytest.raises(CorruptArtifactError, match="of memory"):
        read_picture(tmp_path / "a.png", (2, 2), grey=True)


def test_a_size_that_fits_into_no_memory_is_refused(tmp_path: Path) -> None:
    Image.new("L", (3, 2)).save(tmp_path / "a.png")
    with pytest.raises(
        ArgumentError, match="size: expected a size that fits into the memory, got 2147483648 x 5"
    ):
        read_picture(tmp_path / "a.png", (2**31, 5), grey=True)


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("pictures") / "a"


@settings(max_examples=60, deadline=None)
@given(data=st.data(), form=st.sampled_from(["PNG", "JPEG", "GIF", "BMP", "PPM", "TIFF", "WEBP"]))
def test_a_changed_file_is_a_picture_or_refused(place: Path, data: st.DataObject, form: str) -> None:
    pixels = np.random.default_rng(1).integers(0, 256, (7, 9, 3)).astype(np.uint8)
    Image.fromarray(pixels).save(place, format=form)
    content = bytearray(place.read_bytes())
    content[data.draw(st.integers(0, len(content) - 1))] ^= data.draw(st.integers(1, 255))
    place.write_bytes(bytes(content[: data.draw(st.integers(0, len(content)))]))
    try:
        picture = read_picture(place, (4, 4), grey=True)
    except CorruptArtifactError:
        return
    assert picture.shape == (1, 4, 4)
