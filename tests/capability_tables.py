"""The tables of what each target can: `python -m tests.capability_tables` writes them into the pages."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

from toolchain.target.capability_words import graph_words, neuron_words
from toolchain.target.protocol import BoardTarget, ChipTarget, ProcessorTarget, Target
from toolchain.target.registry import load_target

_ROOT: Final = Path(__file__).parents[1]
_TARGETS: Final = ("emulator", "lava", "lava-layers", "lava-stock", "onnx", "c", "rtl", "loihi1", "loihi2")
_PAGES: Final = {
    "targets/README.md": ("neurons", "graphs", "programs"),
    "docs/neurons.md": ("neurons",),
    "docs/new-target.md": ("graphs",),
}
_PROGRAMS: Final = ("size", "stepped by hand", "resumed", "written as files")


def pages() -> dict[Path, str]:
    """Every page that has such a table, as it should be."""
    targets = {name: load_target(name) for name in _TARGETS}
    tables = {
        "neurons": _neuron_table(targets),
        "graphs": _graph_table(targets),
        "programs": _program_table(targets),
    }
    found: dict[Path, str] = {}
    for page, names in _PAGES.items():
        text = (_ROOT / page).read_text(encoding="utf-8")
        for name in names:
            begin, end = f"<!-- {name}: begin -->", f"<!-- {name}: end -->"
            before, _, rest = text.partition(begin)
            _, _, after = rest.partition(end)
            text = f"{before}{begin}\n{tables[name]}\n{end}{after}"
        found[_ROOT / page] = text
    return found


def _neuron_table(targets: Mapping[str, Target]) -> str:
    """One row an aspect, and one column for all targets that declare the same."""
    columns: dict[tuple[str, ...], list[str]] = {}
    aspects: tuple[str, ...] = ()
    for name, target in targets.items():
        words = neuron_words(target.capabilities)
        aspects = tuple(words)
        columns.setdefault(tuple(words.values()), []).append(f"`{name}`")
    heads = ["what a spike does", *(", ".join(names) for names in columns.values())]
    return _lines(heads, [[aspect, *cells] for aspect, *cells in zip(aspects, *columns, strict=True)])


def _graph_table(targets: Mapping[str, Target]) -> str:
    """One row a target: what else its graphs may hold."""
    words = {f"`{name}`": graph_words(target.capabilities) for name, target in targets.items()}
    aspects = [aspect for aspect in next(iter(words.values())) if aspect not in _PROGRAMS]
    rows = [[name, *(can[aspect] for aspect in aspects)] for name, can in words.items()]
    return _lines(["target", *aspects], rows)


def _program_table(targets: Mapping[str, Target]) -> str:
    """One row a target: how large a network may be, and what its programs do."""
    rows = [
        [f"`{name}`", *(graph_words(target.capabilities)[aspect] for aspect in _PROGRAMS), _known(target)]
        for name, target in targets.items()
    ]
    return _lines(["target", *_PROGRAMS, "says what fits on"], rows)


def _known(target: Target) -> str:
    kinds = {"a chip": ChipTarget, "processors": ProcessorTarget, "boards": BoardTarget}
    return ", ".join(what for what, kind in kinds.items() if isinstance(target, kind)) or "-"


def _lines(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    written = [f"| {' | '.join(row)} |" for row in (heads, *rows)]
    return "\n".join([written[0], "|---" * len(heads) + "|", *written[1:]])


if __name__ == "__main__":
    for path, text in pages().items():
        path.write_text(text, encoding="utf-8")
