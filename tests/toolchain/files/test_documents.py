"""Tests of JSON files of a known form."""

from pathlib import Path
from typing import ClassVar

import pytest
from pydantic import Field

from tests.peak_memory import peak_of
from toolchain.errors import CorruptArtifactError, FormatVersionError, MissingFileError
from toolchain.files.documents import (
    Document,
    FileDocument,
    Whole,
    parse_document,
    read_document,
    write_document,
    write_json,
)


class _Part(Document):
    share: float = 0.0
    steps: Whole = 0
    rates: dict[str, float] = Field(default_factory=dict)


class _Sheet(FileDocument):
    FORMAT: ClassVar[str] = "a-sheet"
    VERSION: ClassVar[int] = 3
    WHAT: ClassVar[str] = "sheet of a test"
    WRITTEN_BY: ClassVar[str] = "make test"

    part: _Part


def test_missing_and_broken_documents_are_told_apart(tmp_path: Path) -> None:
    with pytest.raises(MissingFileError):
        read_document(tmp_path / "x.json", _Sheet)
    (tmp_path / "x.json").write_text("{")
    with pytest.raises(CorruptArtifactError, match="is not well formed"):
        read_document(tmp_path / "x.json", _Sheet)


def test_json_has_no_word_for_nan(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="not JSON compliant"):
        write_json(tmp_path / "x.json", {"a": float("nan")})
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('{"share": 1e999}', "key 'share' expected a finite number"),
        ('{"share": NaN}', "key 'share' expected a finite number"),
        ('{"share": -Infinity}', "key 'share' expected a finite number"),
        ('{"share": 1' + "0" * 400 + "}", "key 'share' expected a finite number"),
        ('{"share": 1' + "0" * 5000 + "}", "number out of range"),
        ('{"steps": 1' + "0" * 30 + "}", "key 'steps' expected less than"),
        ('{"steps": 1.5}', "key 'steps' expected a whole number, got 1.5"),
        ('{"steps": true}', "key 'steps' expected a whole number"),
        ('{"share": "1"}', "key 'share' expected a number, got '1'"),
        ('{"rates": {"a": [1]}}', "key 'rates.a' expected a number"),
        ('{"rates": []}', "key 'rates' expected a section of keys"),
        ('{"other": 1}', "key 'other' is not known"),
        ('{"rates": {"\\ud800": 1}}', "not JSON"),
        ("[" * 100_000, "recursion limit"),
        ("\xff", "not JSON"),
        ("", "not JSON"),
        ("null", "expected a section of keys"),
    ],
)
def test_what_a_class_does_not_allow_is_refused_by_its_key(text: str, said: str) -> None:
    with pytest.raises(CorruptArtifactError, match=said):
        parse_document(text, Path("part.json"), _Part)


def test_bytes_that_are_no_text_are_refused() -> None:
    with pytest.raises(CorruptArtifactError, match="not JSON"):
        parse_document(b'{"share": \xff}', Path("part.json"), _Part)


def test_a_document_comes_back_as_it_was_written(tmp_path: Path) -> None:
    sheet = _Sheet(format="a-sheet", version=3, part=_Part(share=0.1 + 0.2, rates={"a": -0.0}))
    write_document(tmp_path / "x.json", sheet)
    assert read_document(tmp_path / "x.json", _Sheet) == sheet


def test_another_version_is_told_before_its_keys_are(tmp_path: Path) -> None:
    (tmp_path / "x.json").write_text('{"format": "a-sheet", "version": 2, "old": 1}')
    with pytest.raises(FormatVersionError, match=r"version 2, .* 'make test'"):
        read_document(tmp_path / "x.json", _Sheet)


@pytest.mark.parametrize("text", ['{"format": "another", "version": 3}', '{"version": 3}', "[]", "3"])
def test_another_file_is_told_by_what_it_is_not(tmp_path: Path, text: str) -> None:
    (tmp_path / "x.json").write_text(text)
    with pytest.raises(CorruptArtifactError, match="is not the sheet of a test"):
        read_document(tmp_path / "x.json", _Sheet)


@pytest.mark.parametrize(
    "content",
    [
        '{"parts": [' + "{}," * 10**6 + "{}]}",
        "[" + "[]," * 10**6 + "[]]",
        '{"rates": {' + ",".join(f'"{i:x}":""' for i in range(6 * 10**5)) + "}}",
        '{"rates": [' + '"",' * 10**6 + '""]}',
        "{" + ",".join(f'"{i:x}":1' for i in range(6 * 10**5)) + "}",
    ],
    ids=["objects", "lists", "wrong values", "wrong list", "unknown keys"],
)
def test_a_text_that_becomes_many_objects_or_errors_is_refused_before_it_is_parsed(
    content: str, tmp_path: Path
) -> None:
    (tmp_path / "x.json").write_text(content)
    with pytest.raises(CorruptArtifactError, match="documents may take"):
        read_document(tmp_path / "x.json", _Sheet)


def test_a_file_of_holes_is_refused_unread(tmp_path: Path) -> None:
    with (tmp_path / "x.json").open("wb") as file:
        file.truncate(2**40)
    with pytest.raises(CorruptArtifactError, match="documents may take"):
        read_document(tmp_path / "x.json", _Sheet)


def test_of_many_wrong_values_the_number_is_told() -> None:
    with pytest.raises(CorruptArtifactError, match="5000 of its values are missing or not as expected"):
        parse_document("{" + ",".join(f'"{i:x}":1' for i in range(5000)) + "}", Path("x"), _Part)


def test_refusing_the_longest_document_takes_little_memory(tmp_path: Path) -> None:
    (tmp_path / "x.json").write_text('{"a": [' + "{}," * 30_000 + "{}]}")
    imports = (
        "from pathlib import Path; from toolchain.files.documents import Document, read_document\n"
        "Part = type('Part', (Document,), {'__annotations__': {c: float for c in 'abcdefghijklmnop'}})\n"
        "Whole = type('Whole', (Document,), {'__annotations__': {'a': list[Part]}})"
    )
    peak = peak_of(imports, "read_document(Path(sys.argv[1]), Whole)", tmp_path / "x.json")
    assert "480016 of its values are missing" in peak.said
    assert peak.mebibytes < 300
