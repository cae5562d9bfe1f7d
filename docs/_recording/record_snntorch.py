import nir
import numpy as np
import snntorch as snn
import torch
from snntorch import utils
from snntorch.export_nir import export_to_nir
from torch import nn

torch.manual_seed(0)
net = nn.Sequential(
    nn.Linear(6, 32),
    snn.Leaky(beta=torch.full((32,), 0.8), threshold=torch.full((32,), 0.3), init_hidden=True),
    nn.Linear(32, 4),
    snn.Leaky(beta=torch.full((4,), 0.9), threshold=torch.full((4,), 0.3), init_hidden=True),
)
samples = np.random.default_rng(0).random((8, 30, 6)) < 0.4

# The exporter calls the layers of a Sequential by their numbers: here 1 and 3.
outputs = {"1.spikes": [], "1.v": [], "3.spikes": [], "3.v": []}
with torch.no_grad():
    for t in range(samples.shape[1]):
        x = torch.tensor(samples[:, t], dtype=torch.float32)
        for number, layer in enumerate(net):
            x = layer(x)
            if isinstance(layer, snn.Leaky):
                outputs[f"{number}.spikes"].append(x.numpy())
                outputs[f"{number}.v"].append(layer.mem.numpy().copy())

np.savez("samples.npz", input=samples)
np.savez("outputs.npz", **{key: np.stack(rows, axis=1) for key, rows in outputs.items()})
utils.reset(net)
nir.write("net.nir", export_to_nir(net, torch.zeros(1, 6), ignore_dims=[0]))
