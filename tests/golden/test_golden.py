"""Graphs as text, before and after the passes. `make golden` rewrites; review reads the diff."""

from pathlib import Path

import numpy as np
import pytest

from tests.graphs import feed_forward, recurrent
from tests.image_graphs import ImageRecipe, random_images
from toolchain import ir
from toolchain.ir import Graph, print_graph
from toolchain.passes import FoldDelays, Pipeline, QuantizeGraph, RemoveDeadNeurons, RetimeDelays

_TEXTS = Path(__file__).parent / "texts"


def _with_varied_delays(graph: Graph) -> Graph:
    steps = np.array([1, 2, 1, 3, 1, 1, 2, 1, 1, 1, 1, 2])
    return graph.map(
        lambda n: (
            ir.Delay(name=n.name, inputs=n.inputs, shape=n.shape, steps=steps)
            if isinstance(n, ir.Delay)
            else n
        )
    )


def _cases() -> dict[str, str]:
    plain = feed_forward()
    loop = _with_varied_delays(recurrent(np.random.default_rng(0)))
    compile_passes = Pipeline((RemoveDeadNeurons(), FoldDelays(), QuantizeGraph()))
    fixed = compile_passes(loop)
    images = random_images(ImageRecipe(3, 2, graded=True, pooled=True, summed=True, skip=True, feedback=True))
    return {
        "feed-forward": print_graph(plain),
        "feed-forward-quantized": print_graph(QuantizeGraph()(plain)),
        "recurrent": print_graph(loop),
        "recurrent-compiled": print_graph(fixed),
        "recurrent-retimed": print_graph(RetimeDelays()(fixed)),
        "images": print_graph(images),
        "images-retimed": print_graph(RetimeDelays()(images)),
    }


@pytest.mark.parametrize("name", sorted(_cases()))
def test_the_text_is_the_expected_one(name: str, rewrite_golden: bool) -> None:
    path, text = _TEXTS / f"{name}.txt", _cases()[name]
    if rewrite_golden:
        _TEXTS.mkdir(exist_ok=True)
        path.write_text(text)
    assert text == path.read_text()
