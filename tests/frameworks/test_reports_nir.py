"""Networks of public reports about NIR and NIRTorch: what went wrong there, and what Pumice does."""

import re
from pathlib import Path
from typing import Any

import nir
import numpy as np
import pytest
import torch
from torch import nn

from tests.frameworks.reports import (
    NEEDED,
    ZERO,
    F,
    cells,
    convolution,
    drawn,
    fired,
    graph_of,
    of_snntorch,
    report,
    run_snntorch,
    scaled,
    weights,
    written,
)
from toolchain.errors import ToolchainError
from toolchain.workflow.compile_file import import_file

pytestmark = NEEDED


@report(
    "NIR#28",
    wrong="an edge to a nested graph of two inputs or outputs cannot say which",
    does="refused by the edge",
)
def test_an_edge_to_a_nested_graph_of_two_inputs_is_refused() -> None:
    four = np.array([4])
    inner = nir.NIRGraph(
        {
            "in1": nir.Input({"input": four}),
            "in2": nir.Input({"input": four}),
            "fires": nir.Threshold(np.ones(4)),
            "out1": nir.Output({"output": four}),
            "out2": nir.Output({"output": four}),
        },
        [("in1", "fires"), ("in2", "fires"), ("fires", "out1"), ("fires", "out2")],
        type_check=False,
    )
    with pytest.raises(ToolchainError, match=r"edge 'input' -> 'inner' .*an edge cannot say which"):
        import_file(graph_of((4,), {"inner": inner}))


@report(
    "NIR#60",
    wrong="whether the padding of a convolution may be `same` or `valid`, and what these are",
    does="both are read, equal to PyTorch's",
)
@pytest.mark.parametrize("padding", ["same", "valid"])
def test_padding_by_name_is_that_of_pytorch(padding: str) -> None:
    conv = convolution(padding)
    found = import_file(graph_of((2, 6, 6), {"conv": conv, "fires": nir.Threshold(np.array(0.5))}))
    x = drawn(2, 6, 6)
    expected = (
        F.conv2d(torch.tensor(x).flatten(0, 1).double(), torch.tensor(conv.weight), padding=padding) > 0.5
    )
    assert np.array_equal(fired(found, x), expected.reshape(2, 30, -1).numpy())


@report(
    "NIR#62",
    wrong="`same` is not always the same zeros on both sides, and differs between frameworks behind a stride",
    does="even kernels and strides with `same` are refused by the node, which is asked to state its zeros",
)
@pytest.mark.parametrize(("kernel", "stride"), [(2, 1), (4, 1), (3, 2), (1, 2)])
def test_same_padding_that_frameworks_read_in_different_ways_is_refused(kernel: int, stride: int) -> None:
    graph = graph_of(
        (2, 6, 6), {"conv": convolution("same", kernel, stride), "fires": nir.Threshold(np.ones(1))}
    )
    with pytest.raises(ToolchainError, match=r"'conv' .*'same'.*state the zeros"):
        import_file(graph)


@report(
    "NIR#66",
    wrong="`from_list` makes an input without shape where a convolution comes first",
    does="refused by the input, which is asked for its shape; a convolution that knows its image is read",
)
def test_an_input_without_shape_is_refused_by_its_name() -> None:
    fires = nir.Threshold(np.array(0.5))
    shapeless = nir.NIRGraph.from_list(convolution(0), fires, type_check=False)
    with pytest.raises(ToolchainError, match=r"input 'input' has no shape; write the file with one"):
        import_file(shapeless)
    conv = convolution(0)
    conv = nir.Conv2d((6, 6), conv.weight, 1, 0, 1, 1, conv.bias)
    found = import_file(nir.NIRGraph.from_list(conv, fires, type_check=False))
    x = drawn(2, 6, 6)
    expected = F.conv2d(torch.tensor(x).flatten(0, 1).double(), torch.tensor(conv.weight)) > 0.5
    assert np.array_equal(fired(found, x), expected.reshape(2, 30, -1).numpy())


@report(
    "NIR#120",
    wrong="a node that is only a `NIRNode` is written, and reading it fails with an empty assertion",
    does="refused by the node, with the types that are known",
)
def test_a_node_without_type_is_refused_by_its_name(tmp_path: Path) -> None:
    nothing = object.__new__(nir.NIRNode)
    nothing.metadata, nothing.input_type, nothing.output_type = {}, {}, {}
    graph = graph_of((4,), {"nothing": nothing}, (4,))
    path = written(graph, tmp_path / "nothing.nir")
    for source in (graph, path):
        with pytest.raises(ToolchainError, match=r"'nothing'.*NIRNode.*LIF"):
            import_file(source)


@report(
    "NIR#135",
    wrong="the README's own network of tensors could not be imported by Norse",
    does="read; with `--dt 0.001` equal to Norse's own import",
)
def test_the_network_of_the_readme_of_nir_is_what_norse_makes_of_it() -> None:
    weights: tuple[Any, ...] = torch.tensor([[1.0, 2.0], [3.0, 4.0]]), torch.tensor([1.0, 2.0])
    neurons: tuple[Any, ...] = torch.tensor([0.9, 0.8]), torch.ones(2), torch.zeros(2), torch.ones(2)
    graph = nir.NIRGraph.from_list(
        nir.Affine(*weights),
        nir.LIF(*neurons),
    )
    found = import_file(graph, convention="nir", dt=1e-3)
    x = drawn(2, steps=1000)[:1]
    net, state, expected = cells("norse").from_nir(graph, ignore_warnings=True), None, []
    for frame in torch.tensor(x[0], dtype=torch.float32):
        out, state = net(frame, state)
        expected.append(out.detach().numpy())
    assert np.array_equal(fired(found, x)[0], np.array(expected))


@report(
    "NIR#155, snntorch#384",
    wrong="the example of the documentation, two `Leaky` with one beta, could not be exported any more: "
    "`v_reset` was missing, and later shapes",
    does="the file without `v_reset` and with one beta for all is read; what a spike does is asked for, and "
    "equal to snnTorch, with its defaults, too",
)
def test_the_example_of_snntorch_is_read_with_one_beta_and_no_reset_potential(tmp_path: Path) -> None:
    snn = cells("snntorch").snn
    x = drawn(784, steps=10)
    resets: dict[str, dict[str, Any]] = {"zero": ZERO, "subtract-delayed": {"init_hidden": True}}
    for reset, options in resets.items():
        torch.manual_seed(1)
        beta = {"beta": 0.9, **options}
        net = scaled(
            nn.Sequential(
                nn.Flatten(), nn.Linear(784, 500), snn.Leaky(**beta), nn.Linear(500, 10), snn.Leaky(**beta)
            ),
            3,
        )
        path = written(of_snntorch((1, 784), net, (1, 10)), tmp_path / "demo.nir", without=("v_reset",))
        with pytest.raises(ToolchainError, match="files of snntorch do not say what a spike does"):
            import_file(path, convention="snntorch")
        assert np.array_equal(
            fired(import_file(path, convention="snntorch", reset=reset), x), run_snntorch(net, x)
        )


@report(
    "NIR#176",
    wrong="one value for all neurons must be written out for every neuron",
    does="parameters without a shape count for all neurons, equal to those written out",
)
def test_parameters_without_a_shape_count_for_all_neurons(tmp_path: Path) -> None:
    fc = nir.Linear(weights(8, 6))
    values = (5e-4, 5.0, 0.0, 0.7, 0.0)
    one = nir.LIF(*(np.array(value) for value in values))
    each = nir.LIF(*(np.full(8, value) for value in values))
    x = drawn(6)
    path = written(graph_of((6,), {"fc": fc, "lif": one}, (8,)), tmp_path / "one.nir")
    expected = fired(import_file(graph_of((6,), {"fc": fc, "lif": each})), x)
    assert np.array_equal(fired(import_file(path), x), expected)


@report(
    "NIR#190",
    wrong="whether `w_in` of CubaLIF may be a matrix",
    does="refused by the node and both shapes",
)
@pytest.mark.parametrize(
    "shape",
    [
        (8, 8),
        (8, 6),
        (6,),
    ],
)
def test_a_matrix_as_input_weight_is_refused_by_the_node(shape: tuple[int, ...], tmp_path: Path) -> None:
    full = np.ones(8)
    node = nir.CubaLIF(full, full, full, 0 * full, full, 0 * full, w_in=full)
    node.w_in = np.ones(shape)
    graph = graph_of((8,), {"lif": node}, (8,))
    for source in (graph, written(graph, tmp_path / "matrix.nir")):
        with pytest.raises(ToolchainError, match=rf"'lif'.*{re.escape(str(shape))}"):
            import_file(source)


@report(
    "NIRTorch#17",
    wrong="the input keeps the dimension of the batch",
    does="a batch of one is dropped, equal to Norse; any other is refused by the node that cannot read it",
)
def test_a_batch_in_the_shape_of_the_input_is_dropped_or_refused() -> None:
    theirs = cells("norse")
    torch.manual_seed(3)
    net = theirs.norse.SequentialState(scaled(nn.Sequential(nn.Linear(6, 8)), 8)[0], theirs.norse.LIFCell())
    graph = theirs.to_nir(net, torch.zeros(1, 6))
    assert list(graph.nodes["input"].input_type["input"]) == [1, 6]
    x = drawn(6)
    ours = fired(import_file(graph, convention="norse", reset="zero"), x)
    assert np.array_equal(ours, theirs.stepped(net, x, ())[0])
    with pytest.raises(ToolchainError, match=r"node '0' reads 6 values"):
        import_file(theirs.to_nir(net, torch.zeros(4, 6)), convention="norse")


@pytest.mark.parametrize(
    "batch",
    [2, 4],
)
def test_a_batch_in_front_of_a_line_is_not_taken_for_rows(batch: int) -> None:
    line = nir.Conv1d(None, weights(3, 2, 3), 1, 0, 1, 1, np.zeros(3))
    graph = graph_of((batch, 2, 8), {"conv": line, "fires": nir.Threshold(np.array(0.5))})
    with pytest.raises(ToolchainError, match=r"'conv'"):
        import_file(graph)


@report(
    "NIRTorch#44",
    wrong="the padding of SumPool2d is not supported",
    does="read, equal to PyTorch's average times the window; AvgPool2d counts its zeros, as PyTorch's "
    "default",
)
@pytest.mark.parametrize("kind", [nir.SumPool2d, nir.AvgPool2d])
def test_padded_pooling_is_that_of_pytorch(kind: type[nir.SumPool2d | nir.AvgPool2d]) -> None:
    pool = kind(np.array([3, 2]), np.array([2, 2]), np.array([1, 1]))
    conv = nir.Conv2d(None, weights(3, 2, 2, 2), 1, 0, 1, 1, np.zeros(3))
    found = import_file(
        graph_of((2, 6, 6), {"pool": pool, "conv": conv, "fires": nir.Threshold(np.array(0.5))})
    )
    x = drawn(2, 6, 6)
    pooled = F.avg_pool2d(torch.tensor(x).flatten(0, 1).double(), (3, 2), (2, 2), (1, 1))
    factor = 6 if kind is nir.SumPool2d else 1
    expected = F.conv2d(pooled * factor, torch.tensor(conv.weight)) > 0.5
    assert np.array_equal(fired(found, x), expected.reshape(2, 30, -1).numpy())
