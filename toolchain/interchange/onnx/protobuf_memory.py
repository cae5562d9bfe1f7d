"""How many bytes the objects of an ONNX file take, worked out before it is parsed.

A node without content has two bytes in a file of Protobuf and 200 in memory. So the fields of the file are
walked first, without making anything of them: a few for every node, whatever the size of its weights.
"""

from typing import Any, Final

_FIELD: Final = 600
"""Bytes of a message without content (measured: 220), a text or a number, and of what reading makes of it."""
_NUMBERS: Final = 16
"""Bytes that one byte of packed numbers becomes, where growing lists are copied."""
_COPIES: Final = 2
"""Of a text: as it is stored, and as Python has it."""
_DEEPEST: Final = 100
"""Messages within messages that Protobuf reads."""
_VARIABLE, _EIGHT, _LENGTH, _FOUR = 0, 1, 2, 5
"""How a field tells its length."""
_FIXED: Final = {_EIGHT: 8, _FOUR: 4}
_WEIGHTS: Final = ("raw_data", "float_data", "double_data", "value")
"""Fields that hold arrays and are kept as the bytes they are: what they take is what the file has."""


def object_bytes(content: memoryview, kind: Any, most: int, depth: int = 0) -> int:  # noqa: ANN401 - no stubs
    """Return how many bytes the objects of a message take; counting stops above `most`.

    What is no Protobuf ends the count: parsing tells it.

    Args:
        content: Bytes of the message.
        kind: Descriptor of the message.
        most: Bytes beyond which counting stops.
        depth: Number of messages around this one.
    """
    taken = place = 0
    while place < len(content) and taken <= most and depth <= _DEEPEST:
        tag, place = _number(content, place)
        field = kind.fields_by_number.get(tag >> 3)
        form = tag & 7
        taken += _FIELD
        if form == _VARIABLE:
            _, place = _number(content, place)
        elif form in _FIXED:
            place += _FIXED[form]
        elif form == _LENGTH:
            length, place = _number(content, place)
            part = content[place : place + length]
            place += length
            if field is None or field.name in _WEIGHTS:
                continue
            if field.message_type is not None:
                taken += object_bytes(part, field.message_type, most - taken, depth + 1)
            else:
                packed = field.type not in {field.TYPE_STRING, field.TYPE_BYTES}
                taken += len(part) * (_NUMBERS if packed else _COPIES)
        else:
            break
    return taken


def _number(content: memoryview, place: int) -> tuple[int, int]:
    """Return a number of seven bits a byte, and where it ends; a file that ends early ends there."""
    value = shift = 0
    while place < len(content) and shift < 64:
        byte = content[place]
        place += 1
        value |= (byte & 127) << shift
        if byte < 128:
            return value, place
        shift += 7
    return value, len(content)
