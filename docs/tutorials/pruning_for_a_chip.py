# %% [markdown]
# # Pruning for a chip
#
# Does a network fit a chip, what would an inference cost there, and what does pruning change? This
# tutorial compares a recurrent network as built with a pruned one, on scikit-learn's digits, for
# Loihi 1. It takes about two minutes on two cores. No chip is needed: limits and costs come from
# public sources, and [Chips](../chips.md) says what they are worth.
#
# ## Data and network
#
# Pixels become spikes: grey level $g$ out of 16 fires $g$ times in 16 steps. `build_hrsnn` makes a
# random network in which each neuron has a time constant of its own.

# %%
import numpy as np

import pumice

rng = np.random.default_rng(0)
images = pumice.data.load_digits(test_fraction=0.3, seed=0)
rate = pumice.data.Encoding.RATE
train = pumice.data.encode(images.train, rate, 16, rng=rng)
test = pumice.data.encode(images.test, rate, 16, rng=rng)
shape = pumice.models.HrsnnShape(channels=64, classes=10, neurons=400, density=0.5, input_density=0.2)
dense = pumice.models.build_hrsnn(shape, rng, readout=pumice.Readout.LAST_V)

# %% [markdown]
# ## Pruning
#
# Lyapunov Noise Pruning needs no data and no training. It leaves 120 neurons and 8 % of the recurrent
# synapses.

# %%
goal = pumice.pruning.LnpOptions(neurons=120, synapse_fraction=0.08)
pruned, result = pumice.pruning.prune_recurrent(dense, "hidden", goal, rng)
print(f"{result.pool.size} neurons, {result.pool.synapses:,} recurrent synapses")

# %% [markdown]
# ## Training and compiling
#
# Both networks learn for the same number of epochs and become integers for Loihi 1. There the neurons
# of a core share few decays and thresholds, which the compiler keeps to.

# %%
options = pumice.FitOptions(epochs=6, batch_size=32, learning_rate=0.005, label_smoothing=0.1)
held_out = pumice.Stimulus(test, images.test_labels)
builds = {}
for name, network in (("as built", dense), ("pruned", pruned)):
    pumice.fit(network, train, images.train_labels, options, seed=0)
    builds[name] = pumice.compile(
        network, held_out, target="loihi1", calibration=train[:256], classes=images.classes
    )

# %% [markdown]
# ## What would the chip say?
#
# `compare` says what the integers cost in accuracy, and `check` spreads them over the cores of the
# chip, with the activity of the held-out images. Time and energy are given twice: from the least cost
# of every event, and from a fit to measurements. The truth may lie between them; take them as a band,
# not as a measurement.

# %%
for name, build in builds.items():
    comparison = pumice.compare(build).comparison
    resources = pumice.check(build)
    fit = resources.fit
    nanojoules = [1e9 * each.dynamic_joules * fit.steps for each in fit.estimates]
    print(
        f"{name}: {comparison.float_accuracy:.1f} % in real numbers, "
        f"{comparison.fixed_accuracy:.1f} % in integers"
    )
    print(f"  fits: {fit.fits}, {len(fit.cores)} cores, limited by {fit.binding[0]}")
    print(f"  {fit.events['synaptic operations']:,.0f} synaptic operations a step")
    print(f"  dynamic energy {min(nanojoules):,.0f} to {max(nanojoules):,.0f} nJ an image")

# %% [markdown]
# Fewer cores and less energy, for about the same accuracy. These are two small networks that were
# trained for six epochs only; the study [What a chip would need](../studies/chips.md) has longer
# training, several seeds, and a convolutional network.
#
# ## And on Lava?
#
# A build for a chip runs on Lava with the chip's integers.

# %%
judgement = pumice.compare(builds["pruned"], exact=("lava",), samples=4)
judgement.require_exact()
print(judgement.sentences()[-1])
builds["pruned"].save("for-loihi", judgement)
