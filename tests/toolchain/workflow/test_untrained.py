"""Networks of an experiment before they are pruned and trained."""

from typing import Any

import pytest

from toolchain.errors import ExperimentError
from toolchain.models import FeedForward, GatedNorm, Network, Spiking
from toolchain.workflow.experiment import parse_experiment
from toolchain.workflow.prepare import load_data
from toolchain.workflow.sections.model import CLUSTERS
from toolchain.workflow.untrained import shape_of, untrained_network

_FEW = {"name": "digits", "train_samples": 40, "test_samples": 20}


def _untrained(model: dict[str, Any], **sections: object) -> Network | FeedForward:
    experiment = parse_experiment({"data": _FEW, "model": model, "pruning": False, **sections})
    network = untrained_network(experiment, load_data(experiment))
    assert isinstance(network, Network | FeedForward)
    return network


def test_a_vgg_has_the_layers_that_are_listed() -> None:
    model = {"name": "vgg", "layers": [4, "pool", 6], "width": 2.0, "hidden": [5], "tau_steps": 2.0}
    network = _untrained(model, training={"surrogate_slope": 3.0}, encoding={"steps": 7})
    assert isinstance(network, FeedForward)
    assert (network.shape, network.steps, network.scores) == ((1, 8, 8), 7, 10)
    widths = [part.weight.shape[0] for part in network.parts.values() if isinstance(part, GatedNorm)]
    assert widths == [8, 12, 5]
    neurons = [part for part in network.parts.values() if isinstance(part, Spiking)]
    assert {(each.dv, each.slope, each.vth) for each in neurons} == {(0.5, 3.0, 1.0)}


def test_a_named_vgg_has_its_own_layers() -> None:
    network = _untrained({"name": "vgg", "layers": "vgg5", "width": 0.1})
    assert isinstance(network, FeedForward)
    assert len(network.layers) == 4
    assert _untrained({"name": "vgg", "layers": "vgg5", "hidden": []}).parameters()


def test_a_residual_network_has_its_stages() -> None:
    network = _untrained({"name": "preresnet", "widths": [4, 8], "blocks": [1, 2]})
    assert isinstance(network, FeedForward)
    assert len(network.layers) == 2 * 3 + 1


def test_a_clustered_network_has_the_clusters_of_the_reference_unless_they_are_named() -> None:
    for model, expected in (
        ({"name": "chrsnn"}, CLUSTERS),
        ({"name": "chrsnn", "cluster_tau_ms": [3.0, 9.0]}, (3.0, 9.0)),
        ({"name": "hrsnn"}, ()),
    ):
        experiment = parse_experiment({"data": _FEW, "model": model | {"neurons": 20}, "pruning": False})
        shape = shape_of(experiment.model, load_data(experiment))  # pyright: ignore[reportArgumentType]
        assert shape.cluster_tau_ms == expected


@pytest.mark.parametrize(
    "model", [{"name": "vgg", "layers": [2]}, {"name": "preresnet", "widths": [2], "blocks": [1]}]
)
def test_rows_of_a_picture_are_no_picture(model: dict[str, Any]) -> None:
    experiment = parse_experiment({"data": _FEW | {"name": "sequential_digits"}, "model": model})
    with pytest.raises(ExperimentError, match="takes pictures or events") as caught:
        untrained_network(experiment, load_data(experiment))
    assert caught.value.key == "model.name"


@pytest.mark.parametrize(
    ("model", "key"),
    [
        ({"name": "vgg", "layers": [2, "pool", "pool", "pool", "pool"]}, "model.layers"),
        ({"name": "preresnet", "widths": [2, 2, 2, 2, 2], "blocks": [1] * 5}, "model.widths"),
        ({"name": "preresnet", "widths": [2, 2], "blocks": [1]}, "model.widths"),
    ],
)
def test_a_network_that_the_picture_is_too_small_for_is_named(model: dict[str, Any], key: str) -> None:
    with pytest.raises(ExperimentError) as caught:
        _untrained(model)
    assert caught.value.key == key


def test_a_pooling_of_brightness_is_refused_before_the_training() -> None:
    model = {"name": "vgg", "layers": ["pool", 2]}
    with pytest.raises(ExperimentError, match="max-pooling 'pool0' reads values, not spikes") as caught:
        _untrained(model)
    assert caught.value.key == "model.layers"
    assert isinstance(_untrained(model, encoding={"name": "rate", "steps": 2}), FeedForward)
