"""Networks out of public reports about NIR and its frameworks: what went wrong there, and what happens here.

Every test is one row of a table in the README. Needs `make frameworks`, which installs the frameworks; what
their installed versions no longer write is written here as the version of the report wrote it.
"""

import re
from collections.abc import Callable, Mapping
from importlib import import_module
from importlib.util import find_spec
from itertools import pairwise
from pathlib import Path
from typing import Any, NamedTuple

import h5py
import nir
import numpy as np
import pytest
import torch
from torch import nn

from tests.frameworks import networks
from tests.frameworks.cells import Array, must_fire
from toolchain import reference
from toolchain.errors import ToolchainError
from toolchain.exchange import compile_file, import_file
from toolchain.interchange.conventions import reader_convention
from toolchain.interchange.imported import Imported
from toolchain.interchange.to_nir import to_nir
from toolchain.judge import compare_build

F = nn.functional
MISSING = [name for name in ("norse", "snntorch", "spikingjelly") if find_spec(name) is None]

pytestmark = [
    pytest.mark.frameworks,
    pytest.mark.skipif(bool(MISSING), reason=f"not installed: {', '.join(MISSING)}; 'make frameworks' does"),
    pytest.mark.filterwarnings("ignore"),
]


class Report(NamedTuple):
    """A row of the table."""

    where: str
    wrong: str
    does: str


REPORTS: list[Report] = []


def report(where: str, *, wrong: str, does: str) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Add a row to the table, which the decorated test proves."""
    REPORTS.append(Report(where, wrong, does))
    return lambda test: test


def cells(framework: str) -> Any:
    """Return the module that knows a framework, which other tests need not import."""
    return import_module(f"tests.frameworks.{framework}_cells")


def graph_of(
    shape: tuple[int, ...], nodes: Mapping[str, nir.NIRNode], out: tuple[int, ...] | None = None
) -> nir.NIRGraph:
    """Return nodes in a row between an input and an output of these shapes, checked by nobody."""
    leaving = None if out is None else np.array(out)
    ends = {"input": nir.Input({"input": np.array(shape)}), "output": nir.Output({"output": leaving})}
    names = ["input", *nodes, "output"]
    edges = list(pairwise(names))
    return nir.NIRGraph({**ends, **nodes}, edges, type_check=False)


def written(graph: nir.NIRGraph, path: Path, without: tuple[str, ...] = ()) -> Path:
    """Write a file as older versions of nir did: parameters of any shape, some left out."""

    def fill(group: h5py.Group, entry: Mapping[str, Any]) -> None:
        for key, value in entry.items():
            if isinstance(value, Mapping):
                fill(group.create_group(key), value)
            elif key == "edges":
                group[key] = np.array(value, "S")
            elif value is not None and key not in without:
                group[key] = value if isinstance(value, str) else np.asarray(value)

    with h5py.File(path, "w") as file:
        file["version"] = "1.0.4"
        fill(file.create_group("node"), graph.to_dict())
    return path


def drawn(*shape: int, steps: int = 30) -> Array:
    """Return two samples of spikes."""
    return np.random.default_rng(1).random((2, steps, *shape)) < 0.4


def fired(found: Imported, x: Array) -> Array:
    """Return the spikes of the last neurons, flattened."""
    trace = reference.run(found.graph, x)
    spikes = trace.spikes[found.graph.outputs[0].inputs[0]]
    must_fire(spikes)
    return spikes.reshape(*x.shape[:2], -1)


def weights(*shape: int) -> Array:
    return np.random.default_rng(2).normal(size=shape)


def convolution(padding: Any, kernel: int = 3, stride: int = 1) -> nir.Conv2d:
    return nir.Conv2d(None, weights(3, 2, kernel, kernel), stride, padding, 1, 1, np.zeros(3))


def of_snntorch(shape: tuple[int, ...], net: nn.Sequential, out: tuple[int, ...]) -> nir.NIRGraph:
    """Return what snnTorch's exporter makes of every module, without the check of shapes that came later."""
    return graph_of(shape, {str(i): cells("snntorch").extracted(layer) for i, layer in enumerate(net)}, out)


def run_snntorch(net: nn.Sequential, x: Array) -> Array:
    return cells("snntorch").stepped(net, x)[0].reshape(*x.shape[:2], -1)


def scaled(net: nn.Sequential, factor: float) -> nn.Sequential:
    """Multiply weights so that thresholds of 1 are reached."""
    with torch.no_grad():
        for layer in net:
            if isinstance(layer, nn.Linear | nn.Conv2d):
                layer.weight *= factor
    return net


ZERO: dict[str, Any] = {"init_hidden": True, "reset_mechanism": "zero", "reset_delay": False}


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
    graph = nir.NIRGraph.from_list(
        nir.Affine(torch.tensor([[1.0, 2.0], [3.0, 4.0]]), torch.tensor([1.0, 2.0])),
        nir.LIF(torch.tensor([0.9, 0.8]), torch.ones(2), torch.zeros(2), torch.ones(2)),
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
    does="the file without `v_reset` and with one beta for all is read, equal to snnTorch with a reset to "
    "zero; that the default subtracts is noted",
)
def test_the_example_of_snntorch_is_read_with_one_beta_and_no_reset_potential(tmp_path: Path) -> None:
    snn = cells("snntorch").snn
    torch.manual_seed(1)
    beta = {"beta": 0.9, **ZERO}
    net = scaled(
        nn.Sequential(
            nn.Flatten(), nn.Linear(784, 500), snn.Leaky(**beta), nn.Linear(500, 10), snn.Leaky(**beta)
        ),
        3,
    )
    path = written(of_snntorch((1, 784), net, (1, 10)), tmp_path / "demo.nir", without=("v_reset",))
    found = import_file(path, convention="snntorch")
    x = drawn(784, steps=10)
    assert np.array_equal(fired(found, x), run_snntorch(net, x))
    assert any("not for the default 'subtract'" in note for note in found.notes)


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
    assert np.array_equal(fired(import_file(graph, convention="norse"), x), theirs.stepped(net, x, ())[0])
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


@report(
    "snntorch#334, #410",
    wrong="`Synaptic` with one alpha and beta is exported with shape `[]`, and nir cannot read the file",
    does="read with the shape of what reaches the neurons, equal to snnTorch with a reset to zero",
)
@pytest.mark.parametrize("sizes", [(6, 1), (2450, 128, 4)])
def test_synaptic_neurons_of_no_shape_take_that_of_what_reaches_them(
    sizes: tuple[int, ...], tmp_path: Path
) -> None:
    snn = cells("snntorch").snn
    torch.manual_seed(1)
    layers = [
        layer
        for before, size in pairwise(sizes)
        for layer in (nn.Linear(before, size), snn.Synaptic(alpha=0.5, beta=0.9, **ZERO))
    ]
    net = scaled(nn.Sequential(*layers), 3)
    path = written(of_snntorch(sizes[:1], net, sizes[-1:]), tmp_path / "synaptic.nir")
    x = drawn(sizes[0], steps=20)
    found = import_file(path, convention="snntorch")
    assert np.array_equal(fired(found, x), run_snntorch(net, x))


@report(
    "snntorch#367",
    wrong="types, shapes and data of a network of images: tensors in place of arrays, parameters of shape "
    "`[]`, a batch in the input",
    does="read, equal to snnTorch with a reset to zero; the batch is refused by the input",
)
def test_a_network_of_images_with_tensors_and_without_shapes_is_read(tmp_path: Path) -> None:
    torch.manual_seed(5)

    def leaky() -> nn.Module:
        return cells("snntorch").snn.Leaky(beta=0.1, **ZERO)

    net = scaled(
        nn.Sequential(
            *(nn.Conv2d(2, 8, 3, padding=1, bias=False), leaky(), nn.AvgPool2d(2, 2)),
            *(nn.Conv2d(8, 16, 3, padding=1, bias=False), leaky(), nn.AvgPool2d(2, 2)),
            *(nn.Conv2d(16, 16, 3, padding=1, stride=2, bias=False), leaky()),
            *(nn.Flatten(), nn.Linear(16 * 4 * 4, 10, bias=False), leaky()),
        ),
        6,
    )
    graph = of_snntorch((2, 34, 34), net, (10,))
    x = drawn(2, 34, 34, steps=6)
    expected = run_snntorch(net, x)
    for source in (graph, written(graph, tmp_path / "images.nir")):
        assert np.array_equal(fired(import_file(source, convention="snntorch"), x), expected)
    with pytest.raises(ToolchainError, match=r"input 'input' has shape \(4, 2, 34, 34\)"):
        import_file(of_snntorch((4, 2, 34, 34), net, (4, 10)), convention="snntorch")


@report(
    "snntorch PR#435",
    wrong="its importer divided the threshold of CubaLIF where `w_in` is not `tau_syn / dt`",
    does="read as the equation says, `w_in dt / tau_syn`; what is written for snnTorch has the `w_in` that "
    "it takes as it is, and comes back equal",
)
def test_the_input_weight_of_a_current_filter_is_that_of_the_equation(tmp_path: Path) -> None:
    fc, full, w_in = weights(8, 6), np.ones(8), 0.6
    cuba = nir.CubaLIF(2e-4 * full, 5e-4 * full, 5 * full, 0 * full, 0.2 * full, 0 * full, w_in=w_in * full)
    found = import_file(graph_of((6,), {"fc": nir.Linear(fc), "lif": cuba}), convention="snntorch")
    x = drawn(6)
    u, v, expected = np.zeros((2, 8)), np.zeros((2, 8)), []
    for t in range(x.shape[1]):
        u = u * (1 - 1e-4 / 2e-4) + w_in * (1e-4 / 2e-4) * (x[:, t] @ fc.T)
        v = v * (1 - 1e-4 / 5e-4) + 5 * (1e-4 / 5e-4) * u
        expected.append(v > 0.2)
        v = np.where(expected[-1], 0, v)
    assert np.array_equal(fired(found, x), np.stack(expected, 1))

    ours = networks.leaky(du=0.4)
    graph = to_nir(ours, reader_convention("snntorch")).graph
    last = ours.outputs[0].inputs[0]
    assert np.array_equal(cells("snntorch").read(graph, x), reference.run(ours, x).spikes[last])


@report(
    "snntorch PR#452",
    wrong="its importer made IF leak: an input of 0.0625 never reached a threshold of 1, or late",
    does="an integrator: it fires at step 17, as NIR says",
)
def test_an_integrator_does_not_leak() -> None:
    fires = nir.IF(np.ones(1), np.ones(1), np.zeros(1))
    graph = graph_of((1,), {"fc": nir.Linear(np.full((1, 1), 0.0625)), "if": fires})
    found = import_file(graph, convention="snntorch")
    spikes = fired(found, np.ones((1, 40, 1)))[0, :, 0]
    assert list(np.flatnonzero(spikes) + 1) == [17, 34]


@report(
    "norse#438",
    wrong="its exporter left Conv1d, Flatten, AvgPool2d and LICell out, and failed on a Conv2d without bias",
    does="nodes that were left out are refused by their name; what the merged exporter writes is read, equal "
    "to Norse, potentials of LICell included",
)
def test_what_norse_left_out_is_refused_and_what_it_writes_now_is_read(tmp_path: Path) -> None:
    theirs = cells("norse")
    norse = theirs.norse
    torch.manual_seed(6)
    images = norse.SequentialState(
        *(nn.Conv2d(2, 3, 3, bias=False), norse.LIFCell(), nn.AvgPool2d(2), nn.Flatten()),
        *(nn.Linear(12, 5), norse.LICell()),
    )
    line = norse.SequentialState(nn.Conv1d(2, 3, 3), norse.LIFCell())
    with torch.no_grad():
        images[0].weight *= 8
        line[0].weight *= 8
    with pytest.raises(ToolchainError, match=r"node '0'"):
        import_file(theirs.to_nir(line, torch.zeros(1, 2, 8)), convention="norse")

    lif, li, linear = (theirs.extracted(images[i]) for i in (1, 1, 4))
    conv = nir.Conv2d(None, images[0].weight.detach(), 1, 0, 1, 1, torch.zeros(3))
    pool = nir.AvgPool2d(np.array([2, 2]), np.array([2, 2]), np.array([0, 0]))
    readout = nir.CubaLI(tau_mem=li.tau_mem, tau_syn=li.tau_syn, r=li.r, v_leak=li.v_leak, w_in=li.w_in)
    nodes = {"0": conv, "1": lif, "2": pool, "3": nir.Flatten(None, 0, -1), "4": linear, "5": readout}
    graph, x = graph_of((2, 6, 6), nodes, (5,)), drawn(2, 6, 6)
    for source in (graph, written(graph, tmp_path / "images.nir")):
        trace = reference.run(import_file(source, convention="norse").graph, x)
        must_fire(trace.spikes["1"])
        assert np.allclose(trace.v["5"], theirs.stepped(images, x, ())[0], rtol=0, atol=1e-5)

    conv = nir.Conv1d(None, line[0].weight.detach(), 1, 0, 1, 1, line[0].bias.detach())
    nodes = {"0": conv, "1": theirs.extracted(line[1])}
    path = written(graph_of((2, 8), nodes, (3, 6)), tmp_path / "line.nir")
    x = drawn(2, 8)
    expected = theirs.stepped(line, x, ())[0].reshape(2, 30, -1)
    assert np.array_equal(fired(import_file(path, convention="norse"), x.reshape(2, 30, 2, 1, 8)), expected)


@report(
    "spikingjelly PR#728",
    wrong="before it, `v_reset=None`, a reset by subtraction, was exported as `v_reset=0`",
    does="the note names it, for the file cannot; Conv1d and CubaLIF, which came with it, are read, equal",
)
def test_a_reset_by_subtraction_that_older_spikingjelly_hid_is_noted(tmp_path: Path) -> None:
    theirs = cells("spikingjelly")
    layer, neuron, stepped = theirs.layer, theirs.neuron, theirs.stepped
    torch.manual_seed(7)
    soft = nn.Sequential(layer.Linear(6, 8), neuron.IFNode(v_threshold=0.3, v_reset=None))
    hard = nn.Sequential(soft[0], neuron.IFNode(v_threshold=0.3))
    x = drawn(6)
    spikes = stepped(hard, x)[0]
    path = written(theirs.export_to_nir(hard, torch.zeros(1, 6, dtype=torch.float64)), tmp_path / "soft.nir")
    found = import_file(path, convention="spikingjelly")
    assert np.array_equal(fired(found, x), spikes)
    assert not np.array_equal(stepped(soft, x)[0], spikes)
    assert any("v_reset=None" in note for note in found.notes)

    net = nn.Sequential(
        *(layer.Conv1d(2, 4, 3), neuron.CUBALIFNode(v_threshold=0.4)),
        *(layer.Flatten(), layer.Linear(24, 5), neuron.CUBALIFNode(v_threshold=0.2)),
    )
    x = drawn(2, 8)
    spikes = stepped(net, x)[0]
    found = import_file(
        theirs.export_to_nir(net, torch.zeros(1, 2, 8, dtype=torch.float64)), convention="spikingjelly"
    )
    assert np.array_equal(fired(found, x.reshape(2, 30, 2, 1, 8)), spikes)


@report(
    "hls4ml#512",
    wrong="the same network trained for longer, so with larger weights, gives other results on the chip, and "
    "nothing says why",
    does="eightfold weights move the exponent by 3, none is clipped, spikes stay (F1 over 0.99); a warning "
    "names the population whose potentials are no longer proved to fit",
)
def test_eightfold_weights_move_the_exponent_and_are_warned_of_where_potentials_may_not_fit() -> None:
    rng = np.random.default_rng(0)
    first, second, x = rng.normal(size=(32, 16)), rng.normal(size=(10, 32)), rng.random((20, 32, 16)) < 0.3

    def lif(size: int) -> nir.LIF:
        full = np.ones(size)
        return nir.LIF(5e-4 * full, 5 * full, 0 * full, full, 0 * full)

    exponents = []
    for factor in (1, 8):
        nodes = {
            "fc1": nir.Linear(factor * first),
            "lif1": lif(32),
            "fc2": nir.Linear(factor * second),
            "lif2": lif(10),
        }
        build = compile_file(graph_of((16,), nodes), convention="nir", stimulus=x)
        rows = build.quantization["connections"]
        exponents.append({name: row["exponent"] for name, row in rows.items()})
        assert all(row["clipped"] == 0 for row in rows.values())
        assert compare_build(build).comparison.spike_f1 > 0.99
    assert {name: value - exponents[0][name] for name, value in exponents[1].items()} == dict.fromkeys(
        rows, 3
    )
    found = [f"{entry['node']}: {entry['text']}" for entry in build.quantization["warnings"]]
    assert any(text.startswith("lif1") and "measured on 20 samples" in text for text in found)


def table() -> str:
    """The table of the README: a row for every report."""
    rows = ["| report | what went wrong there | what Pumice does |", "|---|---|---|"]
    rows += [f"| {row.where} | {row.wrong} | {row.does} |" for row in REPORTS]
    return "\n".join(rows)


def test_the_readme_holds_the_reports(repository: Path) -> None:
    assert table() in (repository / "toolchain/interchange/README.md").read_text(), table()
