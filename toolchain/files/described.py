"""JSON schemas of documents in which every field says what it is, in the words of the docstrings."""

import re
from typing import Any, Final, final

from pydantic.json_schema import GenerateJsonSchema, JsonSchemaValue

from toolchain.files.documents import FileDocument

_ATTRIBUTE: Final = re.compile(r"^ {4,8}(\w+): (.+(?:\n {9,}\S.*)*)", re.MULTILINE)


@final
class DescribedSchema(GenerateJsonSchema):
    """Takes descriptions of fields from the `Attributes` of the class, or of what it inherits from."""

    def model_schema(self, schema: Any) -> JsonSchemaValue:  # noqa: ANN401, D102 - Pydantic's
        return _described(super().model_schema(schema), schema["cls"])

    def dataclass_schema(self, schema: Any) -> JsonSchemaValue:  # noqa: ANN401, D102 - Pydantic's
        return _described(super().dataclass_schema(schema), schema["cls"])


def _described(schema: JsonSchemaValue, kind: type[Any]) -> JsonSchemaValue:
    texts = [each.__doc__ or "" for each in reversed(kind.__mro__)]
    fields = {name: _one_line(text) for each in texts for name, text in _ATTRIBUTE.findall(each)}
    for name, field in schema.get("properties", {}).items():
        if name in fields:
            field.setdefault("description", fields[name])
    if "description" in schema:
        schema["description"] = _one_line(schema["description"].partition("Attributes:\n")[0])
    if issubclass(kind, FileDocument):
        header = {"format": kind.FORMAT, "version": kind.VERSION}
        for name, value in header.items():
            schema["properties"][name] = {"const": value, "description": fields[name]}
        schema["required"] = [*header, *schema.get("required", ())]
    return schema


def _one_line(text: str) -> str:
    return " ".join(text.replace("`", "'").split())
