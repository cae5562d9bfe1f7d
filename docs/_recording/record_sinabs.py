import nir
import numpy as np
import sinabs.layers as sl
import torch
from sinabs.nir import to_nir
from torch import nn

torch.manual_seed(0)
options = {"spike_threshold": torch.tensor(0.5), "min_v_mem": None, "batch_size": 8, "record_states": True}
net = nn.Sequential(nn.Linear(6, 32), sl.IAFSqueeze(**options), nn.Linear(32, 4), sl.IAFSqueeze(**options))
samples = np.random.default_rng(0).random((8, 30, 6)) < 0.4

# These layers take samples and steps in one axis. The exporter calls them by their numbers: 1 and 3.
outputs = {}
with torch.no_grad():
    x = torch.tensor(samples, dtype=torch.float32).flatten(0, 1)
    for number, layer in enumerate(net):
        x = layer(x)
        if isinstance(layer, sl.IAFSqueeze):
            outputs[f"{number}.spikes"] = x.reshape(8, 30, -1).numpy()
            outputs[f"{number}.v"] = layer.recordings["v_mem"].reshape(8, 30, -1).numpy()

np.savez("samples.npz", input=samples)
np.savez("outputs.npz", **outputs)
nir.write("net.nir", to_nir(net, torch.tensor(samples, dtype=torch.float32).flatten(0, 1)))
