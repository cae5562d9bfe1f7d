import nir
import norse.torch as norse
import numpy as np
import torch
from norse.torch.utils.export_nir import to_nir
from torch import nn


def cell(size: int) -> norse.LIFBoxCell:
    values = {"tau_mem_inv": 200.0, "v_leak": 0.0, "v_th": 0.3, "v_reset": 0.0}
    parameters = {name: torch.full((size,), value) for name, value in values.items()}
    return norse.LIFBoxCell(norse.LIFBoxParameters(**parameters))


torch.manual_seed(0)
net = norse.SequentialState(nn.Linear(6, 32), cell(32), nn.Linear(32, 4), cell(4))
samples = np.random.default_rng(0).random((8, 30, 6)) < 0.4

# The exporter calls the layers by their numbers: here 1 and 3.
v1, v3, spikes3, state = [], [], [], None
with torch.no_grad():
    for t in range(samples.shape[1]):
        out, state = net(torch.tensor(samples[:, t], dtype=torch.float32), state)
        spikes3.append(out.numpy())
        v1.append(state[1].v.numpy())
        v3.append(state[3].v.numpy())

np.savez("samples.npz", input=samples)
records = {"1.v": v1, "3.v": v3, "3.spikes": spikes3}
np.savez("outputs.npz", **{key: np.stack(rows, axis=1) for key, rows in records.items()})
nir.write("net.nir", to_nir(net, torch.zeros(1, 6)))
