"""The journal of a search: a line for everything that was asked and told, in the form of Optuna."""

import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, Final, final

from toolchain.errors import CorruptArtifactError, ToolchainError
from toolchain.files.atomic import write_text
from toolchain.memory import budget

JOURNAL: Final = "search.journal"
_CREATE_STUDY, _CREATE_TRIAL, _SET_VALUE, _LAST = 0, 4, 5, 10
"""Numbers that Optuna gives to what a line says; the study comes first, and once."""
REMEDY: Final = "delete it, and the search begins anew; points that are there are not computed again"
_GROWTH: Final = 8
"""Bytes of objects for every byte of a journal, measured."""


@final
class SearchJournal:
    """A backend of Optuna's `JournalStorage` that writes its file whole or not at all.

    Nothing is written before `save`, so the file always ends between two steps of the search, and a search
    that was killed goes on from there. It is for one process at a time: where two search in one folder at
    once, the file is that of the last one to write.

    Args:
        path: The file; there may be none yet.

    Raises:
        CorruptArtifactError: The file is not a journal: names the line.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._lines = _read(path) if path.is_file() else []
        self._saved = len(self._lines)

    @property
    def empty(self) -> bool:
        """Whether nothing stands in it."""
        return not self._lines

    def read_logs(self, log_number_from: int) -> Iterable[dict[str, Any]]:
        """Return the lines from one on, for Optuna."""
        return iter(self._lines[log_number_from:])

    def append_logs(self, logs: Sequence[Mapping[str, Any]]) -> None:
        """Take further lines, from Optuna."""
        # As they will be read: members of enumerations become numbers.
        self._lines += [json.loads(json.dumps(each, allow_nan=False)) for each in logs]

    def save(self) -> None:
        """Write the file, if there is anything new."""
        if self._saved < len(self._lines):
            text = "".join(json.dumps(each, separators=(",", ":")) + "\n" for each in self._lines)
            write_text(self._path, text)
            self._saved = len(self._lines)


def count_repeated(path: Path) -> int:
    """Return how many trials of a journal have the values of one before; 0 where nothing can be read."""
    values: dict[object, dict[str, object]] = {}
    try:
        for line in _read(path) if path.is_file() else []:
            if line["op_code"] == _SET_VALUE:
                own = values.setdefault(line.get("trial_id"), {})
                own[str(line.get("param_name"))] = line.get("param_value_internal")
    except ToolchainError:
        return 0
    return len(values) - len({json.dumps(each, sort_keys=True) for each in values.values()})


def _read(path: Path) -> list[dict[str, Any]]:
    """Return the lines of a journal. Optuna itself passes over lines of trials that it does not know."""
    budget().check_document(path, _GROWTH * path.stat().st_size)
    lines: list[dict[str, Any]] = []
    trials = 0
    for number, text in enumerate(path.read_bytes().splitlines(), start=1):
        line = _parsed(text)
        code, trial = line.get("op_code"), line.get("trial_id")
        trials += code == _CREATE_TRIAL
        sound = isinstance(line.get("worker_id"), str) and code in range(_LAST + 1)
        known = trial is None or trial in range(trials)
        if not sound or not known or (code == _CREATE_STUDY) != (number == 1):
            raise CorruptArtifactError(path, f"is damaged in line {number}; {REMEDY}")
        lines.append(line)
    return lines


def _parsed(text: bytes) -> dict[str, Any]:
    try:
        line = json.loads(text)
    except (ValueError, RecursionError):
        return {}
    return line if isinstance(line, dict) else {}
