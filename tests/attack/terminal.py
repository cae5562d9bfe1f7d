"""Names with escape sequences, in every kind of file and through every verb: none reaches the terminal."""

import json
import shutil
import unicodedata
import zipfile
from collections.abc import Callable, Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any, Final

import h5py
import nir
import numpy as np
import onnx

from tests.attack.crafted_onnx import small_classifier
from tests.attack.kinds import reseal
from tests.attack.verbs import Caller, Verb, clear
from tests.small_run import TOML
from tests.toolchain.interchange.netx_graphs import save, small
from toolchain.execution.stimulus import Stimulus
from toolchain.interchange.nir.file import write_nir

EVIL: Final = "\x1b]0;evil\x07\x1b[31m\x9b1m\r\x08\x7f"
"""Sets the title of a window, rings, paints, goes back; in seven bits and in eight."""
_QUOTED: Final = json.dumps(EVIL)

Files = Callable[[Path], list[str]]
"""Writes files into a folder and returns the arguments of a command that reads them."""


def _changed(source: str, name: str, change: Callable[[Any], object], *arguments: str) -> Files:
    """A copy of the run or the build in which one JSON file says something else."""

    def write(folder: Path) -> list[str]:
        path = folder / "copy" / name
        document = json.loads(path.read_text())
        change(document)
        path.write_text(json.dumps(document))
        reseal(path)
        return [str(folder / "copy") if word == source else word for word in arguments]

    return write


def _set(*keys: str | int) -> Callable[[Any], object]:
    def change(document: Any) -> None:
        for key in keys[:-1]:
            document = document[key]
        document[keys[-1]] = EVIL

    return change


def _renamed(document: Any) -> None:
    """Give every node another name, everywhere."""
    names = [node["name"] for node in document["nodes"]]
    text = json.dumps(document)
    for name in names:
        text = text.replace(f'"{name}"', json.dumps(name + EVIL))
    document.update(json.loads(text))


def _keys(document: Any) -> None:
    document[EVIL] = EVIL


def _nir(change: Callable[[h5py.File], object] | None = None, name: str = "lif") -> Files:
    def write(folder: Path) -> list[str]:
        nodes = {
            "input": nir.Input({"input": np.array([3])}),
            name: nir.LIF(*[np.ones(3)] * 5),
            "output": nir.Output({"output": np.array([3])}),
        }
        write_nir(nir.NIRGraph(nodes, list(pairwise(nodes)), type_check=False), folder / "x.nir")
        if change is not None:
            with h5py.File(folder / "x.nir", "r+") as file:
                change(file)
        return ["compile", str(folder / "x.nir"), "-o", "OUT"]

    return write


def _retyped(file: h5py.File) -> None:
    del file["node/nodes/lif/type"]
    file["node/nodes/lif/type"] = EVIL.replace("\0", "")


def _onnx(change: Callable[[onnx.ModelProto], object]) -> Files:
    def write(folder: Path) -> list[str]:
        model = onnx.ModelProto.FromString(small_classifier())
        change(model)
        (folder / "x.onnx").write_bytes(model.SerializeToString())
        Stimulus.of(np.ones((1, 1, 1, 4, 4))).save(folder / "s.npz")
        return ["compile", str(folder / "x.onnx"), "-o", "OUT", "--example", str(folder / "s.npz")]

    return write


def _operator(model: onnx.ModelProto) -> None:
    model.graph.node[0].op_type = EVIL


def _nodes(model: onnx.ModelProto) -> None:
    for node in model.graph.node:
        node.name = EVIL
    model.graph.node[-1].op_type = "Sin"


def _tensors(model: onnx.ModelProto) -> None:
    model.graph.initializer[0].name = EVIL
    model.graph.node[-1].input[1] = EVIL
    model.graph.initializer[0].dims[0] = 7


def _netx(folder: Path) -> list[str]:
    layers = small(np.random.default_rng(0))
    layers[2]["type"] = EVIL
    save(folder / "x.net", layers)
    return ["compile", str(folder / "x.net"), "-o", "OUT"]


def _samples(*arguments: str) -> Files:
    """Samples whose array has another name."""

    def write(folder: Path) -> list[str]:
        with zipfile.ZipFile(folder / "s.npz", "w") as archive:
            Stimulus.of(np.ones((1, 2, 3), bool)).save(folder / "good.npz")
            archive.writestr(f"{EVIL}.npy", zipfile.ZipFile(folder / "good.npz").read("input.npy"))
        return [str(folder / "s.npz") if word == "FILE" else word for word in arguments]

    return write


def _text(name: str, content: str, *arguments: str) -> Files:
    def write(folder: Path) -> list[str]:
        (folder / name).write_text(content)
        return [str(folder / name) if word == "FILE" else word for word in arguments]

    return write


_KEY: Final = '"' + "".join(f"\\u{ord(letter):04x}" for letter in EVIL) + '"'
_BASELINE: Final = (
    '{"format": "pumice-baseline", "version": 1, "samples": 1, "output": {%s: 1}, "layers": {%s: {}}}'
)

FILES: Final[dict[str, Files]] = {
    "NIR, name of a node": _nir(name="lif" + EVIL.replace("/", "")),
    "NIR, type of a node": _nir(_retyped),
    "ONNX, operator": _onnx(_operator),
    "ONNX, nodes": _onnx(_nodes),
    "ONNX, tensors": _onnx(_tensors),
    "ONNX, not a model": lambda at: ["compile", str(Path(shutil.copy(__file__, at / "x.onnx"))), "-o", "OUT"],
    "netx, type of a layer": _netx,
    "samples": _samples("run", "BUILD", "-o", "OUT", "--input", "FILE"),
    "samples of a compilation": _samples("compile", "RUN", "-o", "OUT", "--calibration", "FILE"),
    "trace": _samples("check", "BUILD", "-t", "loihi2", "--trace", "FILE"),
    "experiment, key": _text("x.toml", f"{_KEY} = 1\n{TOML}", "train", "FILE", "-o", "OUT"),
    "experiment, value": _text("x.toml", f"[encoding]\nname = {_KEY}", "prune", "FILE", "-o", "OUT"),
    "experiment, not TOML": _text("x.toml", f"[{EVIL}", "train", "FILE", "-o", "OUT"),
    "profile, key": _text("c.toml", f"{_KEY} = 1\n", "check", "BUILD", "-t", "loihi2", "--profile", "FILE"),
    "profile, table": _text(
        "c.toml", f"[mesh]\n{_KEY} = 1\n", "check", "BUILD", "-t", "loihi2", "--profile", "FILE"
    ),
    "baseline": _text("b.json", _BASELINE % (_QUOTED, _QUOTED), "compare", "BUILD", "--baseline", "FILE"),
    "baseline, layer": _text(
        "b.json", _BASELINE % ('"accuracy_drop"', _QUOTED), "compare", "BUILD", "--baseline", "FILE"
    ),
    "a missing file": lambda at: ["show", str(at / EVIL.replace("/", ""))],
    "a target": lambda _: ["run", "BUILD", "-o", "OUT", "--target", EVIL],
    "a gate": lambda _: ["compare", "BUILD", "--gate", f"{EVIL}=1"],
    "a node": lambda _: ["show", "BUILD", "--why", EVIL],
    "an option": lambda _: ["show", "BUILD", f"--{EVIL}"],
    "a verb": lambda _: [EVIL],
    "a number": lambda _: ["check", "BUILD", "--chips", EVIL],
}
_GRAPH: Final = {
    "graph": _set("name"),
    "nodes": _renamed,
    "kind": _set("nodes", 1, "kind"),
    "classes": _set("nodes", -1, "classes", 0),
    "an unknown key": _keys,
    "format": _set("format"),
}
_MANIFEST: Final = {
    "target": _set("target"),
    "format": _set("format"),
    "version": _set("version"),
    "a key": _keys,
}
_VERBS: Final = (
    ("show", "BUILD"),
    ("check", "BUILD", "-t", "loihi2"),
    ("run", "BUILD", "-o", "OUT"),
    ("compare", "BUILD"),
    ("export", "BUILD", "-o", "OUT"),
)


def _builds() -> Iterator[tuple[str, str, Files]]:
    for verb in _VERBS:
        for name, change in _GRAPH.items():
            for stage in ("fixed", "float"):
                yield (
                    f"{stage} graph, {name}: {verb[0]}",
                    "BUILD",
                    _changed("BUILD", f"{stage}/graph.json", change, *verb),
                )
        for name, change in _MANIFEST.items():
            yield f"manifest, {name}: {verb[0]}", "BUILD", _changed("BUILD", "manifest.json", change, *verb)
        yield f"quantization: {verb[0]}", "BUILD", _changed("BUILD", "quantization.json", _keys, *verb)
    compile_run = ("compile", "RUN", "-o", "OUT")
    for name, change in {"a key": _keys, "format": _set("format"), "classes": _set("classes", 0)}.items():
        yield f"run.json, {name}", "RUN", _changed("RUN", "run.json", change, *compile_run)
    for name, change in {"output": _set("output"), "readout": _set("readout"), "a key": _keys}.items():
        yield f"network.json, {name}", "RUN", _changed("RUN", "network/network.json", change, *compile_run)


def terminal(caller: Caller, chosen: str = "") -> Iterator[tuple[str, int | None, list[str]]]:
    """Yield what was tried, its exit code and what was wrong."""
    plain: list[tuple[str, str, Files]] = [(name, "", write) for name, write in FILES.items()]
    for name, source, write in [*plain, *_builds()]:
        if chosen not in name:
            continue
        place = caller.place()
        (place / "in").mkdir()
        if source:
            shutil.copytree(caller.words[source], place / "in/copy")
        call = caller.start(Verb(name, tuple(write(place / "in"))), place)
        found = [] if call.wait(120) else ["hangs"]
        call.kill()
        for stream in ("stdout", "stderr"):
            text = (place / stream).read_bytes().decode(errors="replace")
            if seen := {
                letter for letter in text if unicodedata.category(letter) == "Cc" and letter not in "\n\t"
            }:
                found.append(f"{sorted(seen)} on {stream}")
            if "Traceback (most recent call last)" in text:
                found.append(f"traceback: {text.strip().splitlines()[-1][:150]!a}")
        if call.code not in {0, 2, 3, 4}:
            found.append(f"exit code {call.code}")
        yield name, call.code, found
        clear(call)
