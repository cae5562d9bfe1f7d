"""One fault put into a NIR graph, which must then be refused by name."""

from typing import Any

import nir
import numpy as np


def _leaf(graph: nir.NIRGraph, rng: np.random.Generator, *kinds: type) -> tuple[str, Any]:
    found = [(name, node) for name, node in graph.nodes.items() if isinstance(node, kinds)]
    return found[int(rng.integers(len(found)))] if found else ("", None)


def _parameter(graph: nir.NIRGraph, rng: np.random.Generator) -> str:
    name, node = _leaf(graph, rng, nir.LIF, nir.CubaLIF)
    if node is None:
        return ""
    key = str(rng.choice(["v_threshold", "r", "v_leak"]))
    shape = np.shape(getattr(node, key))
    other = (*shape, 2) if rng.random() < 0.4 else (*shape[1:], *shape[:1]) if len(shape) > 1 else (7,)
    setattr(node, key, np.full(other, 1.0))
    return f"{key} of '{name}' is {other}"


def _output(graph: nir.NIRGraph, rng: np.random.Generator) -> str:
    name, node = _leaf(graph, rng, nir.Output)
    node.output_type = {"output": np.array([int(rng.integers(1, 9)), 2])}
    return f"'{name}' declares something"


def _input_shape(graph: nir.NIRGraph, rng: np.random.Generator) -> str:
    name, node = _leaf(graph, rng, nir.Conv2d)
    if node is None:
        return ""
    node.input_shape = (9, 9)
    return f"'{name}' declares input_shape"


def _edge(graph: nir.NIRGraph, rng: np.random.Generator) -> str:
    names = list(graph.nodes)
    pair = [names[int(rng.integers(len(names)))] for _ in range(2)]
    if rng.random() < 0.2:
        pair[1] += "x"
    graph.edges.append((pair[0], pair[1]))
    return f"an edge {pair}"


def _twice(graph: nir.NIRGraph, rng: np.random.Generator) -> str:
    graph.edges.append(graph.edges[int(rng.integers(len(graph.edges)))])
    return ""


def _reset(graph: nir.NIRGraph, rng: np.random.Generator) -> str:
    name, node = _leaf(graph, rng, nir.LIF, nir.CubaLIF, nir.IF)
    if node is None:
        return ""
    node.v_reset = np.full(np.shape(node.v_threshold), -0.25)
    return f"'{name}' is reset to -0.25"


def _alone(graph: nir.NIRGraph, rng: np.random.Generator) -> str:
    graph.nodes["alone"] = nir.Threshold(np.ones(2))
    return "'alone' is not reached"


def _broken(graph: nir.NIRGraph, rng: np.random.Generator) -> str:
    name, node = _leaf(graph, rng, nir.Delay)
    if node is None:
        return ""
    node.delay = np.asarray(node.delay) + 3e-5
    return f"'{name}' waits a part of a step"


SPOILERS = (_parameter, _output, _input_shape, _edge, _edge, _twice, _reset, _alone, _broken)
