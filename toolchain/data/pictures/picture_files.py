"""Single pictures from image files of any origin, brought to one size."""

import struct
import warnings
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from toolchain.errors import ArgumentError, CorruptArtifactError, UsageError
from toolchain.files.disk import check_file
from toolchain.memory import budget

SUFFIXES: Final = (".png", ".jpg", ".jpeg", ".bmp", ".gif", ".ppm", ".pgm", ".tif", ".tiff", ".webp")
_FORMATS: Final = ("PNG", "JPEG", "BMP", "GIF", "PPM", "TIFF", "WEBP")
_PER_PIXEL: Final = 8
"""Bytes that a pixel takes while a picture is converted."""
_WHITE: Final = 255
_UNREADABLE: Final = (OSError, ValueError, SyntaxError, EOFError, TypeError, struct.error, Warning)
"""What Pillow raises about files that are damaged or no pictures."""


def read_picture(path: Path, size: tuple[int, int], *, grey: bool, exact: bool = False) -> NDArray[np.uint8]:
    """Return a picture as bytes, `[C, H, W]`; what is transparent shows white, as on a page.

    Args:
        path: The image file; of an animation the first picture is taken.
        size: Height and width to which it is scaled.
        grey: Whether to return one channel instead of three.
        exact: Whether it must have that size already.

    Raises:
        MissingFileError: There is no such file.
        UsageError: It has another size, and must not.
        ArgumentError: The size does not fit into the memory.
        CorruptArtifactError: It is damaged, no picture, too large for the memory, or white all over once its
            transparent parts show white.
    """
    check_file("picture", path)
    excess = budget().excess(_PER_PIXEL * size[0] * size[1])
    if excess:
        raise ArgumentError(
            "size", "a size that fits into the memory", f"{size[0]} x {size[1]}", f"one picture {excess}"
        )
    try:
        with warnings.catch_warnings():
            # A picture that could be a bomb is an error here, and so is one that is cut off.
            warnings.simplefilter("error")
            with Image.open(path, formats=_FORMATS) as image:
                budget().check_file(path, _PER_PIXEL * image.width * image.height)
                if exact and (image.height, image.width) != size:
                    raise UsageError(
                        f"'{path}' has {image.height} x {image.width} pixels, expected {size[0]} x {size[1]}",
                        "scale it as the pictures of the training were",
                    )
                plain = _opaque(_of_bytes(image)).convert("L" if grey else "RGB")
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


def _opaque(image: Image.Image) -> Image.Image:
    """Return a picture without transparency: in front of white, as pages and viewers show it.

    Raises:
        ValueError: Nothing of it can be seen there, but somebody drew with the transparency.
    """
    if not image.has_transparency_data:
        return image
    drawn = image.convert("RGBA")
    page = Image.new("RGBA", drawn.size, "white")
    page.alpha_composite(drawn)
    shown = page.convert("RGB")
    lowest, highest = drawn.getchannel("A").getextrema()
    if lowest != highest and all(extent == (_WHITE, _WHITE) for extent in shown.getextrema()):
        raise ValueError(
            "it is white wherever it is not transparent, which shows white too: save it with a background"
        )
    return shown
