"""Public reports about the frameworks that write NIR: what went wrong there, and what happens here.

Every test is one row of a table in docs/studies/frameworks.md. Needs `make frameworks`, which installs the
frameworks; what their installed versions no longer write is written here as the version of the report
wrote it.
"""

from importlib import import_module
from itertools import pairwise
from pathlib import Path
from typing import Any

import nir
import numpy as np
import pytest
import torch
from torch import nn

from tests.frameworks import networks
from tests.frameworks.cells import must_fire
from tests.frameworks.reports import (
    NEEDED,
    ZERO,
    cells,
    drawn,
    fired,
    graph_of,
    of_snntorch,
    report,
    rows_of,
    run_snntorch,
    scaled,
    weights,
    written,
)
from tests.real_data import real_data
from toolchain.errors import ToolchainError
from toolchain.execution import reference
from toolchain.interchange.nir.conventions import reader_convention
from toolchain.interchange.nir.to_nir import to_nir
from toolchain.target.registry import load_target
from toolchain.workflow.compare import compare_build
from toolchain.workflow.compile_file import compile_file, import_file

pytestmark = NEEDED


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
    found = import_file(path, convention="snntorch", reset="zero")
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
        assert np.array_equal(fired(import_file(source, convention="snntorch", reset="zero"), x), expected)
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
    found = import_file(
        graph_of((6,), {"fc": nir.Linear(fc), "lif": cuba}), convention="snntorch", reset="zero"
    )
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
    found = import_file(graph, convention="snntorch", reset="zero")
    spikes = fired(found, np.ones((1, 40, 1)))[0, :, 0]
    assert list(np.flatnonzero(spikes) + 1) == [17, 34]


@report(
    "snntorch, nirtorch: tried",
    wrong="the sum of a residual connection, and a factor between two layers, are in no file: an input is "
    "invented for what follows, which then never fires",
    does="read with a warning that names the node and the invented input",
)
def test_a_sum_that_an_exporter_loses_is_a_warning() -> None:
    snn = cells("snntorch").snn

    class Residual(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            full = torch.ones(8)
            self.first, self.second, self.last = (
                snn.Leaky(beta=0.9 * full, threshold=full, init_hidden=True) for _ in range(3)
            )
            self.fc1, self.fc2, self.fc3 = nn.Linear(6, 8), nn.Linear(8, 8), nn.Linear(8, 8)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            spikes = self.first(self.fc1(x))
            return self.last(self.fc3(self.second(self.fc2(spikes) + spikes)))

    graph = cells("snntorch").export_to_nir(Residual(), torch.zeros(1, 6), ignore_dims=[0])
    warnings = import_file(graph, convention="snntorch", reset="subtract-delayed").warnings
    assert any("'input_second' is an input of its own" in said for said in warnings)
    assert any("in front of 'second' outside of a module" in said for said in warnings)


def test_the_published_braille_network_is_what_snntorch_itself_runs() -> None:
    """RSynaptic of snnTorch 1.0 fails with reset_delay=False, so its loop is added to what Synaptic reads."""
    snn, path = cells("snntorch").snn, real_data("nir", "braille_subtract.nir")
    nodes: Any = nir.read(str(path)).nodes
    with np.load(real_data("braille", "encoded_val_0.npz"), allow_pickle=False) as arrays:
        x, labels = arrays["input"], arrays["labels"]
    sent = torch.tensor(x, dtype=torch.float64)
    for linear, neuron, loop in (("fc1", "lif1.lif", "lif1.w_rec"), ("fc2", "lif2", "")):
        node, fc = nodes[neuron], torch.tensor(nodes[linear].weight, dtype=torch.float64)
        back = torch.tensor(nodes[loop].weight).double() if loop else torch.zeros(len(fc), len(fc))
        alpha, beta = (
            1 - 1e-4 / torch.tensor(tau, dtype=torch.float64) for tau in (node.tau_syn, node.tau_mem)
        )
        threshold = torch.tensor(node.v_threshold, dtype=torch.float64)
        layer = snn.Synaptic(alpha=alpha, beta=beta, threshold=threshold, reset_delay=False)
        syn = mem = spk = torch.zeros(len(x), len(fc), dtype=torch.float64)
        rows: list[torch.Tensor] = []
        with torch.no_grad():
            for step in sent.unbind(1):
                spk, syn, mem = layer(step @ fc.T + spk.double() @ back.double().T, syn, mem)
                rows.append(spk)
        sent = torch.stack(rows, 1).double()
    graph = import_file(path, convention="snntorch", reset="subtract-snntorch").graph
    ours = load_target("emulator").build(graph).run(x, record=("spikes",)).spikes["lif2"]
    assert np.array_equal(ours, sent.numpy())
    assert (ours.sum(axis=1).argmax(axis=1) == labels).sum() == 274


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
    tensors: Any = images[0].weight.detach(), torch.zeros(3)
    conv = nir.Conv2d(None, tensors[0], 1, 0, 1, 1, tensors[1])
    pool = nir.AvgPool2d(np.array([2, 2]), np.array([2, 2]), np.array([0, 0]))
    readout = nir.CubaLI(tau_mem=li.tau_mem, tau_syn=li.tau_syn, r=li.r, v_leak=li.v_leak, w_in=li.w_in)
    nothing: Any = None
    nodes = {"0": conv, "1": lif, "2": pool, "3": nir.Flatten(nothing, 0, -1), "4": linear, "5": readout}
    graph, x = graph_of((2, 6, 6), nodes, (5,)), drawn(2, 6, 6)
    for source in (graph, written(graph, tmp_path / "images.nir")):
        trace = reference.run(import_file(source, convention="norse", reset="zero").graph, x)
        must_fire(trace.spikes["1"])
        assert np.allclose(trace.v["5"], theirs.stepped(images, x, ())[0], rtol=0, atol=1e-5)

    conv = nir.Conv1d(None, line[0].weight.detach(), 1, 0, 1, 1, line[0].bias.detach())
    nodes = {"0": conv, "1": theirs.extracted(line[1])}
    path = written(graph_of((2, 8), nodes, (3, 6)), tmp_path / "line.nir")
    x = drawn(2, 8)
    expected = theirs.stepped(line, x, ())[0].reshape(2, 30, -1)
    assert np.array_equal(
        fired(import_file(path, convention="norse", reset="zero"), x.reshape(2, 30, 2, 1, 8)), expected
    )


@report(
    "spikingjelly PR#728",
    wrong="before it, `v_reset=None`, a reset by subtraction, was exported as `v_reset=0`",
    does="asked for, for the file cannot say it, and read, equal; Conv1d and CubaLIF, which came with it, "
    "too",
)
def test_a_reset_by_subtraction_that_older_spikingjelly_hid_is_asked_for(tmp_path: Path) -> None:
    theirs = cells("spikingjelly")
    layer, neuron, stepped = theirs.layer, theirs.neuron, theirs.stepped
    torch.manual_seed(7)
    soft = nn.Sequential(layer.Linear(6, 8), neuron.IFNode(v_threshold=0.3, v_reset=None))
    hard = nn.Sequential(soft[0], neuron.IFNode(v_threshold=0.3))
    hard.double()
    x = drawn(6)
    path = written(theirs.export_to_nir(hard, torch.zeros(1, 6, dtype=torch.float64)), tmp_path / "soft.nir")
    with pytest.raises(ToolchainError, match="subtract for v_reset=None, which versions before 2.0 wrote as"):
        import_file(path, convention="spikingjelly")
    for reset, net in (("zero", hard), ("subtract", soft)):
        found = import_file(path, convention="spikingjelly", reset=reset)
        assert np.array_equal(fired(found, x), stepped(net, x)[0])
    assert not np.array_equal(stepped(soft, x)[0], stepped(hard, x)[0])

    net = nn.Sequential(
        *(layer.Conv1d(2, 4, 3), neuron.CUBALIFNode(v_threshold=0.4)),
        *(layer.Flatten(), layer.Linear(24, 5), neuron.CUBALIFNode(v_threshold=0.2)),
    )
    x = drawn(2, 8)
    spikes = stepped(net, x)[0]
    found = import_file(
        theirs.export_to_nir(net, torch.zeros(1, 2, 8, dtype=torch.float64)),
        convention="spikingjelly",
        reset="zero",
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
        rows = build.quantization.connections
        exponents.append({name: row.exponent for name, row in rows.items()})
        assert all(row.clipped == 0 for row in rows.values())
        assert compare_build(build).comparison.spike_f1 > 0.99
    assert {name: value - exponents[0][name] for name, value in exponents[1].items()} == dict.fromkeys(
        rows, 3
    )
    found = [f"{entry.node}: {entry.text}" for entry in build.quantization.warnings]
    assert any(text.startswith("lif1") and "measured on 20 samples" in text for text in found)


def test_the_page_holds_the_reports(repository: Path) -> None:
    names = ("test_reports_nir", "test_reports_frameworks")
    found = [row for name in names for row in rows_of(import_module(f"tests.frameworks.{name}"))]
    rows = ["| report | what went wrong there | what Pumice does |", "|---|---|---|"]
    table = "\n".join([*rows, *(f"| {row.where} | {row.wrong} | {row.does} |" for row in found)])
    assert len(found) == 19
    assert table in (repository / "docs/studies/frameworks.md").read_text(), table
