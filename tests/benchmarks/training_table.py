"""The figures of `tests.benchmarks.training` as the tables of a page."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from tests.benchmarks.training_peers import COMPILED, RECOMPUTED

BEGIN, END = "<!-- updates: begin -->", "<!-- updates: end -->"


def write_tables(page: Path, document: Mapping[str, Any]) -> None:
    """Write the tables between the two marks of a page."""
    before, rest = page.read_text(encoding="utf-8").split(BEGIN)
    after = rest.split(END)[1]
    page.write_text(f"{before}{BEGIN}\n{tables(document)}\n{END}{after}", encoding="utf-8")


def tables(document: Mapping[str, Any]) -> str:
    """Return the machine, times, memory and the curve in Markdown."""
    machine = document["machine"]
    threads = "one thread" if machine["threads"] == 1 else f"{machine['threads']} threads"
    where = machine["processor"] if machine["device"] == "cpu" else machine["device"]
    head = f"{machine['date']}, {threads} of {where}, torch {machine['torch']}."
    if machine["jobs"] > 1:
        head += f" Up to {machine['jobs']} problems at a time, each on cores of its own."
    parts = [head, times(document["problems"])]
    measured = [row for row in document["problems"] if row["peak bytes"]]
    if measured:
        parts.append(memory(measured))
    if document["curve"]:
        parts.append(growth(document["curve"]))
    return "\n\n".join(parts)


def times(rows: Sequence[Mapping[str, Any]]) -> str:
    """Return what an update takes, and how many times as long the others take."""
    names = [name for name in rows[0]["ms"] if name not in {COMPILED, RECOMPUTED}]
    lines = _head("network", f"{COMPILED}, ms", *names)
    for row in rows:
        ratios = [_ratio(row["ratios"][name], bold=name == row["fastest other"]) for name in names]
        lines.append(_line(row["problem"], f"{row['ms'][COMPILED]:,.0f}", *ratios))
    return "\n".join(lines)


def memory(rows: Sequence[Mapping[str, Any]]) -> str:
    """Return what an update takes at its peak beside the weights and the optimizer's memory of them."""
    names = list(rows[0]["peak bytes"])
    lines = _head("peak of an update, MiB", *names)
    lines += [_line(row["problem"], *(_mebibytes(row["peak bytes"][name]) for name in names)) for row in rows]
    return "\n".join(lines)


def growth(rows: Sequence[Mapping[str, Any]]) -> str:
    """Return how the time of an update grows with the recurrent synapses."""
    names = [name for name in rows[0]["ms"] if name != RECOMPUTED]
    lines = _head("recurrent density", "synapses in all", *(f"{name}, ms" for name in names))
    lines += [
        _line(
            f"{100 * row['density']:g} %",
            f"{row['synapses']:,}",
            *(f"{row['ms'][name]:,.0f}" for name in names),
        )
        for row in rows
    ]
    return "\n".join(lines)


def _head(*names: str) -> list[str]:
    return [_line(*names), _line(*("---" for _ in names))]


def _line(*cells: str) -> str:
    return f"| {' | '.join(cells)} |"


def _ratio(ratio: Sequence[float], *, bold: bool) -> str:
    middle, low, high = ratio
    text = f"{middle:.1f} times ({low:.1f} to {high:.1f})"
    return f"**{text}**" if bold else text


def _mebibytes(size: int) -> str:
    return f"{size / 2**20:,.0f}"
