"""nirtorch: PyTorch modules traced into NIR, and NIR wired into PyTorch, with neurons written here."""

# `make peers` installs it, and what it accepts is more than its types say.
# pyright: reportMissingImports=false, reportArgumentType=false

from typing import Any

import nir
import nirtorch
import numpy as np
import torch
from torch import nn

from tests.frameworks import networks
from tests.frameworks.cells import Export, Import, Theirs
from toolchain.arrays import Array

DT = 1e-4


class Fire(nn.Module):
    """Euler's step of NIR's LIF and CubaLIF."""

    def __init__(self, decay: float, threshold: float, current: float = 1.0) -> None:
        super().__init__()
        self.decay, self.threshold, self.current = decay, threshold, current

    def forward(self, x: torch.Tensor, state: Any = None) -> tuple[torch.Tensor, Any]:
        u, v = (torch.zeros_like(x), torch.zeros_like(x)) if state is None else state
        u = (1 - self.current) * u + x
        v = (1 - self.decay) * v + u
        spikes = (v > self.threshold).to(x)
        return spikes, (u, torch.where(spikes > 0, torch.zeros_like(v), v))


class Skipping(nn.Module):
    """Two layers and a connection past the second."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.second, self.past = nn.Linear(6, 8), nn.Linear(8, 5), nn.Linear(8, 5, bias=False)
        self.inner, self.middle, self.last = Fire(0.2, 0.4), Fire(0.3, 0.2), Fire(0.25, 0.3)
        self.third = nn.Linear(5, 5)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        hidden = self.inner(self.first(x))
        return self.last(self.third(self.middle(self.second(hidden))) + self.past(hidden))


def _neuron(module: Fire, size: int) -> nir.NIRNode:
    full = np.ones(size)
    tau = DT / module.decay * full
    return nir.LIF(tau, full / module.decay, 0 * full, module.threshold * full, 0 * full)


def _skipping(x: Array) -> Theirs:
    torch.manual_seed(1)
    net = Skipping().double()
    sizes = {net.inner: 8, net.middle: 5, net.last: 5}
    graph = nirtorch.torch_to_nir(
        net, {Fire: lambda module: _neuron(module, sizes[module])}, type_check=False
    )
    for node in graph.nodes.values():
        if isinstance(node, nir.Input):
            node.input_type = {"input": np.array([6])}
            node.output_type = {"output": np.array([6])}
    states: dict[Any, Any] = dict.fromkeys(sizes)
    spikes: list[Array] = []
    with torch.no_grad():
        for t in range(x.shape[1]):
            frame = torch.tensor(x[:, t], dtype=torch.float64)
            hidden, states[net.inner] = net.inner(net.first(frame), states[net.inner])
            middle, states[net.middle] = net.middle(net.second(hidden), states[net.middle])
            out, states[net.last] = net.last(net.third(middle) + net.past(hidden), states[net.last])
            spikes.append(out.numpy())
    return Theirs(graph, np.stack(spikes, 1))


def _read(graph: nir.NIRGraph, x: Array) -> Array:
    def lif(node: nir.LIF) -> Fire:
        return Fire(float(DT / node.tau[0]), float(node.v_threshold[0]))

    def cuba(node: nir.CubaLIF) -> Fire:
        return Fire(float(DT / node.tau_mem[0]), float(node.v_threshold[0]), float(DT / node.tau_syn[0]))

    net = nirtorch.nir_to_torch(graph, {nir.LIF: lif, nir.CubaLIF: cuba}, dtype=torch.float64)
    state, rows = None, []
    with torch.no_grad():
        for t in range(x.shape[1]):
            out, state = net(torch.tensor(x[:, t], dtype=torch.float64), state)
            rows.append(out.numpy())
    return np.stack(rows, 1)


NAME = "nirtorch"
CELLS: list[Import | Export] = [
    Import(NAME, "two paths that meet: torch_to_nir", (6,), _skipping, convention="nir"),
    Export("nir", "recurrent LIF: nir_to_torch", networks.recurrent, _read),
    Export("nir", "recurrent CubaLIF: nir_to_torch", lambda: networks.recurrent(du=0.5), _read),
    Export(
        "nir",
        "Affine with a bias: nir_to_torch",
        lambda: networks.leaky(bias=0.1),
        _read,
        "its own map of Affine (2.6) stores the bias where nothing reads it and keeps a random one",
    ),
]
