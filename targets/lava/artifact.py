"""A network as one Python file and its weights, to be run with lava-nc alone."""

import ast
import inspect
from collections.abc import Mapping
from importlib.metadata import version
from importlib.resources import files
from pathlib import Path
from typing import Any, Final

from jinja2 import Environment, PackageLoader, StrictUndefined
from numpy.typing import NDArray
from scipy.sparse import csr_array

from targets.lava import compatibility
from targets.lava.job import in_lava_order
from targets.lava.plan import Plan, plan_processes
from toolchain import fixedpoint, ir
from toolchain.errors import TargetError
from toolchain.execution.stimulus import stored_key
from toolchain.files.atomic import write_text
from toolchain.files.npz import write_arrays
from toolchain.fixedpoint import SignMode
from toolchain.ir import EdgeKind, Graph, Stage
from toolchain.ir.matrix import sources_of, targets_of

FILE: Final = "network.py"
WEIGHTS: Final = "weights.npz"
_RESERVED: Final = frozenset('"\\{}')


def write_artifact(graph: Graph, folder: Path) -> None:
    """Write `network.py` and `weights.npz`: a network that runs where only lava-nc is installed.

    The file holds the source of our processes and of what lets lava-nc be imported on newer Pythons, one line
    per process, and a command line. Its integers are those of our own runs.

    Args:
        graph: Fixed.
        folder: Where to; it should hold nothing else, since Lava imports every Python file beside a process.

    Raises:
        TargetError: The graph is not in integers, or a name in it cannot stand in a Python file.
    """
    if graph.stage is not Stage.FIXED:
        raise TargetError("a stand-alone network holds integers; write the fixed graph of a build")
    for node in graph:
        if _plain(node.name) != node.name:
            raise TargetError(f"the name {node.name!r} cannot stand in a Python file; rename the module")
    plan = plan_processes(graph)
    write_arrays(folder / WEIGHTS, _arrays(plan))
    write_text(folder / FILE, _source(graph, plan))


def _source(graph: Graph, plan: Plan) -> str:
    loader = PackageLoader("targets.lava")
    # Python, not a page: nothing is escaped.
    environment = Environment(loader=loader, undefined=StrictUndefined, autoescape=False)  # noqa: S701
    read = sorted(node.inputs[0] for node in graph.outputs if node.reads_potential)
    inputs = {node.name: node for node in graph.inputs}
    single = len(inputs) == 1
    keys = {name: "input" if single else stored_key(name) for name in inputs}
    page = environment.get_template("network.py.j2").render(
        name=_plain(graph.name),
        version=version("pumice"),
        shim=_shim(),
        processes=_processes(plan),
        state_limit=fixedpoint.STATE_LIMIT,
        gap=plan.gap,
        latest=plan.latest,
        potentials=read,
        names={keys[name]: stored_key(name) for name in inputs},
        inputs=[{"key": keys[name], "shape": list(node.shape)} for name, node in inputs.items()],
        sources=[
            {
                "name": item.name,
                "key": keys[item.input],
                "shape": tuple(item.shape),
                "wait": item.wait,
                "offset": item.offset,
                "graded": inputs[item.input].edge is EdgeKind.GRADED,
                "scale": repr(float(inputs[item.input].scale)),
                "bits": inputs[item.input].bits,
            }
            for item in plan.sources
        ],
        neurons=[{"name": n.name, "offset": n.offset, "relay": n.name not in graph} for n in plan.neurons],
        graded=[{"name": g.name, "shape": tuple(g.shape), "offset": g.offset} for g in plan.graded],
        connections=[
            {
                "name": item.name,
                "source": item.source,
                "target": item.target,
                "sparse": isinstance(item.weights, csr_array),
                "shape": (targets_of(item.weights), sources_of(item.weights)),
                "exponent": item.exponent,
                "bits": item.weight_bits,
                "signs": (item.sign_mode or SignMode.MIXED).name,
                "graded": item.graded,
            }
            for item in plan.connections
        ],
        convolutions=[
            {
                "name": item.name,
                "source": item.source,
                "target": item.target,
                "input_shape": tuple(item.shape[::-1]),
                "stride": item.window.stride[::-1],
                "padding": item.window.padding[::-1],
                "dilation": item.window.dilation[::-1],
                "groups": item.groups,
                "graded": item.graded,
            }
            for item in plan.convolutions
        ],
    )
    return page + "\n"


def _plain(name: str) -> str:
    """Return a name without what would end a string, or begin something else, in a Python file."""
    return "".join(mark for mark in name if mark.isprintable() and mark not in _RESERVED)


def _arrays(plan: Plan) -> dict[str, NDArray[Any]]:
    """Return every array under `"<process>/<part>"`: names of processes hold no `/`."""
    arrays: dict[str, NDArray[Any]] = {}
    for item in plan.neurons:
        if isinstance(item.neurons, ir.FixedLif):
            arrays |= {f"{item.name}/{field}": values for field, values in _parameters(item.neurons).items()}
    for link in plan.connections:
        if isinstance(link.weights, csr_array):
            arrays |= {
                f"{link.name}/{part}": getattr(link.weights, part) for part in ("data", "indices", "indptr")
            }
        else:
            arrays[f"{link.name}/dense"] = link.weights
    return arrays | {f"{link.name}/kernel": in_lava_order(link.weights) for link in plan.convolutions}


def _parameters(neurons: ir.FixedLif) -> Mapping[str, NDArray[Any]]:
    return {
        "du": neurons.du,
        "dv": neurons.dv,
        "vth": neurons.vth,
        "bias_mant": neurons.bias_mantissa,
        "bias_exp": neurons.bias_exponent,
    }


def _shim() -> str:
    """Return the compatibility module from its first constant on: its imports stand in the file."""
    text = inspect.getsource(compatibility)
    return text[text.index("KNOWN_VERSION") :].rstrip()


def _processes(plan: Plan) -> str:
    """Return the source of the processes and models that a plan uses, those in integers."""
    parts = [inspect.getsource(fixedpoint.encode_graded)]
    for name in ("source", "windowed_lif", "graded_relay"):
        parts += _definitions(f"processes/{name}.py")
    if plan.convolutions:
        parts += [inspect.getsource(fixedpoint.wrap_sum), *_definitions("convolution.py")]
    return "\n\n\n".join(part.rstrip().replace("fixedpoint.", "") for part in parts)


def _definitions(path: str) -> list[str]:
    """Return the source of the classes and functions of a file of ours, read as text: Lava may be absent."""
    text = files("targets.lava").joinpath(path).read_text("utf-8")
    lines = text.splitlines()
    found: list[str] = []
    for node in ast.parse(text).body:
        if isinstance(node, ast.ClassDef | ast.FunctionDef) and not node.name.startswith("Float"):
            first = min(item.lineno for item in (node, *node.decorator_list))
            found.append("\n".join(lines[first - 1 : node.end_lineno]))
    return found
