# %% [markdown]
# # Bring a network, and prove that it is the same
#
# In this tutorial a network comes from another framework as a NIR file. You record what the framework
# itself computes, read the file, and compare the two at every step. It takes less than a minute, and
# the page is the script `docs/tutorials/prove_an_import.py`.
#
# The network has the neurons of snnTorch with their default settings. They are written out here in
# plain PyTorch, so that the page runs where snnTorch is not installed; [the guide](../neurons.md) has
# the same for snnTorch itself, Norse, sinabs and SpikingJelly.
#
# ## A network of another framework
#
# A spike of `Leaky` takes the threshold from the potential one step later, after the decay.

# %%
from itertools import pairwise

import nir
import numpy as np
import torch
from torch import nn

import pumice


class Leaky(nn.Module):
    def __init__(self, beta: torch.Tensor, threshold: torch.Tensor) -> None:
        super().__init__()
        self.beta, self.threshold = beta, threshold
        self.mem = torch.zeros_like(beta)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        reset = (self.mem > self.threshold).float()
        self.mem = self.beta * self.mem + x - reset * self.threshold
        return (self.mem > self.threshold).float()


torch.manual_seed(0)
fc1, fc2 = nn.Linear(6, 32, bias=False), nn.Linear(32, 4, bias=False)
lif1 = Leaky(torch.linspace(0.6, 0.95, 32), torch.full((32,), 0.3))
lif2 = Leaky(torch.full((4,), 0.9), torch.full((4,), 0.3))

# %% [markdown]
# ## What it computes
#
# The samples are `[batch, time, channels]`, and so is every record: spikes and potentials of each
# layer, batch first.

# %%
samples = np.random.default_rng(0).random((8, 30, 6)) < 0.4
outputs = {"lif1.spikes": [], "lif1.v": [], "lif2.spikes": [], "lif2.v": []}
with torch.no_grad():
    for t in range(samples.shape[1]):
        spikes1 = lif1(fc1(torch.tensor(samples[:, t], dtype=torch.float32)))
        spikes2 = lif2(fc2(spikes1))
        values = (spikes1, lif1.mem, spikes2, lif2.mem)
        for rows, value in zip(outputs.values(), values, strict=True):
            rows.append(value.numpy().copy())
outputs = {key: np.stack(rows, axis=1) for key, rows in outputs.items()}
print({key: values.shape for key, values in outputs.items()})

# %% [markdown]
# ## Its file
#
# This is what snnTorch's exporter writes. Nothing in it says what a spike does.


# %%
def node(leaky: Leaky) -> nir.LIF:
    tau = 1e-4 / (1 - leaky.beta.double().numpy())
    zeros = np.zeros_like(tau)
    return nir.LIF(tau, tau / 1e-4, zeros, leaky.threshold.numpy(), zeros)


layers = {
    "input": nir.Input({"input": np.array([6])}),
    "fc1": nir.Linear(fc1.weight.detach().numpy()),
    "lif1": node(lif1),
    "fc2": nir.Linear(fc2.weight.detach().numpy()),
    "lif2": node(lif2),
    "output": nir.Output({"output": np.array([4])}),
}
names = list(layers)
graph = nir.NIRGraph(layers, list(pairwise(names)))

# %% [markdown]
# ## The wrong reading
#
# Suppose you remember that a spike subtracts the threshold, and forget that it does so a step later.

# %%
build = pumice.compile_file(graph, convention="snntorch", reset="subtract", stimulus=samples, expect=outputs)
print(*build.facts.source.sentences, sep="\n")

# %% [markdown]
# The last line names the first step and neuron that differ, with both values. The first line is the
# more useful one: other resets were tried on the same samples, and one of them makes every step
# equal. On the command line this is `pumice compile net.nir --expect outputs.npz`, which ends with
# exit code 4 here.
#
# ## The right one

# %%
build = pumice.compile_file(
    graph, convention="snntorch", reset="subtract-delayed", stimulus=samples, expect=outputs, target="lava"
)
print(*build.facts.source.sentences, sep="\n")
build.facts.source.require_equal()

# %% [markdown]
# So the real numbers are those of the framework. The subtraction that comes later was rewritten as
# one that comes at once, which is exact:

# %%
print(*build.notes[1:], sep="\n")

# %% [markdown]
# ## And the integers
#
# What quantization changes is measured, and Lava's integers must equal the reference bit for bit:

# %%
judgement = pumice.compare(build, exact=("lava",), samples=4)
judgement.require_exact()
print(f"F1 of the spikes, real numbers against integers: {judgement.comparison.spike_f1:.3f}")
print(judgement.sentences()[0])
