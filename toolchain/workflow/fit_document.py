"""The document of a build on hardware: a fit, which is a dataclass, beside the fields of a header."""

from dataclasses import fields
from typing import Any

from pydantic import ConfigDict, create_model

from toolchain.files.documents import FileDocument


class FitHeader(FileDocument):
    """What a document says of every fit, on a chip or a processor."""

    # What a dataclass holds is checked too, so that no NaN gets into the file.
    model_config = ConfigDict(revalidate_instances="always")

    fits: bool
    binding: str
    utilization: float


def fit_document(name: str, header: type[FitHeader], fit: type, text: str) -> Any:  # noqa: ANN401 - a new class
    """Return the class of the documents of a fit.

    Args:
        name: Name of the class.
        header: What stands there beside the fields of the fit.
        fit: The dataclass.
        text: Docstring, which ends in the attributes of the header; those of the fit follow.
    """
    attributes = (fit.__doc__ or "").partition("Attributes:")[2].strip()
    given: dict[str, Any] = {each.name: (each.type, ...) for each in fields(fit)}
    return create_model(
        name, __base__=header, __doc__=f"{text.rstrip()}\n        {attributes}\n    ", **given
    )
