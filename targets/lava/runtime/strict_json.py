"""Dataclasses as JSON, read strictly: no field is missing or unknown, and a text is no number.

A field with a default value came later than its format: it is written where it is another value, and may be
missing.
"""

import json
from dataclasses import MISSING, fields, is_dataclass
from enum import Enum
from types import NoneType, UnionType
from typing import Any, ClassVar, TypeVar, get_args, get_origin, get_type_hints


class DocumentError(ValueError):
    """A document is not what it should be: says where, and what to do."""


class FormatDocument:
    """A document that says what it is; base of dataclasses.

    Attributes:
        FORMAT: Name of the format, which stands in every such document.
        VERSION: The version that is written and read.
    """

    FORMAT: ClassVar[str]
    VERSION: ClassVar[int]


Kind = TypeVar("Kind", bound=FormatDocument)


def text_of(document: FormatDocument) -> str:
    """Return a document as JSON, its format and version first."""
    if not is_dataclass(document):
        raise TypeError(f"a document is a dataclass, got {type(document).__name__}")
    header = {"format": document.FORMAT, "version": document.VERSION}
    return json.dumps(header | _content(document), indent=1, default=_plain, allow_nan=False) + "\n"


def _content(document: Any) -> dict[str, Any]:  # noqa: ANN401 - any dataclass
    """Return the fields of a document but for those that have their default value."""
    values = {item.name: (getattr(document, item.name), item.default) for item in fields(document)}
    return {name: value for name, (value, default) in values.items() if value != default}


def _plain(value: object) -> object:
    if isinstance(value, Enum):
        return value.value
    if is_dataclass(value):
        return _content(value)
    raise TypeError(f"{type(value).__name__} cannot stand in JSON")


def read_text(text: str, kind: type[Kind], name: str) -> Kind:
    """Return the document that stands in a text.

    Args:
        text: JSON.
        kind: Dataclass of the document.
        name: File that holds the text, for messages.

    Raises:
        DocumentError: The text is not JSON, of another format or version, or a value is not as declared.
    """
    try:
        content = json.loads(text)
    except ValueError as error:
        raise DocumentError(f"'{name}' is not JSON: {error}") from None
    if not isinstance(content, dict) or content.pop("format", None) != kind.FORMAT:
        raise DocumentError(f"'{name}' is no document of the format '{kind.FORMAT}'")
    version = content.pop("version", None)
    if version != kind.VERSION:
        raise DocumentError(
            f"'{name}' has version {version!r} of '{kind.FORMAT}', expected {kind.VERSION}: "
            "export the network again, all of its files together"
        )
    return _value(kind, content, name)


def _value(kind: Any, value: Any, where: str) -> Any:  # noqa: ANN401 - any declared type, any JSON
    """Return a value as its declared type."""
    if is_dataclass(kind):
        return _fields(kind, _checked(dict, value, where), where)
    if isinstance(kind, type) and issubclass(kind, Enum):
        known = [member.value for member in kind]
        if value not in known:
            raise DocumentError(f"{where}: expected one of {known}, got {value!r}")
        return kind(value)
    arguments = get_args(kind)
    if get_origin(kind) is UnionType:
        (inner,) = (argument for argument in arguments if argument is not NoneType)
        return None if value is None else _value(inner, value, where)
    if get_origin(kind) is dict:
        entries = _checked(dict, value, where).items()
        return {key: _value(arguments[1], entry, f"{where}, '{key}'") for key, entry in entries}
    if get_origin(kind) is tuple:
        items = _checked(list, value, where)
        kinds = [arguments[0]] * len(items) if arguments[-1] is Ellipsis else arguments
        if len(kinds) != len(items):
            raise DocumentError(f"{where}: expected {len(kinds)} values, got {len(items)}")
        return tuple(_value(*pair, where) for pair in zip(kinds, items, strict=True))
    return float(value) if kind is float and type(value) is int else _checked(kind, value, where)


def _checked(kind: type, value: Any, where: str) -> Any:  # noqa: ANN401
    if type(value) is not kind:
        raise DocumentError(f"{where}: expected {kind.__name__}, got {value!r:.60}")
    return value


def _fields(kind: Any, content: dict[str, Any], where: str) -> Any:  # noqa: ANN401
    names = {field.name for field in fields(kind)}
    needed = {field.name for field in fields(kind) if field.default is MISSING}
    if not needed <= content.keys() <= names:
        raise DocumentError(f"{where}: expected the keys {sorted(names)}, got {sorted(content)}")
    hints = get_type_hints(kind)
    return kind(**{name: _value(hints[name], content[name], f"{where}, '{name}'") for name in content})
