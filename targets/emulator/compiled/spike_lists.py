"""What images send, listed pixel by pixel, so that the work of a sum grows with the spikes."""

# pyright: reportUntypedFunctionDecorator=false, reportCallIssue=false
from typing import Any, Final, NamedTuple

import numpy as np

from targets.emulator.compiled.vectors import list_word
from toolchain.arrays import Array
from toolchain.compiled import njit

PAIRED: Final = 0
"""Weights of one byte, two in a word; the low half of a block, and the high one."""
PLAIN: Final = 1
"""Weights of 16 bits, or real ones."""
WEIGHED: Final = 2
"""The same, multiplied by messages."""
_BYTES: Final = 8
_ONES: Final = np.zeros((2**_BYTES, _BYTES), np.uint32)
"""For every pattern of eight bits the places of its ones."""
for _pattern in range(2**_BYTES):
    _set = [k for k in range(_BYTES) if _pattern >> k & 1]
    _ONES[_pattern, : len(_set)] = _set


class ImageMessages(NamedTuple):
    """Messages of images.

    Attributes:
        values: `[images, rows, columns, channels]`: spikes or small counts in uint8, or messages in int32
            or float64.
        words: The same as uint64, if `values` holds spikes and its elements come in eights; empty otherwise.
            `[images, rows, columns, channels / 8]`, or `[images, 1, 1, elements / 8]` if only all elements of
            an image together come in eights.
    """

    values: Array
    words: Array


class SpikeList(NamedTuple):
    """Spikes of images, pixel by pixel.

    Attributes:
        ends: Where the spikes of every pixel end in `places`, from index 1 on.
        places: `column * span + channel - first channel` of every spike, uint32, with room for eight more.
        messages: Value of every spike if they are weighed, int32 or float64; empty otherwise.
    """

    ends: Array
    places: Array
    messages: Array


@njit(nogil=True, cache=True)
def _list_words(words: Array, spikes: SpikeList) -> None:
    """List the spikes of images from words of eight channels, `[images, rows, columns, words]`."""
    ends, places = spikes.ends, spikes.places
    end = pixel = 0
    images, rows, columns, count = words.shape
    for n in range(images):
        for y in range(rows):
            place = 0
            for x in range(columns):
                for k in range(count):
                    end = list_word(words[n, y, x, k], _ONES, place, places, end)
                    place += _BYTES
                pixel += 1
                ends[pixel] = end


@njit(nogil=True, cache=True)
def _list_bytes(words: Array, pixels: int, columns: int, span: int, spikes: SpikeList) -> None:
    """List the spikes of images from words of any eight elements, `[images, 1, 1, words]`."""
    ends, places = spikes.ends, spikes.places
    end = pixel = 0
    for n in range(len(words)):
        for k in range(words.shape[3]):
            word = words[n, 0, 0, k]
            if not word:
                continue
            for byte in range(_BYTES):
                if (word >> np.uint64(_BYTES * byte)) & np.uint64(1):
                    element = np.uint32(_BYTES * k + byte)
                    at = element // np.uint32(span)
                    # Whatever pixels were silent since the last spike end where the list ends.
                    while pixel < n * pixels + at:
                        pixel += 1
                        ends[pixel] = end
                    places[end] = element - at // np.uint32(columns) * np.uint32(columns * span)
                    end += 1
        while pixel < (n + 1) * pixels:
            pixel += 1
            ends[pixel] = end


@njit(nogil=True, cache=True)
def _list_counts(values: Array, first: int, last: int, span: int, spikes: SpikeList) -> None:
    """List the spikes of the channels `first .. last - 1` of images; a number above 1 is so many spikes."""
    ends, places = spikes.ends, spikes.places
    end = pixel = 0
    images, rows, columns, _ = values.shape
    for n in range(images):
        for y in range(rows):
            for x in range(columns):
                base = x * span - first
                for c in range(first, last):
                    for _ in range(np.int64(values[n, y, x, c])):
                        places[end] = base + c
                        end += 1
                pixel += 1
                ends[pixel] = end


@njit(nogil=True, cache=True)
def _list_messages(values: Array, first: int, last: int, span: int, spikes: SpikeList) -> None:
    """List what is not 0 in the channels `first .. last - 1` of images, with its value."""
    ends, places, messages = spikes
    end = pixel = 0
    images, rows, columns, _ = values.shape
    for n in range(images):
        for y in range(rows):
            for x in range(columns):
                base = x * span - first
                for c in range(first, last):
                    # The place is written always and counts only if the value is not 0: no branch to guess.
                    places[end], messages[end] = base + c, values[n, y, x, c]
                    end += values[n, y, x, c] != 0
                pixel += 1
                ends[pixel] = end


@njit(nogil=True, cache=True)
def room_for_spikes(images: ImageMessages, span: int, form: int, number: Any) -> SpikeList:  # noqa: ANN401
    """Return room for the spikes of images of which at most `span` channels are read at a time.

    Their values, if they are weighed, are of the type `number`.
    """
    x = images.values
    pixels = x.shape[0] * x.shape[1] * x.shape[2]
    if form == WEIGHED:
        room = pixels * span + 1
    else:
        # Only counts have to be added up to know how many spikes there can be.
        room = (x.size if images.words.size else np.int64(x.sum())) + _BYTES
    messages = np.empty(room if form == WEIGHED else 0, number)
    return SpikeList(np.empty(pixels + 1, np.int64), np.empty(room, np.uint32), messages)


@njit(nogil=True, cache=True)
def list_messages(
    form: int, images: ImageMessages, first: int, last: int, span: int, spikes: SpikeList
) -> None:
    """List the messages of the channels `first .. last - 1` of images, in the way that suits their form."""
    spikes.ends[0] = 0
    values, words = images
    _, rows, columns, channels = values.shape
    if form == WEIGHED:
        _list_messages(values, first, last, span, spikes)
    elif not words.size or last - first < channels:
        _list_counts(values, first, last, span, spikes)
    elif words.shape[3] * _BYTES == channels:
        _list_words(words, spikes)
    else:
        _list_bytes(words, rows * columns, columns, span, spikes)
