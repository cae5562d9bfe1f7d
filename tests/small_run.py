"""A training of seconds, for tests that need a run or a build but not its accuracy."""

from toolchain.models import Network
from toolchain.workflow.experiment import Experiment, parse_experiment


def small_experiment(**changes: object) -> Experiment:
    document: dict[str, object] = {
        "seed": 1,
        "encoding": {"name": "rate", "steps": 6},
        "model": {"neurons": 40, "density": 0.3},
        "pruning": {"neurons": 20, "synapse_fraction": 0.2, "iterations": 2},
        "training": {"epochs": 2, "batch_size": 128, "calibration_samples": 32},
    }
    return parse_experiment(document | changes)


TOML = """
seed = 1

[encoding]
name = "rate"
steps = 6

[model]
neurons = 40
density = 0.3

[pruning]
neurons = 20
synapse_fraction = 0.2
iterations = 2

[training]
epochs = 2
batch_size = 128
calibration_samples = 32
"""


def recurrent_of(network: object) -> Network:
    """Return a network of a run that is known to be recurrent."""
    assert isinstance(network, Network)
    return network
