"""Gradients of a graph as a module: through its state, and straight through what is rounded."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from tests.graphs import chain, dense, feed_forward, lif, spikes
from toolchain import ir
from toolchain.ir import EdgeKind, Graph
from toolchain.models.surrogates import Surrogate, spike
from toolchain.passes import QuantizeGraph, Rounding
from toolchain.reset import Reset
from toolchain.training import GraphNetwork


def test_gradients_are_those_of_the_real_network_where_nothing_is_rounded(rng: np.random.Generator) -> None:
    """Integers that are exact: the straight-through gradient is the gradient."""
    graph = feed_forward()
    weights = np.array([[16.0, -32.0], [64.0, 16.0], [-48.0, 32.0]])
    graph = graph.map(
        lambda n: (
            replace(n, weights=weights)
            if isinstance(n, ir.Dense) and n.name == "encode"
            else (
                replace(n, dv=np.zeros(3), vth=np.full(3, 90.0))
                if n.name == "hidden" and isinstance(n, ir.Lif)
                else n
            )
        )
    )
    fixed = QuantizeGraph(rounding=Rounding.NEAREST, steps=6)(graph)
    x = torch.from_numpy(spikes(rng, 4, 6, 2))
    gradients = []
    for network in (GraphNetwork(graph), GraphNetwork(graph, fixed)):
        network(x).scores[:, 0].sum().backward()
        gradients.append(network.connection("encode").values.grad)
    assert gradients[0] is not None
    assert gradients[1] is not None
    assert gradients[0].abs().max() > 0
    assert torch.allclose(gradients[0], gradients[1], rtol=0.02, atol=1e-4)


def _one_neuron(**changes: Any) -> tuple[Graph, Tensor]:
    graph = chain(
        dense("w", "x", np.array([[0.9]])),
        lif("n", ("w",), 1, **{"dv": 0.2, "du": 0.7, "bias": 0.03} | changes),
        edge=EdgeKind.GRADED,
        bits=5,
    )
    steps = torch.tensor([0.7, 1.1, -0.4, 1.6, 0.2, 1.3, 0.9, 1.2], dtype=torch.float64)
    return graph, steps.reshape(1, -1, 1)


@pytest.mark.parametrize(
    "changes",
    [
        {"reset": Reset.ZERO},
        {"reset": Reset.VALUE, "reset_amount": -0.3},
        {"reset": Reset.SUBTRACT, "reset_amount": 0.8},
        {"reset": Reset.NONE},
        {"refractory": 2, "reset": Reset.SUBTRACT, "reset_amount": 0.5},
        {"adaptation": 0.6, "adaptation_decay": 0.1},
    ],
)
def test_gradients_go_through_the_state_and_the_rise_of_a_threshold_and_through_no_reset(
    changes: dict[str, Any],
) -> None:
    graph, x = _one_neuron(**changes)
    network = GraphNetwork(graph)
    network(x).scores.sum().backward()
    weight = torch.tensor(0.9, dtype=torch.float64, requires_grad=True)
    u = v = rise = total = torch.zeros((), dtype=torch.float64)
    wait, keep_rise = 0, 1 - changes.get("adaptation_decay", 1.0)
    for value in x.flatten():
        u = 0.3 * u + weight * value
        sent = torch.zeros(())
        if wait == 0:
            v = 0.8 * v + u + 0.03
            sent = spike(v - rise - 1.0, Surrogate.FAST_SIGMOID, 2.0)
            match changes.get("reset", Reset.ZERO):
                case Reset.SUBTRACT:
                    v = v - sent.detach() * changes["reset_amount"]
                case Reset.NONE:
                    pass
                case _:
                    v = torch.tensor(changes.get("reset_amount", 0.0), dtype=u.dtype) if sent > 0 else v
        wait = changes.get("refractory", 0) if sent > 0 else max(wait - 1, 0)
        rise = keep_rise * rise + changes.get("adaptation", 0.0) * sent
        total = total + sent
    total.backward()
    gradient = network.connection("w").values.grad
    assert gradient is not None
    assert weight.grad is not None
    assert total > 1
    assert gradient.item() == pytest.approx(weight.grad.item(), rel=1e-12)


def test_the_derivative_of_a_number_of_spikes_is_a_ramp_with_the_surrogate_at_its_ends() -> None:
    """Slope 1 / r from the first threshold, 1.0, to the last of four, 2.5; beyond them as for one spike."""
    graph, _ = _one_neuron(reset=Reset.SUBTRACT, reset_amount=0.5, max_spikes=4, bias=0.0, du=1.0)
    slopes: list[float] = []
    for potential in (0.5, 1.0, 1.7, 2.5, 3.0):
        network = GraphNetwork(graph)
        network(torch.tensor([[[potential / 0.9]]])).scores.sum().backward()
        gradient = network.connection("w").values.grad
        assert gradient is not None
        slopes.append(gradient.item() / (potential / 0.9))
    half = 1 / (1 + 2 * 1.0) ** 2
    assert slopes == pytest.approx([2 * half, 2, 2, 2, 2 * half], rel=1e-6)
