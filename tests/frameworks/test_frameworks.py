"""Networks of other frameworks, with their own exporters and importers: exact, or why not.

Needs `make frameworks`, which installs them.
"""

from functools import cache
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest

from tests.frameworks.cells import SAMPLES, Export, Import
from tests.nodes import neurons_of
from toolchain import ir
from toolchain.execution.stimulus import Stimulus
from toolchain.execution.trace import QUANTITIES
from toolchain.fidelity import first_mismatch
from toolchain.interchange.nir.file import write_nir
from toolchain.target.registry import load_target
from toolchain.workflow.compile_file import compile_file

FRAMEWORKS = ("snntorch", "norse", "sinabs", "spikingjelly", "rockpool", "nirtorch")
MISSING = [name for name in FRAMEWORKS if find_spec(name) is None]

pytestmark = [
    pytest.mark.frameworks,
    pytest.mark.skipif(bool(MISSING), reason=f"not installed: {', '.join(MISSING)}; 'make frameworks' does"),
    pytest.mark.filterwarnings("ignore"),
]


@cache
def cells(framework: str) -> tuple[Import | Export, ...]:
    return tuple(import_module(f"tests.frameworks.{framework}_cells").CELLS)


@pytest.mark.parametrize("framework", FRAMEWORKS)
def test_every_layer_is_exact_or_the_table_says_why_not(framework: str, tmp_path: Path) -> None:
    wrong = {cell.title: cell.wrong(tmp_path) for cell in cells(framework)}
    assert not {title: what for title, what in wrong.items() if what}


@pytest.mark.parametrize("framework", FRAMEWORKS)
def test_what_was_imported_runs_on_lava_with_the_integers_of_the_emulator(
    framework: str, tmp_path: Path
) -> None:
    for cell in cells(framework):
        if isinstance(cell, Export) or cell.why:
            continue
        x = cell.stimulus()
        theirs = cell.run(x)
        try:
            write_nir(theirs.graph, tmp_path / "theirs.nir")
        except TypeError:
            # Some graphs can be handed over in memory only.
            continue
        chosen = cell.convention or cell.framework
        part = Stimulus.of(cell.entering(x)[:, :10])
        build = compile_file(
            tmp_path / "theirs.nir",
            target="lava",
            convention=chosen,
            reset=cell.reset,
            readout="membrane" if cell.membrane else None,
            stimulus=part,
        )
        traces = [
            load_target(name).build(build.fixed_graph).run(part, record=QUANTITIES)
            for name in ("emulator", "lava")
        ]
        assert first_mismatch(*traces) is None, cell.title
        node = build.fixed_graph[build.fixed_graph.outputs[0].inputs[0]]
        assert isinstance(node, ir.FixedLif)
        if np.isfinite(neurons_of(build.float_graph, node.name).vth).all():
            # Dead neurons are gone; the others know what they were.
            expected = theirs.spikes[:, :10].reshape(SAMPLES, 10, -1)[..., node.origin.elements]
            agreement = np.mean(traces[1].spikes[node.name].reshape(expected.shape) == expected)
            assert agreement > 0.95, f"{cell.title}: {agreement:.3f} of the spikes agree after quantization"


def table() -> str:
    """The table of the study, from the cells: a row for every framework and layer."""
    rows = ["| framework | layer | import | export | how, and why not |", "|---|---|---|---|---|"]
    for framework in FRAMEWORKS:
        layers: dict[str, list[Import | Export]] = {}
        for cell in cells(framework):
            layers.setdefault(cell.layer.partition(": ")[0], []).append(cell)
        for layer, members in layers.items():
            ways = [[cell for cell in members if isinstance(cell, kind)] for kind in (Import, Export)]
            results = ["; ".join(map(_became, way)) or "-" for way in ways]
            said = "; ".join(filter(None, map(_said, members)))
            rows.append(f"| {framework} | {layer} | {results[0]} | {results[1]} | {said} |")
    return "\n".join(rows)


def _became(cell: Import | Export) -> str:
    if isinstance(cell, Export):
        return "no" if cell.why else "exact"
    return cell.result if cell.result != "differs" else f"noted: {cell.apart} % of spikes"


def _said(cell: Import | Export) -> str:
    detail = cell.layer.partition(": ")[2]
    way = "in" if isinstance(cell, Import) else "out"
    return " ".join(filter(None, [f"{way}: {detail}" if detail else "", cell.why and f"({way}: {cell.why})"]))


def test_the_page_holds_the_table(repository: Path) -> None:
    assert table() in (repository / "docs/studies/frameworks.md").read_text(), table()
