"""JSON files of a known form: a class says what may stand in one, and everything else is refused.

A file is parsed and checked in one go, and strictly: a text is no number, a number is finite, and whole where
it counts something, no key is unknown, and text is Unicode. Whoever holds a `Document` need not look at its
values again.
"""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, ClassVar, Final, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from toolchain.errors import CorruptArtifactError, FormatVersionError
from toolchain.files.atomic import write_text
from toolchain.files.disk import check_file
from toolchain.memory import budget

_ERROR_BYTES: Final = 450
"""What Pydantic keeps of every value that is not as expected, measured."""
_MOST_FIELDS: Final = 16
"""Fields that may be missing in one object, each of them an error."""
_OBJECT_BYTES: Final = 220
"""What an empty or small object or list takes, parsed twice, measured."""
_MOST_LISTED: Final = 1000
"""Errors of which the first is named; listing more takes too much memory."""

Whole = Annotated[int, Field(ge=-(2**63), lt=2**63)]
"""A whole number that NumPy holds; JSON knows those of 400 digits."""
Count = Annotated[int, Field(ge=0, lt=2**63)]
"""How many there are of something."""


def omitted(default: object) -> Any:  # noqa: ANN401 - what `Field` returns
    """Return the mark of a field that is not written while it has its default."""
    return Field(exclude_if=lambda value: value == default)


def later(default: object, description: str) -> Any:  # noqa: ANN401 - what `Field` returns
    """Return a field that came later: a file without it has its default, which is not written either."""
    return Field(default=default, exclude_if=lambda value: value == default, description=description)


OMITTED: Final = omitted(None)
"""Marks a field that came later: a file without it is read, and None is not written."""
Digest = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
"""A SHA-256 as hexadecimal text."""

EXPECTED: Final = {
    "greater_than": "expected more than {gt}",
    "greater_than_equal": "expected at least {ge}",
    "less_than": "expected less than {lt}",
    "less_than_equal": "expected at most {le}",
    "enum": "expected {expected}",
    "literal_error": "expected {expected}",
    "finite_number": "expected a finite number",
    "missing": "is missing",
    "too_short": "expected at least {min_length} values",
    "too_long": "expected at most {max_length} values",
    **dict.fromkeys(("extra_forbidden", "unexpected_keyword_argument"), "is not known"),
    "union_tag_invalid": "expected {discriminator} to be one of {expected_tags}",
    "union_tag_not_found": "expected a section with {discriminator}",
    **dict.fromkeys(
        ("int_parsing", "int_type", "int_from_float", "int_parsing_size"), "expected a whole number"
    ),
    **dict.fromkeys(("float_parsing", "float_type"), "expected a number"),
    **dict.fromkeys(("bool_parsing", "bool_type"), "expected true or false"),
    **dict.fromkeys(("list_type", "tuple_type"), "expected a list"),
    **dict.fromkeys(
        ("model_type", "dict_type", "model_attributes_type", "dataclass_type"), "expected a section of keys"
    ),
    "string_type": "expected a text",
}
"""What Pydantic's kinds of errors mean to whoever wrote the file."""
_SHOWN: Final = 60
"""Characters of a value that a message shows."""


class Document(BaseModel):
    """A part of a JSON file, or a whole one without a header."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, allow_inf_nan=False)


class FileDocument(Document):
    """A JSON file that says what it is.

    Attributes:
        FORMAT: What stands under `format` in every such file, such as `pumice-build`.
        VERSION: The version that is written and read.
        WHAT: The file in words, such as `manifest of a pumice build`.
        WRITTEN_BY: The command that writes it anew where its version is too old, such as `pumice compile`.
        ONCE_UNVERSIONED: Whether such files had no header at first; those count as version 0.
        format: Name of the format.
        version: Version of the format.
    """

    FORMAT: ClassVar[str]
    VERSION: ClassVar[int]
    WHAT: ClassVar[str]
    WRITTEN_BY: ClassVar[str]
    ONCE_UNVERSIONED: ClassVar[bool] = False

    format: str
    version: int


class _Header(BaseModel):
    model_config = ConfigDict(extra="ignore", strict=True)

    format: str = ""
    version: Whole = 0


Kind = TypeVar("Kind", bound=Document)


def read_document(path: Path, kind: type[Kind]) -> Kind:
    """Read a JSON file.

    Args:
        path: The file.
        kind: The class that says what may stand in it.

    Raises:
        MissingFileError: There is no such file.
        FormatVersionError: It was written by another version of the format.
        CorruptArtifactError: It is too large, not JSON, or not of this form: names the first wrong key.
    """
    return parse_document(read_content(path), path, kind)


def parse_document(content: bytes | str, path: Path, kind: type[Kind], *, named: str = "") -> Kind:
    """Return the document that stands in a file as these bytes; see `read_document`."""
    budget().check_document(path, parsed_bytes(content))
    try:
        if issubclass(kind, FileDocument):
            _check_header(content, path, kind, named or f"'{path}'")
        return kind.model_validate_json(content)
    except ValidationError as error:
        key, reason = explain(error)
        where = f"key '{key}' " if key else ""
        raise CorruptArtifactError(path, f"is not well formed: {where}{reason}") from None


def write_document(path: Path, document: Document) -> None:
    """Write a document as JSON."""
    write_text(path, document.model_dump_json(indent=2) + "\n")


def explain(error: ValidationError) -> tuple[str, str]:
    """Return the first key that Pydantic refused, dotted, and what was expected there and what came."""
    if error.error_count() > _MOST_LISTED:
        return "", f"{error.error_count()} of its values are missing or not as expected"
    return explained(error.errors(include_url=False)[0])


def explained(first: Mapping[str, Any]) -> tuple[str, str]:
    """Return the key of one of Pydantic's errors, dotted, and what was expected there and what came."""
    key = ".".join(str(part) for part in first["loc"] if is_key(part))
    if first["type"] == "json_invalid":
        return "", f"it is not JSON: {first.get('ctx', {}).get('error')}"
    if first["type"] == "value_error":
        return key, str(first.get("ctx", {}).get("error"))
    expected = EXPECTED.get(first["type"], "").format(**first.get("ctx", {})) or first["msg"].lower()
    if first["type"] in {"missing", "extra_forbidden", "unexpected_keyword_argument"}:
        return key, expected
    shown = repr(first["input"])
    return key, f"{expected}, got {shown if len(shown) <= _SHOWN else shown[:_SHOWN] + '...'}"


def format_of(content: bytes | str, path: Path) -> str:
    """Return what stands under `format` in a JSON file; empty where nothing does.

    Raises:
        CorruptArtifactError: It is too large, or not JSON.
    """
    budget().check_document(path, parsed_bytes(content))
    try:
        return _Header.model_validate_json(content).format
    except ValidationError as error:
        raise CorruptArtifactError(path, f"is not well formed: {explain(error)[1]}") from None


def is_key(part: int | str) -> bool:
    """Return whether a part of a place is a key or an index; of a choice it is the name of a type."""
    return isinstance(part, int) or (part.replace("_", "").isalnum() and part not in {"int", "str", "float"})


def _check_header(content: bytes | str, path: Path, kind: type[FileDocument], named: str) -> None:
    try:
        header = _Header.model_validate_json(content)
    except ValidationError as error:
        if error.errors(include_url=False)[0]["type"] == "json_invalid":
            raise
        raise CorruptArtifactError(path, f"is not the {kind.WHAT}") from None
    outdated = kind.ONCE_UNVERSIONED and header == _Header()
    if header.format != kind.FORMAT and not outdated:
        raise CorruptArtifactError(path, f"is not the {kind.WHAT}")
    if header.version != kind.VERSION:
        raise FormatVersionError(named, header.version, kind.VERSION, kind.WRITTEN_BY)


def parsed_bytes(content: bytes | str) -> int:
    """Return how many bytes the objects of a JSON text take at worst, and the errors about them.

    A text of a million `{}` is small, but each becomes an object, and each field that it lacks an error.
    """
    if isinstance(content, str):
        content = content.encode(errors="surrogatepass")
    objects = content.count(b"{")
    errors = content.count(b",") + objects * _MOST_FIELDS
    return len(content) + _OBJECT_BYTES * (objects + content.count(b"[")) + _ERROR_BYTES * errors


def read_content(path: Path) -> bytes:
    """Return what stands in a JSON file, for `parse_document`.

    Raises:
        MissingFileError: There is no such file.
        CorruptArtifactError: It is too large.
    """
    check_file("file", path)
    budget().check_document(path, path.stat().st_size)
    return path.read_bytes()


def write_json(path: Path, value: object) -> None:
    """Write `value` as JSON; NaN and infinity are refused, since JSON has no word for them."""
    write_text(path, json.dumps(value, indent=2, allow_nan=False) + "\n")
