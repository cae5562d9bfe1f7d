"""A journal is whole or not there, and a damaged one is named."""

from pathlib import Path

import pytest

from toolchain.errors import CorruptArtifactError
from toolchain.sweep.search_journal import JOURNAL, SearchJournal


def test_nothing_is_written_before_it_is_saved(tmp_path: Path) -> None:
    path = tmp_path / JOURNAL
    journal = SearchJournal(path)
    journal.append_logs([{"op_code": 0, "worker_id": "a"}])
    assert not path.exists()
    journal.save()
    assert list(SearchJournal(path).read_logs(0)) == list(journal.read_logs(0))
    assert list(SearchJournal(path).read_logs(1)) == []


@pytest.mark.parametrize("line", ["{", "[]", "{}", '{"op_code": 0}', "[" * 10_000, "\x00"])
def test_a_damaged_line_is_named(line: str, tmp_path: Path) -> None:
    path = tmp_path / JOURNAL
    path.write_text('{"op_code":0,"worker_id":"a"}\n' + line + "\n")
    with pytest.raises(CorruptArtifactError, match="is damaged in line 2; delete it"):
        SearchJournal(path)
