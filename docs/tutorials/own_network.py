# %% [markdown]
# # A network of your own, from PyTorch to Lava
#
# In this tutorial you train a small recurrent network on real data, turn it into integers, compare
# the two, look into a difference, and run the integers on Lava. It takes about two minutes on two
# cores. The page is the script `docs/tutorials/own_network.py`; run it with `python
# docs/tutorials/own_network.py`.
#
# ## Data
#
# scikit-learn has 1,797 handwritten digits of 8 x 8 pixels. The network reads a digit row by row:
# eight channels, one per column, and four steps for each row. A pixel of grey level $g$ out of 16
# fires with probability $g / 16$. Samples are arrays `[batch, steps, channels]`.

# %%
import numpy as np
from sklearn.datasets import load_digits
from torch import nn

import pumice

rng = np.random.default_rng(0)
pixels, labels = load_digits(return_X_y=True)
rows = np.repeat(pixels.reshape(-1, 8, 8) / 16, 4, axis=1)
spikes = rng.random(rows.shape) < rows
order = rng.permutation(len(labels))
spikes, labels = spikes[order], labels[order]
train, test = slice(0, 1300), slice(1300, None)
print(spikes.shape, "samples, steps, channels")

# %% [markdown]
# ## Model
#
# A `Network` names its layers and the connections between them. Each hidden neuron has a time
# constant of its own, so that some forget a row at once and others remember the whole digit. The
# connection from the layer to itself has a delay of one step. The read-out has an infinite threshold:
# it never fires, and its mean potential is the score of a class.

# %%
hidden = pumice.CubaLif(96, dv=1 / rng.uniform(2, 20, 96))
readout = pumice.CubaLif(10, dv=0.05, vth=float("inf"))
encode = nn.Linear(8, 96, bias=False)
recur = nn.Linear(96, 96, bias=False)
decode = nn.Linear(96, 10, bias=False)
nn.init.normal_(encode.weight, 0.1, 0.5)
nn.init.normal_(recur.weight, 0.0, 0.05)
network = pumice.Network(
    inputs={"columns": 8},
    layers={"hidden": hidden, "readout": readout},
    connections={
        pumice.Connection("encode", "columns", "hidden"): encode,
        pumice.Connection("recur", "hidden", "hidden", delay=1): recur,
        pumice.Connection("decode", "hidden", "readout"): decode,
    },
    output="readout",
)

# %% [markdown]
# ## Training
#
# `fit` trains with surrogate gradients. Any loop of your own does as well: a `Network` is an
# `nn.Module`, and `network(x).scores` are the scores.

# %%
options = pumice.FitOptions(epochs=20, batch_size=32, learning_rate=0.01)
records = pumice.fit(network, spikes[train], labels[train], options, seed=0)
print(f"accuracy on the training samples: {records[-1].accuracy:.1f} %")

# %% [markdown]
# ## Integers
#
# `compile` makes integers of the network. The held-out samples stay in the build, to judge it on. The
# calibration samples show how large currents and potentials become, and the weights of a neuron are
# rounded such that their errors cancel on them; they are training samples. First four bits, which is
# little:

# %%
held_out = pumice.Stimulus(spikes[test], labels[test])
coarse = pumice.compile(
    network,
    held_out,
    target="lava",
    calibration=spikes[train][:256],
    quantization=pumice.Quantization(weight_bits=4, rounding="nearest"),
)
comparison = pumice.compare(coarse).comparison
print(f"real numbers {comparison.float_accuracy:.1f} %, integers {comparison.fixed_accuracy:.1f} %")
print(f"F1 of the spikes: {comparison.spike_f1:.3f}")

# %% [markdown]
# ## Where do they differ?
#
# For each population the comparison knows the first divergence: the step and the neuron at which real
# numbers and integers first differ, with both potentials and the threshold. A potential of 0 is that
# of a neuron which has just fired.

# %%
first = comparison.nodes["hidden"].first
print(f"sample {first.sample}, step {first.step}, neuron {first.neuron}, threshold {first.threshold}:")
print(f"potential {first.expected:.3f} in real numbers, {first.got:.3f} in integers")

# %% [markdown]
# Which rule of the integers is to blame? `attribute=True` switches each of them on alone.

# %%
judgement = pumice.compare(coarse, attribute=True)
print(*judgement.sentences(), sep="\n")

# %% [markdown]
# The weights are to blame, as one would expect at four bits. Two things help. Weights that are
# rounded together cost nothing on the chip, and more bits cost memory:

# %%
for bits in (4, 8):
    build = pumice.compile(
        network,
        held_out,
        target="lava",
        calibration=spikes[train][:256],
        quantization=pumice.Quantization(weight_bits=bits),
    )
    comparison = pumice.compare(build).comparison
    print(f"{bits} bits, rounded together: {comparison.fixed_accuracy:.1f} %, F1 {comparison.spike_f1:.3f}")

# %% [markdown]
# ## Lava
#
# The integers of eight bits on Lava's CPU simulator: every current, potential and spike must equal
# the exact reference and the emulator at every step. `require_exact` raises an error that names
# population, step and neuron if one of them does not.

# %%
judgement = pumice.compare(build, exact=("lava",), samples=8)
judgement.require_exact()
print(judgement.sentences()[0])

# %% [markdown]
# The build can be saved, with the figures and the report of its judgement. All commands work on its
# folder: `pumice show`, `pumice check`, `pumice export`.

# %%
build.save("rows-of-digits", judgement)
print(len(pumice.load("rows-of-digits").notes), "notes on how the network came to be")
