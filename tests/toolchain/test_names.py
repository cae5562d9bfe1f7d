"""Names of a graph meet in no file, whatever they are: everything is read as it was written."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from targets.lava.export import export_network
from targets.lava.job import write_job
from targets.lava.plan import plan_processes
from targets.lava.resume import FinishedSamples
from targets.lava.runtime.jobs import PARAMETERS, read_network
from targets.lava.runtime.models import Models
from targets.onnx.target import OnnxTarget
from tests.image_graphs import ImageRecipe, random_images, random_stimuli_of_pictures
from tests.names import renamed, with_names
from tests.random_graphs import Recipe, random_fixed, random_stimuli
from toolchain.errors import ArgumentError
from toolchain.execution import reference
from toolchain.execution.stimulus import Stimulus, fit_stimulus, stored_key
from toolchain.execution.trace import QUANTITIES, Trace
from toolchain.fidelity import first_mismatch
from toolchain.ir import Graph, load_graph, same_structure, save_graph
from toolchain.models import Network
from toolchain.models.network import Connection
from toolchain.models.neurons import CubaLif, MaskedSynapses
from toolchain.target.records import empty_records, kept_quantities
from toolchain.training import load_network, save_network

_SEEDS = st.integers(0, 2**32)
_NAMES = st.one_of(
    st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=8),
    st.lists(st.sampled_from(["labels", "lengths", "input", "/", "input/", ".npy"]), max_size=4).map("".join),
)


def _network(seed: int) -> tuple[Graph, dict[str, Any]]:
    """Return a random graph with names like our keys, and what it is given."""
    rng = np.random.default_rng(seed)
    if seed % 2:
        images = ImageRecipe(seed=seed)
        graph, stimuli = random_images(images), random_stimuli_of_pictures(images, 2, 4)
    else:
        recipe = Recipe(
            seed, (3, 4), 2, inputs=3, recurrent=True, synaptic_delays=True, sparse=seed % 4 == 0, biased=True
        )
        graph, stimuli = random_fixed(recipe), random_stimuli(recipe, 2, 4)
    graph, new = renamed(graph, rng)
    return graph, with_names(stimuli, new)


@given(seed=_SEEDS)
@settings(max_examples=8)
def test_a_graph_is_read_as_it_was_written(seed: int, tmp_path_factory: pytest.TempPathFactory) -> None:
    folder, (graph, _) = tmp_path_factory.mktemp("graph"), _network(seed)
    save_graph(graph, folder)
    assert same_structure(load_graph(folder), graph)


@given(seed=_SEEDS)
@settings(max_examples=8)
def test_records_and_finished_samples_are_read_as_they_were_written(
    seed: int, tmp_path_factory: pytest.TempPathFactory
) -> None:
    folder, (graph, values) = tmp_path_factory.mktemp("trace"), _network(seed)
    stimulus = fit_stimulus(graph, Stimulus(values))
    trace = reference.run(graph, stimulus)
    trace.save(folder / "trace.npz")
    _check_equal(Trace.load(folder / "trace.npz"), trace)
    kept, again = (FinishedSamples(folder, graph, stimulus, QUANTITIES) for _ in range(2))
    kept.save({quantity: getattr(trace, quantity) for quantity in QUANTITIES}, 2)
    records = empty_records(graph, stimulus, QUANTITIES)
    assert again.load(records) == 2
    _check_equal(Trace(**records), trace)


def _check_equal(one: Trace, other: Trace) -> None:
    assert one.by_key().keys() == other.by_key().keys()
    assert all(np.array_equal(one.by_key()[key], values) for key, values in other.by_key().items())


@given(names=st.sets(_NAMES, min_size=1, max_size=5), labels=st.booleans(), lengths=st.booleans())
@settings(max_examples=25)
def test_a_stimulus_is_read_as_it_was_written(
    *, names: set[str], labels: bool, lengths: bool, tmp_path_factory: pytest.TempPathFactory
) -> None:
    path = tmp_path_factory.mktemp("stimulus") / "stimulus.npz"
    values = {name: np.full((2, 1, 1), i) for i, name in enumerate(sorted(names))}
    given = Stimulus(values, np.array([7, 8]) if labels else None, np.array([1, 1]) if lengths else None)
    given.save(path)
    for found in (Stimulus.load(path), Stimulus.open(path, held_bytes=1)):
        assert found.values.keys() == names
        assert all(np.array_equal(np.asarray(found.values[name]), values[name]) for name in names)
        assert (found.labels is not None, found.lengths is not None) == (labels, lengths)


def test_stimuli_of_others_are_read_by_the_plain_names_of_their_inputs(tmp_path: Path) -> None:
    x = np.ones((2, 3, 4))
    np.savez(tmp_path / "stimulus.npz", image=x, labels=np.array([0, 1]))
    found = Stimulus.load(tmp_path / "stimulus.npz")
    assert list(found.values) == ["image"]
    assert stored_key("image") == "image"


@given(seed=_SEEDS)
@settings(max_examples=8)
def test_an_onnx_model_computes_the_same_network(seed: int) -> None:
    graph, values = _network(seed)
    stimulus = fit_stimulus(graph, Stimulus(values))
    program = OnnxTarget().build(graph)
    expected = reference.run(graph, stimulus)
    assert first_mismatch(expected, program.run(stimulus, record=QUANTITIES)) is None
    session = program.session(stimulus.samples)
    for step in range(stimulus.steps):
        sent = session.step({name: array[:, step] for name, array in stimulus.values.items()})
        for name, fired in sent.items():
            assert np.array_equal(fired, expected.spikes[name][:, step])


@given(seed=_SEEDS)
@settings(max_examples=8)
def test_a_network_for_lava_holds_every_array_of_its_own(
    seed: int, tmp_path_factory: pytest.TempPathFactory
) -> None:
    folder, (graph, _) = tmp_path_factory.mktemp("lava"), _network(seed)
    plan = plan_processes(graph)
    export_network(plan, folder)
    network, arrays = read_network(folder)
    assert network == plan.network
    names = network.process_names(Models.MIXED)
    assert len(set(names)) == len(names)
    fields = len(PARAMETERS) * len(network.populations)
    synapses = sum(3 if link.sparse else 1 for link in network.connections)
    assert len(arrays) == fields + synapses + len(network.convolutions)
    for node in graph.populations:
        assert np.array_equal(arrays[f"{node.name}/vth"], node.vth)


@given(seed=_SEEDS)
@settings(max_examples=8)
def test_a_job_for_lava_has_a_file_for_every_source_and_record(
    seed: int, tmp_path_factory: pytest.TempPathFactory
) -> None:
    folder, (graph, values) = tmp_path_factory.mktemp("job"), _network(seed)
    stimulus = fit_stimulus(graph, Stimulus(values))
    plan = plan_processes(graph)
    wanted = kept_quantities(empty_records(graph, stimulus, QUANTITIES), graph)
    write_job(folder, plan, stimulus, wanted, Models.MIXED)
    names = [item.name.lower() for item in folder.glob("*.npy")]
    assert len(set(names)) == len(names) == len(plan.network.sources) + sum(map(len, wanted.values())) + 1


@pytest.mark.parametrize(
    ("inputs", "layers", "connections"),
    [
        (("labels", "a"), ("vth", "A", "weight", "mask"), ("u", "U", "mask", "weight")),
        (("network", "x"), ("layers", "synapses", "u", "du"), ("layers", "synapses", "v", "dv")),
    ],
)
def test_a_network_is_read_as_it_was_written(
    inputs: tuple[str, ...], layers: tuple[str, ...], connections: tuple[str, ...], tmp_path: Path
) -> None:
    torch.manual_seed(1)
    network = Network(
        inputs=dict.fromkeys(inputs, 2),
        layers={name: CubaLif(3) for name in layers},
        connections={
            Connection(name, inputs[i % 2], layers[i]): MaskedSynapses(torch.rand(3, 2))
            for i, name in enumerate(connections)
        },
        output=layers[0],
    )
    save_network(network, tmp_path)
    found = load_network(tmp_path)
    assert found.inputs == network.inputs
    assert [*found.layers] == [*network.layers]
    assert found.connections == network.connections
    state = network.state_dict()
    assert found.state_dict().keys() == state.keys()
    assert all(torch.equal(tensor, state[key]) for key, tensor in found.state_dict().items())


@pytest.mark.parametrize("name", ["a\0b", "\udcff"])
def test_a_name_that_an_archive_would_change_is_refused(name: str, tmp_path: Path) -> None:
    with pytest.raises(ArgumentError, match="a name that an archive can hold"):
        Stimulus({name: np.ones((1, 1, 1))}).save(tmp_path / "stimulus.npz")
    assert not list(tmp_path.iterdir())
