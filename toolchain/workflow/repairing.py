"""What training with integers takes of an experiment: its samples, and how it learns."""

from dataclasses import replace

from toolchain.execution.stimulus import Stimulus
from toolchain.workflow.experiment import Experiment
from toolchain.workflow.prepare import fit_options, load_data
from toolchain.workflow.quantization import RepairOptions


def training_samples(experiment: Experiment) -> Stimulus:
    """Return the training split of an experiment as it entered the network, with labels."""
    encoded = load_data(experiment)
    return encoded.first(len(encoded.data.train))


def repair_options(experiment: Experiment, epochs: int) -> RepairOptions:
    """Return how a network of an experiment is trained on with its integers: at a fiftieth of the rate."""
    usual = fit_options(experiment, epochs)
    return RepairOptions(
        fit=replace(usual, learning_rate=usual.learning_rate / 50),
        slope=experiment.surrogate_slope,
        seed=experiment.seed,
    )
