import nir
import numpy as np
import torch
from spikingjelly.activation_based import functional, layer, neuron
from spikingjelly.activation_based.nir_exchange import export_to_nir
from torch import nn

torch.manual_seed(0)
net = nn.Sequential(
    layer.Linear(6, 32),
    neuron.LIFNode(tau=3.0, v_threshold=0.1),
    layer.Linear(32, 4),
    neuron.LIFNode(tau=3.0, v_threshold=0.1),
).double()
samples = np.random.default_rng(0).random((8, 30, 6)) < 0.4

# The exporter calls the layers of a Sequential `_1` and `_3` here.
outputs = {"_1.spikes": [], "_1.v": [], "_3.spikes": [], "_3.v": []}
with torch.no_grad():
    for t in range(samples.shape[1]):
        x = torch.tensor(samples[:, t], dtype=torch.float64)
        for number, each in enumerate(net):
            x = each(x)
            if isinstance(each, neuron.LIFNode):
                outputs[f"_{number}.spikes"].append(x.numpy())
                outputs[f"_{number}.v"].append(each.v.numpy().copy())

np.savez("samples.npz", input=samples)
np.savez("outputs.npz", **{key: np.stack(rows, axis=1) for key, rows in outputs.items()})
functional.reset_net(net)
nir.write("net.nir", export_to_nir(net, torch.tensor(samples[:, 0], dtype=torch.float64)))
