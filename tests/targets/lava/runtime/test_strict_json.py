"""Documents of a job are read as they were written, and refused where they were not."""

import json
from dataclasses import replace
from typing import Any

import pytest

from targets.lava.plan import plan_processes
from targets.lava.runtime.documents import LavaNetwork, LavaRun
from targets.lava.runtime.firing import SpikeEffect
from targets.lava.runtime.models import Models
from targets.lava.runtime.strict_json import DocumentError, read_text, text_of
from tests.graphs import feed_forward
from tests.image_graphs import ImageRecipe, random_images
from tests.random_graphs import random_fixed
from tests.targets import conformance

RUN = LavaRun(Models.LAYERS, 3, 10, {"p": ("spikes", "v")})


@pytest.mark.parametrize(
    "graph", [feed_forward(), random_fixed(conformance.FIRING), random_images(ImageRecipe(seed=3))]
)
def test_a_network_is_read_as_it_was_written(graph: Any) -> None:
    network = plan_processes(graph).network
    assert read_text(text_of(network), LavaNetwork, "n") == network


def test_a_run_is_read_as_it_was_written() -> None:
    assert read_text(text_of(RUN), LavaRun, "r") == RUN


def _changed(**values: Any) -> str:
    return json.dumps(json.loads(text_of(RUN)) | values)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("{", "'r' is not JSON"),
        ("[]", "'r' is no document of the format 'pumice-lava-run'"),
        (_changed(format="other"), "'r' is no document of the format 'pumice-lava-run'"),
        (_changed(version=2), "has version 2 of 'pumice-lava-run', expected 1: export the network again"),
        (_changed(version=None), "has version None"),
        (_changed(more=1), r"r: expected the keys .*'steps'\], got .*'more'"),
        (_changed(models="own"), r"r, 'models': expected one of \['stock', 'mixed', 'layers'\], got 'own'"),
        (_changed(models=[]), r"r, 'models': expected one of .*, got \[\]"),
        (_changed(samples="3"), "r, 'samples': expected int, got '3'"),
        (_changed(samples=True), "r, 'samples': expected int, got True"),
        (_changed(samples=3.0), "r, 'samples': expected int, got 3.0"),
        (_changed(records={"p": "v"}), "r, 'records', 'p': expected list, got 'v'"),
        (_changed(records={"p": [1]}), "r, 'records', 'p': expected str, got 1"),
        (_changed(records=[]), "r, 'records': expected dict, got"),
    ],
)
def test_what_is_not_as_declared_is_named(text: str, reason: str) -> None:
    with pytest.raises(DocumentError, match=reason):
        read_text(text, LavaRun, "r")


def test_a_population_that_only_resets_to_zero_is_written_as_ever_and_older_files_are_read() -> None:
    network = plan_processes(random_fixed(conformance.FIRING)).network
    plain = plan_processes(random_fixed(replace(conformance.FIRING, firing=False))).network
    written = json.loads(text_of(plain))["populations"]
    assert {tuple(item) for item in written} == {("name", "shape", "offset", "relay")}
    content = json.loads(text_of(network))
    assert {"reset", "max_spikes"} <= {key for item in content["populations"] for key in item}
    for item in content["populations"]:
        item.pop("reset", None)
        item.pop("max_spikes", None)
    older = read_text(json.dumps(content), LavaNetwork, "n")
    assert {(item.reset, item.max_spikes) for item in older.populations} == {(SpikeEffect.ZERO, 1)}


def test_a_pair_has_two_values() -> None:
    content = json.loads(text_of(plan_processes(feed_forward()).network))
    content["connections"][0]["shape"] = [1, 2, 3]
    with pytest.raises(DocumentError, match="n, 'connections', 'shape': expected 2 values, got 3"):
        read_text(json.dumps(content), LavaNetwork, "n")
