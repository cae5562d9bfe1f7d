"""Files that say what a place holds and costs: every number with its unit, source and confidence."""

import json
import re
import tomllib
from collections.abc import Collection
from enum import Enum
from importlib.resources.abc import Traversable
from pathlib import Path
from typing import Annotated, Any, Final, Generic, TypeVar

from pydantic import Field, ValidationError

from toolchain.errors import MissingFileError, ProfileError
from toolchain.files.documents import Document, explain
from toolchain.files.toml import read_toml
from toolchain.intake import path_of
from toolchain.target.chip_fit import Fact

T = TypeVar("T")
P = TypeVar("P", bound=Document)
_FORM: Final = "; expected { value = ..., unit = ..., source = ..., confidence = ... }"


class Confidence(Enum):
    """How certain a value is; `toolchain.target.chip_fit.confidence_in_words` spells it out."""

    STATED = "H"
    """Stated by the maker, or read from the vendor's code."""
    ONE_SOURCE = "M"
    """One primary source, or a fit to measurements."""
    SECOND_HAND = "L"
    """Quoted by others, or computed from rounded numbers."""
    INFERENCE = "INF"
    """Stated nowhere, but inferred; never a vendor's figure."""


class Sourced(Document, Generic[T]):
    """A value that says where it is from: `{ value, unit, source, confidence }`.

    Attributes:
        value: The value.
        unit: Unit of the value.
        source: Where the value stands.
        confidence: How sure the value is.
    """

    value: T
    unit: str
    source: Annotated[str, Field(min_length=1)]
    confidence: Confidence

    def fact(self) -> Fact:
        """Return the value as a plain number with its source."""
        if not isinstance(self.value, int | float):
            raise TypeError(f"{self.value!r} is not one number")
        return Fact(float(self.value), self.unit, self.source, self.confidence.value)


def read_profile(
    form: type[P], source: str | Path, folder: Traversable, built_in: Collection[str], guide: str
) -> P:
    """Return a profile of ours by name, or read one from a file.

    Args:
        form: The class that says what may stand in it.
        source: The name of one of ours, or the path of a TOML file of the same form.
        folder: Where ours are.
        built_in: Their names.
        guide: The page that says more, for whoever's file cannot be read.

    Raises:
        MissingFileError: There is no such file.
        ProfileError: A value is missing or impossible: names file and key.
    """
    # A file of that name goes before one of ours, where somebody gives a path.
    if source in built_in or (str(source) in built_in and not Path(source).exists()):
        name = str(source)
        document = tomllib.loads(folder.joinpath(f"{name}.toml").read_text("utf-8"))
    else:
        path = path_of(source, "profile")
        name, document = str(path), _read(path, guide, built_in)
    try:
        # As text, in which a list can be read as a tuple and a word as a choice, but no word as a number.
        return form.model_validate_json(json.dumps(_spelled_out(document), default=str))
    except ValidationError as error:
        key, reason = explain(error)
        missing = error.errors(include_url=False)[0]["type"] == "missing"
        raise ProfileError(name, key, reason + _FORM if missing else reason) from None


def _spelled_out(document: dict[str, Any]) -> dict[str, Any]:
    """Return a document whose sources say in words what their codes stand for."""
    references = document.get("references")
    if not isinstance(references, dict) or not references:
        return document
    words: dict[str, object] = references
    codes = re.compile(rf"\b({'|'.join(map(re.escape, words))})\b")

    def spelled(value: Any, key: str = "") -> Any:  # noqa: ANN401 - not checked yet
        match value:
            case str() if key == "source":
                return codes.sub(lambda code: str(words[code[0]]), value)
            case dict():
                return {name: spelled(inner, name) for name, inner in value.items()}
            case list():
                return [spelled(inner) for inner in value]
            case _:
                return value

    return spelled(document)


def _read(path: Path, guide: str, built_in: Collection[str]) -> dict[str, Any]:
    if not path.exists():
        raise MissingFileError("chip profile", path, f"give a file, or one of ours: {', '.join(built_in)}")
    try:
        return read_toml(path, "chip profile")
    except ValueError as error:
        raise ProfileError(str(path), "", f"{error}; see {guide}") from None
