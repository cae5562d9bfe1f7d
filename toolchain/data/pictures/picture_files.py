"""Single pictures from image files of any origin, brought to one size."""

import struct
import warnings
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from toolchain.errors import CorruptArtifactError
from toolchain.files.disk import check_file
from toolchain.memory import budget

SUFFIXES: Final = (".png", ".jpg", ".jpeg", ".bmp", ".gif", ".ppm", ".pgm", ".tif", ".tiff", ".webp")
_FORMATS: Final = ("PNG", "JPEG", "BMP", "GIF", "PPM", "TIFF", "WEBP")
_PER_PIXEL: Final = 8
"""Bytes that a pixel takes while a picture is converted."""
_UNREADABLE: Final = (OSError, ValueError, SyntaxError, EOFError, TypeError, struct.error, Warning)
"""What Pillow raises about files that are damaged or no pictures."""


def read_picture(path: Path, size: tuple[int, int], *, grey: bool) -> NDArray[np.uint8]:
    """Return a picture as bytes, `[C, H, W]`.

    Args:
        path: The image file; of an animation the first picture is taken.
        size: Height and width to which it is scaled.
        grey: Whether to return one channel instead of three.

    Raises:
        MissingFileError: There is no such file.
        CorruptArtifactError: It is damaged, no picture, or too large for the memory.
    """
    check_file("picture", path)
    try:
        with warnings.catch_warnings():
            # A picture that could be a bomb is an error here, and so is one that is cut off.
            warnings.simplefilter("error")
            with Image.open(path, formats=_FORMATS) as image:
                budget().check_file(path, _PER_PIXEL * image.width * image.height)
                plain = _of_bytes(image).convert("L" if grey else "RGB")
                scaled = plain.resize((size[1], size[0]), Image.Resampling.BILINEAR)
    except (*_UNREADABLE, Image.DecompressionBombError) as error:
        raise CorruptArtifactError(path, f"is no picture that can be read: {error}") from None
    array = np.asarray(scaled, np.uint8)
    return array[None] if grey else np.ascontiguousarray(array.transpose(2, 0, 1))


def _of_bytes(image: Image.Image) -> Image.Image:
    """Return a picture whose pixels are bytes: of sixteen bits the upper eight, which Pillow would clip."""
    if image.mode.startswith("I;16") or (image.mode == "I" and image.format == "PPM"):
        return Image.fromarray((np.asarray(image) >> 8).astype(np.uint8))
    if image.mode in {"I", "F"}:
        raise ValueError("its pixels have 32 bits, of which none says what is white: save it with 8 or 16")
    return image
