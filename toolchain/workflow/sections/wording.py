"""What is wrong with an experiment file, in words: the key, what was expected, and where a key belongs."""

from typing import Final, get_args

from pydantic import ValidationError

from toolchain.data.codes.options import CodeOptions
from toolchain.data.sets.known import KNOWN
from toolchain.data.sets.options import DATA_KINDS
from toolchain.errors import ExperimentError
from toolchain.files.documents import Document, explained, is_key
from toolchain.suggestion import nearest
from toolchain.workflow.sections.model import MODEL_KINDS
from toolchain.workflow.sections.pruning import PRUNING_KINDS
from toolchain.workflow.sections.quantization import QuantizationSection
from toolchain.workflow.sections.training import TrainingSection

_LOOKED_AT: Final = 100
"""Errors in a file among which the one to tell is looked for."""
_KEY: Final = 3
"""Parts of a place in a file down to a key: section, kind of section, key."""
_SECTIONS: Final[dict[str, tuple[type[Document], ...]]] = {
    "data": DATA_KINDS,
    "encoding": get_args(get_args(CodeOptions)[0]),
    "model": MODEL_KINDS,
    "pruning": PRUNING_KINDS,
    "training": (TrainingSection,),
    "quantization": (QuantizationSection,),
}
"""What may stand in each section; where there are several kinds, a key says which."""


def naming_key(kind: type[Document]) -> str:
    """Return the key that says of which kind a section is."""
    return "method" if kind in PRUNING_KINDS else "name"


def names_in(kind: type[Document]) -> tuple[str, ...]:
    """Return the names that say that a section is of this kind."""
    return get_args(kind.model_fields[naming_key(kind)].annotation)


def experiment_error(error: ValidationError, whole: type[Document]) -> ExperimentError:
    """Return what is wrong with an experiment file.

    Args:
        error: What Pydantic says.
        whole: The class of the file.
    """
    errors = error.errors(include_url=False)[:_LOOKED_AT]
    # A key that is not known explains one that is missing.
    first = next((each for each in errors if each["type"] == "extra_forbidden"), errors[0])
    section, *inside = [str(part) for part in first["loc"]] or [""]
    kinds = _SECTIONS.get(section, (whole,))
    if first["type"] == "union_tag_invalid":
        names = [name for kind in kinds for name in names_in(kind)]
        tag = str(first.get("ctx", {}).get("tag"))
        hint = nearest(tag, names)
        key = f"{section}.{naming_key(kinds[0])}"
        return ExperimentError(key, f"got '{tag}'{hint and f'; {hint}'}", known=names)
    kind = kinds[0] if inside else whole
    # Of several forms that a value may have, the one that was read furthest tells most.
    alike = [each for each in errors if each["loc"][:_KEY] == first["loc"][:_KEY] and inside]
    key, reason = explained(max(alike or [first], key=lambda each: len(each["loc"])))
    if len(kinds) > 1 and inside:
        # Between section and key stands the name of the kind.
        name, inside = inside[0], [part for part in inside[1:] if is_key(part)]
        kind = next(each for each in kinds if name in names_in(each))
        key = ".".join((section, *inside))
        if first["type"] == "missing" and inside == ["path"] and name in KNOWN:
            reason = f"{reason}: {KNOWN[name].advice}"
    if first["type"] != "extra_forbidden":
        return ExperimentError(key or "(file)", reason)
    key = ".".join((section, *inside))
    elsewhere = _belonging(section, inside[0], kind) if inside else ""
    return ExperimentError(key, f"is not known{elsewhere}", known=list(kind.model_fields))


def _belonging(section: str, key: str, kind: type[Document]) -> str:
    """Return where else a key belongs: to other kinds of its section, or to another section."""
    others = [each for each in _SECTIONS[section] if each is not kind and key in each.model_fields]
    if others:
        names = ", ".join(name for each in others for name in names_in(each))
        return f" to '{names_in(kind)[0]}': it belongs to {names}"
    sections = [
        other for other, kinds in _SECTIONS.items() if any(key in each.model_fields for each in kinds)
    ]
    return f": it belongs to [{'] and ['.join(sections)}]" if sections else ""
