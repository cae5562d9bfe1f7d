"""Rockpool: torch modules over whole samples, exported with its own exporter."""

# `make peers` installs it, and what it accepts is more than its types say.
# pyright: reportMissingImports=false, reportArgumentType=false, reportAttributeAccessIssue=false

from collections.abc import Callable
from functools import partial
from typing import Any

import nir
import numpy as np
import torch
from rockpool.nn.combinators import Sequential
from rockpool.nn.modules.torch import ExpSynTorch, LIFNeuronTorch, LIFTorch, LinearTorch
from rockpool.nn.modules.torch.nir import from_nir, to_nir

from tests.frameworks import networks
from tests.frameworks.cells import Export, Import, Theirs
from toolchain.arrays import Array


def _whole(layer: Callable[[], Any], x: Array) -> Theirs:
    torch.manual_seed(1)
    net = Sequential(LinearTorch((6, 8)), layer())
    graph = to_nir(net)
    for node in graph.nodes.values():
        # Its exporter leaves time constants in the graph of autograd, which nir cannot write.
        if isinstance(node, nir.LI):
            tau: Any = node.tau
            node.tau = tau.detach()
    out, _, _ = net(torch.tensor(x, dtype=torch.float32))
    return Theirs(graph, out.detach().numpy())


def _read(graph: nir.NIRGraph, x: Array) -> Array:
    net, state, rows = from_nir(graph), None, []
    for t in range(x.shape[1]):
        out, state = net(torch.tensor(x[:, t : t + 1], dtype=torch.float32), state)
        rows.append(out.detach().numpy())
    return np.concatenate(rows, 1)


def _of_many() -> Any:
    ways = torch.linspace(0.1, 1.0, 8)
    return LIFTorch(8, threshold=ways, tau_mem=0.02 * ways, tau_syn=0.01 / (1 + ways).reshape(8, 1))


SUBTRACTS = "its importer subtracts the threshold for each of several spikes, and guesses the step"
NAME = "rockpool"
CELLS: list[Import | Export] = [
    Import(NAME, "defaults of LIFTorch", (6,), partial(_whole, partial(LIFTorch, 8))),
    Import(NAME, "defaults of LIFNeuronTorch", (6,), partial(_whole, partial(LIFNeuronTorch, 8))),
    Import(NAME, "thresholds: LIFTorch, one per neuron", (6,), partial(_whole, _of_many)),
    Import(
        NAME,
        "recurrent CubaLIF: LIFTorch, has_rec=True",
        (6,),
        partial(_whole, partial(LIFTorch, 8, has_rec=True)),
        "its exporter drops the loop in silence",
        apart=100,
        noted="leave out biases, recurrent weights",
    ),
    Import(NAME, "LI: ExpSynTorch with the defaults", (6,), partial(_whole, partial(ExpSynTorch, 8))),
    Export(NAME, "CubaLIF", lambda: networks.leaky(du=0.4), _read, SUBTRACTS, refused=True),
]
