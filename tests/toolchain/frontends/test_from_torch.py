"""Which modules become graphs, exactly, and which are refused by path."""

from collections import OrderedDict

import numpy as np
import pytest
import torch
from scipy.sparse import csr_array
from torch import nn

from tests.networks import part
from tests.nodes import node_of, weights_of
from toolchain import ir
from toolchain.errors import FrontendError, UnsupportedModuleError, VerifyError
from toolchain.execution import reference
from toolchain.execution.trace import Trace
from toolchain.frontends import check_float, from_torch
from toolchain.ir import Decode, EdgeKind
from toolchain.models import Connection, CubaLif, HrsnnShape, MaskedSynapses, Network, build_hrsnn


def _chain(**changes: nn.Module) -> nn.Sequential:
    parts: dict[str, nn.Module] = {
        "first": nn.Linear(3, 5, bias=False),
        "hidden": CubaLif(5, dv=0.2),
        "drop": nn.Dropout(0.5),
        "second": nn.Linear(5, 2),
        "out": CubaLif(2, dv=0.1, vth=float("inf")),
    }
    sequential = nn.Sequential()
    for name, module in (parts | changes).items():
        sequential.add_module(name, module)
    return sequential.double()


def test_a_sequential_becomes_a_graph_with_the_linear_bias_in_the_neurons() -> None:
    module = _chain()
    graph = from_torch(module, np.ones((1, 4, 3)))
    assert np.array_equal(
        node_of(graph, "out", ir.Lif).bias, part(module, "second", nn.Linear).bias.detach().numpy()
    )
    assert graph.outputs[0].decode is Decode.MEAN_V
    assert [node.name for node in graph.populations] == ["hidden", "out"]
    trace = reference.run(graph, np.ones((1, 4, 3)))
    current = part(module, "first", nn.Linear).weight.detach().numpy().sum(axis=1)
    assert np.abs(trace.u["hidden"][0, 0] - current).max() <= 1e-12


def test_an_example_of_real_values_makes_a_graded_input() -> None:
    graph = from_torch(_chain(), np.full((1, 4, 3), 0.5))
    node = graph.inputs[0]
    assert node.edge is EdgeKind.GRADED
    assert node.scale == 255 / 0.5


def test_an_unnamed_sequential_gets_readable_names() -> None:
    module = nn.Sequential(nn.Linear(3, 2, bias=False), CubaLif(2))
    graph = from_torch(module)
    assert [node.name for node in graph] == ["input", "synapses0", "neurons1", "output"]
    assert graph.outputs[0].decode is Decode.SPIKE_COUNT


def test_a_nested_sequential_is_its_layers_in_a_row(rng: np.random.Generator) -> None:
    layers = (nn.Linear(3, 4, bias=False), CubaLif(4), nn.Dropout(), nn.Linear(4, 2), CubaLif(2))
    last = nn.Sequential(OrderedDict(last=nn.Sequential(*layers[3:])))
    nested = nn.Sequential(nn.Sequential(*layers[:3]), last)
    graph, flat = from_torch(nested), from_torch(nn.Sequential(*layers))
    assert [node.name for node in graph.populations] == ["neurons0_1", "neurons1_last_1"]
    x = rng.random((2, 9, 3)) < 0.5
    for ours, expected in zip(
        reference.run(graph, x).v.values(), reference.run(flat, x).v.values(), strict=True
    ):
        np.testing.assert_array_equal(ours, expected)
    with pytest.raises(UnsupportedModuleError) as caught:
        from_torch(nn.Sequential(nested, nn.Sequential(nn.LSTM(2, 2))))
    assert caught.value.path == "1.0"


def test_nested_names_that_become_one_are_refused() -> None:
    inner = nn.Sequential(nn.Linear(2, 2), CubaLif(2))
    module = nn.Sequential(OrderedDict([("0", inner), ("w", nn.Linear(2, 2)), ("neurons0_1", CubaLif(2))]))
    with pytest.raises(FrontendError, match="two layers are called 'neurons0_1'"):
        from_torch(module)


def test_activations_are_no_spikes_and_the_error_says_what_to_do() -> None:
    convolutions = nn.Sequential(nn.Sequential(nn.Conv2d(1, 2, 3), nn.ReLU()), nn.Flatten(), nn.Linear(8, 2))
    with pytest.raises(UnsupportedModuleError, match=r"'0\.1' is a ReLU.*put Spiking.*torch\.onnx\.export"):
        from_torch(convolutions, torch.zeros(1, 1, 4, 4))
    with pytest.raises(UnsupportedModuleError, match=r"'0' is a Conv2d.*needs Spiking neurons, not CubaLif"):
        from_torch(nn.Sequential(nn.Conv2d(1, 2, 3), CubaLif(2)))


def test_sparse_masks_become_csr_and_keep_synapses_that_weigh_nothing() -> None:
    mask = torch.zeros(4, 6, dtype=torch.bool)
    mask[0, 1] = mask[2, 3] = mask[3, 5] = True
    weight = torch.ones(4, 6)
    weight[2, 3] = 0.0
    module = nn.Sequential(MaskedSynapses(weight, mask), CubaLif(4))
    weights = weights_of(from_torch(module), "synapses0")
    assert isinstance(weights, csr_array)
    assert weights.nnz == 3


@pytest.mark.parametrize(
    ("changes", "path"),
    [
        ({"hidden": nn.ReLU()}, "hidden"),
        ({"first": nn.Conv1d(3, 5, 1)}, "first"),
        ({"drop": nn.LSTM(5, 5)}, "drop"),
    ],
)
def test_an_unsupported_layer_is_named_with_its_path(changes: dict[str, nn.Module], path: str) -> None:
    with pytest.raises(UnsupportedModuleError, match="supported: Network, Sequential, Linear") as caught:
        from_torch(_chain(**changes))
    assert caught.value.path == path


def test_an_unsupported_connection_of_a_network_is_named() -> None:
    network = Network(
        inputs={"input": 2},
        layers={"a": CubaLif(2)},
        connections={Connection("w", "input", "a"): nn.Sequential(nn.Linear(2, 2))},
        output="a",
    )
    with pytest.raises(UnsupportedModuleError, match=r"synapses\.w"):
        from_torch(network)


@pytest.mark.parametrize(
    ("module", "message"),
    [
        (nn.Sequential(nn.Linear(2, 2), nn.Linear(2, 2)), "put a CubaLif in between"),
        (nn.Sequential(CubaLif(2)), "no connection before it"),
        (nn.Sequential(nn.Linear(2, 2)), "must end in a CubaLif"),
        (nn.Sequential(nn.Linear(2, 2), CubaLif(2, du=0.5)), "in front of a current filter"),
    ],
)
def test_parts_that_do_not_fit_are_explained(module: nn.Module, message: str) -> None:
    with pytest.raises(FrontendError, match=message):
        from_torch(module)


def test_an_example_of_the_wrong_shape_is_refused() -> None:
    with pytest.raises(FrontendError, match=r"\[batch, time, 3\].*got \[1, 4, 7\]"):
        from_torch(_chain(), np.ones((1, 4, 7)))


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32])
def test_the_first_flip_between_pytorch_and_graph_is_reported(
    dtype: torch.dtype, rng: np.random.Generator
) -> None:
    network = build_hrsnn(HrsnnShape(channels=6, classes=3, neurons=40), rng).to(dtype)
    graph, x = from_torch(network), {"input": rng.random((20, 150, 6)) < 0.5}
    agreement = check_float(network, x, reference.run(graph, x))
    if dtype is torch.float64:
        assert agreement.first_flip is None
        assert agreement.error_before <= 1e-9
        assert "every spike equal" in str(agreement)
    else:
        # Rounding is there, it is small, and something was compared before any flip.
        assert 0 < agreement.error_before <= 1e-3
        assert agreement.first_flip is None or agreement.first_flip[2] > 0


def test_a_flip_is_found_where_it_is(rng: np.random.Generator) -> None:
    network = build_hrsnn(HrsnnShape(channels=6, classes=3, neurons=40), rng).double()
    x = {"input": rng.random((4, 30, 6)) < 0.5}
    trace = reference.run(from_torch(network), x)
    flipped = trace.spikes["hidden"].copy()
    flipped[2, 11, 5] ^= True
    flipped[1, 20, 0] ^= True
    agreement = check_float(network, x, Trace({**trace.spikes, "hidden": flipped}, trace.v))
    assert agreement.first_flip == ("hidden", 2, 11, 5)
    assert agreement.flipped == 2
    assert "first at step 11 (neuron 5 of 'hidden', sample 2)" in str(agreement)


def test_weights_that_are_not_numbers_are_refused_by_name() -> None:
    module = _chain()
    with torch.no_grad():
        part(module, "first", nn.Linear).weight[1, 2] = float("nan")
    with pytest.raises(VerifyError, match="node 'first': weight 5 .*is nan"):
        from_torch(module)


def test_a_layer_that_nothing_feeds_is_named() -> None:
    network = Network(
        inputs={"input": 2},
        layers={"a": CubaLif(2), "b": CubaLif(2)},
        connections={Connection("w", "input", "a"): MaskedSynapses(torch.ones(2, 2))},
        output="a",
    )
    with pytest.raises(FrontendError, match="layer 'b' has no incoming connection"):
        from_torch(network)
