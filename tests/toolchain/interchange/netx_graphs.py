"""Small netx files."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray

from toolchain import ir
from toolchain.interchange.netx.from_netx import layers_to_graphs
from toolchain.interchange.netx.layers import NetxLayer
from toolchain.ir import AnyNode, Graph

Values = dict[str, Any]


def cuba(vth: int = 80, decay: int = 123, current: int = 4096) -> Values:
    registers = {"iDecay": current, "vDecay": decay, "vThMant": vth, "refDelay": 1, "gradedSpike": False}
    return {"neuron/type": "CUBA"} | {f"neuron/{name}": value for name, value in registers.items()}


def dense(weights: NDArray[Any], **more: Any) -> Values:
    """A layer as Lava-DL writes it."""
    sizes = {"shape": [len(weights)], "inFeatures": weights.shape[1], "outFeatures": len(weights)}
    return {"type": "dense", **sizes, "weight": weights.astype(np.float32), **cuba(), **more}


def conv(weights: NDArray[Any], shape: tuple[int, ...], **more: Any) -> Values:
    geometry = {"shape": shape, "stride": [1, 1], "padding": [0, 0], "dilation": [1, 1], "groups": 1}
    return {"type": "conv", **geometry, "weight": weights.astype(np.float32)[..., None], **cuba(), **more}


def save(path: Path, layers: list[Values]) -> Path:
    with h5py.File(path, "w") as file:
        for number, layer in enumerate(layers):
            for name, value in layer.items():
                place = f"layer/{number}/{name}"
                if name == "type" and isinstance(value, str):
                    file.create_dataset(place, (1,), "S10", [value.encode()])
                elif isinstance(value, str):
                    file.create_dataset(place, data=value, dtype="S10")
                else:
                    file[place] = value
        file["simulation/Ts"] = 1
    return path


def even(rng: np.random.Generator, *shape: int) -> NDArray[Any]:
    return rng.integers(-20, 21, shape) * 2


def small(rng: np.random.Generator) -> list[Values]:
    """A convolution, a dense layer and one without neurons."""
    return [
        {"type": "input", "shape": [2, 6, 6]},
        conv(even(rng, 3, 2, 3, 3), (3, 4, 4), bias=np.array([5.0, -3.0, 0.0])),
        {"type": "flatten", "shape": [48]},
        dense(even(rng, 10, 48), bias=rng.integers(-9, 9, 10).astype(float)),
        {"type": "dense", "shape": [4], "weight": even(rng, 4, 10).astype(np.float32)},
    ]


def graphs_of(layers: list[Values]) -> Any:
    stored = [{name: np.asarray(value) for name, value in layer.items()} for layer in layers]
    return layers_to_graphs([NetxLayer(i, str(v["type"]), v) for i, v in enumerate(stored)], "net")


def fixed_of(found: Any) -> Graph:
    assert found.fixed is not None
    return found.fixed


def numbered(graph: Graph) -> Graph:
    """Return the graph with its populations numbered in order, whatever the places of layers in a file."""
    places = {node.name: f"layer{place}" for place, node in enumerate(graph.populations)}

    def again(name: str) -> str:
        layer, dot, rest = name.partition(".")
        return places.get(layer, layer) + dot + rest

    def renamed(node: AnyNode) -> AnyNode:
        names: dict[str, Any] = {"name": again(node.name), "inputs": tuple(map(again, node.inputs))}
        if isinstance(node, ir.FixedLif):
            names["origin"] = replace(node.origin, path=names["name"])
        return replace(node, **names)

    return replace(graph.map(renamed), name="")
