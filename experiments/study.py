"""The engine of all studies: points that are measured once each, on the cores of this machine or on many.

A study says what its points are and how one is measured. Its figures are lines of the `.jsonl` file beside
its script; what is there is not measured again. So whatever ends a study (Ctrl-C, `kill -9`, a full disk),
the same command goes on with it. A point that fails stops no other: its error is a line of the file
`.errors`, and the next start tries it again. `--task digits --seed 0` measures a part of the points, and
`--rows FILE` writes to another file.
"""

import argparse
import importlib
import json
import os
import sys
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from toolchain.cluster import Flow, open_cluster
from toolchain.errors import StorageError, ToolchainError
from toolchain.files.disk import writing
from toolchain.files.locks import locked

HERE = Path(__file__).parent
DEFAULTS = "defaults"
"""What a line means that lacks a field of the key."""
FAILED, INTERRUPTED = 3, 130
Key = tuple[Any, ...]
Row = dict[str, Any]


@dataclass(frozen=True)
class Given:
    """What a point is measured with.

    Attributes:
        data: Folder of data that others have published.
        work: Folder for what points share or leave behind.
        rows: Rows of the points that this one needs, in the order in which it names them.
    """

    data: Path
    work: Path
    rows: Mapping[Key, Row] = field(default_factory=dict[Key, Row])


@dataclass(frozen=True)
class Campaign:
    """The points of a study.

    Attributes:
        script: The script, which calls this `CAMPAIGN`; figures are in the `.jsonl` of its name.
        fields: Names of the parts of a key in a row.
        points: Returns the keys of a number of seeds, in the order in which they are measured.
        measure: Returns the figures of a point.
        needs: Returns the points whose rows a point needs.
        seeds: Number of seeds that the study has.
    """

    script: Path
    fields: tuple[str, ...]
    points: Callable[[int], Iterable[Key]]
    measure: Callable[[Key, Given], Row]
    needs: Callable[[Key], Sequence[Key]] = lambda _: ()
    seeds: int = 1

    @property
    def results(self) -> Path:
        """The file of the published figures."""
        return self.script.with_suffix(".jsonl")

    def rows(self, path: Path | None = None) -> dict[Key, Row]:
        """Return the rows that are there, the last of each point; a line that was cut off is none."""
        path = path or self.results
        lines = path.read_bytes().split(b"\n")[:-1] if path.exists() else []
        rows = map(json.loads, filter(None, lines))
        return {tuple(row.get(name, DEFAULTS) for name in self.fields): row for row in rows}

    def figures(self) -> dict[Key, dict[str, float]]:
        """Return the figures of a study that has them in a part of their own."""
        return {key: row["figures"] for key, row in self.rows().items()}

    def missing(self) -> list[Key]:
        """Return the points that lack published figures."""
        rows = self.rows()
        return [key for key in self.points(self.seeds) if key not in rows]


def append(path: Path, row: Row) -> None:
    """Add a row, at once and on the disk; a line before it that was cut off goes."""
    with locked(path), writing(path), path.open("r+b") as file:
        file.truncate(file.read().rfind(b"\n") + 1)
        file.seek(0, os.SEEK_END)
        file.write(f"{json.dumps(row, ensure_ascii=False)}\n".encode())
        file.flush()
        os.fsync(file.fileno())


def measure_point(script: str, key: Key, given: Given) -> Row:
    """Measure a point in a worker, and return its row."""
    if (folder := str(Path(script).parent)) not in sys.path:
        sys.path.insert(0, folder)
    campaign, started = importlib.import_module(Path(script).stem).CAMPAIGN, time.monotonic()
    row = dict(zip(campaign.fields, key, strict=True)) | campaign.measure(key, given)
    row.setdefault("seconds", round(time.monotonic() - started, 1))
    return json.loads(json.dumps(row))


def measure_all(campaign: Campaign, keys: Sequence[Key], given: Given, path: Path, flow: Flow) -> int:
    """Measure points, write their rows as they come, and return how many failed."""
    rows, waiting, failed = campaign.rows(path), list(keys), 0
    under_way: dict[str, Key] = {}
    while waiting or under_way:
        ready = [key for key in waiting if all(need in rows for need in campaign.needs(key))]
        for key in ready[: flow.free]:
            waiting.remove(key)
            under_way[spelled(key)] = key
            needed = replace(given, rows={need: rows[need] for need in campaign.needs(key)})
            flow.submit(spelled(key), measure_point, str(campaign.script), key, needed)
        if under_way:
            outcome = flow.next()
            key, error = under_way.pop(outcome.key), outcome.error
            row: Row = outcome.result
        else:
            key, row = waiting.pop(0), {}
            error = ToolchainError(f"it needs {' and '.join(map(spelled, campaign.needs(key)))}")
        if isinstance(error, StorageError):
            raise error
        if error is None:
            rows[key] = row
            append(path, row)
        else:
            failed += 1
            fields = dict(zip(campaign.fields, key, strict=True))
            append(path.with_suffix(".errors"), {**fields, "error": str(error)})
        told = f"{row['seconds']} s" if error is None else f"failed: {str(error).splitlines()[-1]}"
        print(f"{len(keys) - len(waiting) - len(under_way)}/{len(keys)} {spelled(key)}: {told}", flush=True)
    return failed


def spelled(key: Key) -> str:
    """Return a point as words."""
    return ", ".join(map(str, key))


def asked_of(campaign: Campaign, arguments: Sequence[str] | None) -> argparse.Namespace:
    """Return what the command line of a study asks for, `keys` among it."""
    name = campaign.script.stem.replace("_", "-")
    parser = argparse.ArgumentParser(
        description=f"The points of {name} that are missing.", allow_abbrev=False
    )
    for each in campaign.fields:
        parser.add_argument(f"--{each}", action="append", help="only these")
    if "seed" in campaign.fields:
        parser.add_argument("--seeds", type=int, help="number of seeds")
    parser.add_argument("--workers", type=int, help="processes; by default as cores and memory allow")
    parser.add_argument("--scheduler", help="of Dask; its workers have this folder in their PYTHONPATH")
    parser.add_argument(
        "--data", type=Path, default=os.environ.get("PUMICE_DATA", "data"), help="published data"
    )
    parser.add_argument("--work", type=Path, default=f".{name}", help="folder for what points leave behind")
    parser.add_argument("--rows", type=Path, default=campaign.results, help="file of figures")
    parser.set_defaults(seeds=campaign.seeds)
    asked = parser.parse_args(arguments)
    only = [getattr(asked, each) for each in campaign.fields]
    asked.keys = [
        key
        for key in campaign.points(asked.seeds)
        if all(not values or str(part) in values for part, values in zip(key, only, strict=True))
    ]
    if not asked.keys:
        parser.error(f"the study has no such point; its first is {spelled(next(iter(campaign.points(1))))}")
    return asked


def carry_out(campaign: Campaign, arguments: Sequence[str] | None = None) -> bool:
    """Measure what is missing, and return whether the published figures are whole now.

    Args:
        campaign: The study.
        arguments: Its command line; by default that of the process.

    Raises:
        SystemExit: Points failed, or there are no workers.
    """
    asked = asked_of(campaign, arguments)
    asked.rows.with_suffix(".errors").unlink(missing_ok=True)
    given, rows = Given(asked.data.absolute(), asked.work.absolute()), campaign.rows(asked.rows)
    # Workers load this module by its name.
    os.environ["PYTHONPATH"] = os.pathsep.join(filter(None, (str(HERE), os.environ.get("PYTHONPATH"))))
    if keys := [key for key in asked.keys if key not in rows]:
        try:
            with open_cluster(asked.scheduler, asked.workers) as cluster:
                if asked.scheduler:
                    cluster.check_files([campaign.script, *sorted(HERE.glob("*.py"))])
                failed = measure_all(campaign, keys, given, asked.rows, cluster.flow())
        except ToolchainError as error:
            raise SystemExit(str(error)) from error
        except KeyboardInterrupt:
            raise SystemExit(INTERRUPTED) from None
        if failed:
            print(f"{failed} points failed: {asked.rows.with_suffix('.errors')}", file=sys.stderr)
            raise SystemExit(FAILED)
    return not campaign.missing()
