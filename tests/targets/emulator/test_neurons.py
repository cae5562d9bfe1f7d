"""Neurons of the emulator: every rule of `fixedpoint.lif_step`, and counts at their limits."""

from dataclasses import replace
from typing import Any

import numba
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from numpy.typing import NDArray
from scipy.sparse import csr_array

from targets.emulator.compiled.items import CompiledPopulation
from targets.emulator.compiled.network import CompiledNetwork
from targets.emulator.compiled.neurons import advance_neurons
from targets.emulator.compiled.rules import GraphRecord, StateArrays
from targets.emulator.program import EmulatorProgram
from tests.graphs import fixed_dense, fixed_lif
from tests.random_graphs import random_firing
from tests.real_graphs import in_reals
from toolchain import fixedpoint, ir
from toolchain.execution import reference
from toolchain.execution.trace import QUANTITIES
from toolchain.fidelity import first_mismatch
from toolchain.fixedpoint import NeuronState, SignMode
from toolchain.ir import Decode, EdgeKind, Graph, Origin
from toolchain.reset import Reset

int32 = st.integers(-(2**31), 2**31 - 1)


@st.composite
def populations(draw: st.DrawFn) -> ir.FixedLif:
    """Six neurons of any registers; one in two fires in another way than by resetting to zero."""
    registers = {"du": (0, 4095), "dv": (0, 4095), "vth": (0, 2**17 - 1)} | {
        "bias_mantissa": (-4096, 4095),
        "bias_exponent": (0, 7),
    }
    fields = {
        name: draw(hnp.arrays(np.int32, 6, elements=st.integers(*ends))) for name, ends in registers.items()
    }
    firing = random_firing(np.random.default_rng(draw(st.integers(0, 2**32 - 1))), 6)
    return fixed_lif("p", ("a",), 6, **fields, **(firing if draw(st.booleans()) else {}))


def _any_state(population: ir.FixedLif, seed: int) -> NeuronState:
    """Any state that steps can lead to: `wait` and `rise` stay within their widths, `v` saturates."""
    rng, size = np.random.default_rng(seed), population.vth.size
    ends = [(-(2**31), 2**31), (1 - 2**23, 2**23), (0, 4), (0, 2**23)]
    drawn = [rng.choice([rng.integers(*end, size), np.full(size, end[0]), np.zeros(size)]) for end in ends]
    u, v, wait, rise = (values.astype(np.int32) for values in drawn)
    nothing = np.zeros_like(u)
    waits, adapts = population.refractory is not None, population.adaptation is not None
    return NeuronState(u, v, wait if waits else nothing, rise if adapts else nothing)


@given(
    population=populations(),
    a=hnp.arrays(np.int32, (3, 1, 6), elements=int32),
    seed=st.integers(0, 2**32 - 1),
)
@settings(max_examples=200)
def test_neurons_equal_the_rules_on_all_of_int32(population: ir.FixedLif, a: NDArray[Any], seed: int) -> None:
    item, after = CompiledPopulation.of(population, ()), _any_state(population, seed)
    state = StateArrays(*(values.copy()[None] for values in after))
    fired = np.zeros(a.shape, np.uint8)
    record = GraphRecord(*np.zeros((2, 1, 3, 1, 6), np.int32))
    advance_neurons(a, 1, state, item.parameters, item.rule._replace(forgets=False), fired, record)
    for t in range(len(a)):
        after, spikes = fixedpoint.lif_step(after, a[t, 0], population)
        assert np.array_equal(record.u[0, t, 0], after.u)
        assert np.array_equal(record.v[0, t, 0], after.v)
        assert np.array_equal(fired[t, 0], spikes)
    if item.remembers:
        assert np.array_equal(state.wait[0], after.wait)
        assert np.array_equal(state.rise[0], after.rise)


@pytest.mark.parametrize("real", [False, True])
def test_the_rules_are_compiled_once_whether_arrays_of_a_graph_can_be_written_or_not(real: bool) -> None:
    """Numba takes an array that cannot be written for another type, and compiles for each choice of them."""
    types: set[numba.types.Type] = set()
    for seed in range(20):
        rng = np.random.default_rng(seed)
        graph = in_reals(_one(rng)) if real else _one(rng)
        (population,) = graph.populations
        arrays = {name: _locked(values, rng) for name, values in population.per_neuron.items()}
        made = CompiledPopulation.of(replace(population, **arrays), ())
        types.add(numba.typeof((made.parameters, made.rule)))
    assert len(types) == 1


def _one(rng: np.random.Generator) -> Graph:
    """One population, of any kind of rule."""
    firing = random_firing(rng, 6) if rng.random() < 0.8 else {}
    return Graph(
        (
            ir.Input(name="x", shape=(6,)),
            fixed_dense("a", "x", np.eye(6, dtype=np.int32)),
            fixed_lif("p", ("a",), 6, **firing),
            ir.Output(name="o", inputs=("p",), decode=Decode.SPIKE_COUNT),
        )
    )


def _locked(values: NDArray[Any], rng: np.random.Generator) -> NDArray[Any]:
    """The same numbers, which in two of three cases nobody can write."""
    locked = np.broadcast_to(values[:1], values.shape) if rng.random() < 0.3 else values.copy()
    locked.flags.writeable = bool(locked.flags.writeable and rng.random() < 0.5)
    return locked


def _senders(name: str, inputs: tuple[str, ...], shape: tuple[int, ...]) -> ir.FixedLif:
    """Neurons that send as many spikes as they can whenever they are driven."""
    fields: dict[str, Any] = {"du": 4095, "dv": 4096 - 1, "vth": 0, "bias_mantissa": 0, "bias_exponent": 0}
    arrays = {
        field: np.full(shape, value) for field, value in (fields | {"scale": 1, "reset_amount": 1}).items()
    }
    origin = Origin.whole(name, int(np.prod(shape)))
    return ir.FixedLif(
        name=name, inputs=inputs, origin=origin, reset=Reset.SUBTRACT, max_spikes=255, **arrays
    )


def _counts() -> Graph:
    """Counts of 255, pooled to 1,020, through the largest weights of every kind of connection, and back.

    The sums of `deep` reach 40 * 254 * 1,020, above 2^23, and wrap.
    """
    kernel = np.full((70, 40, 1, 1), 254, np.int32)
    kernel[1::2] *= -1
    dense = np.full((5, 640), 254, np.int32) * np.array([[1], [1], [-1], [1], [-1]], np.int32)
    mixed: dict[str, Any] = {"exponent": 0, "sign_mode": SignMode.MIXED}
    ones = np.full((40, 1, 1, 1), 255, np.int32)
    return Graph(
        (
            ir.Input(name="x", shape=(1, 4, 4)),
            ir.FixedConv2d(name="c", inputs=("x",), weights=ones, exponent=7, sign_mode=SignMode.EXCITATORY),
            _senders("maps", ("c",), (40, 4, 4)),
            ir.SumPool2d(name="sum", inputs=("maps",), kernel=(2, 2), stride=(2, 2)),
            ir.FixedConv2d(name="deep", inputs=("sum",), weights=kernel, **mixed),
            _senders("images", ("deep",), (70, 2, 2)),
            fixed_dense("all", "maps", dense),
            ir.Delay(name="back", inputs=("flat",), shape=(5,), edge=EdgeKind.GRADED),
            fixed_dense("listed", "back", csr_array(np.diag([254, 254, 2, 254, 2])), exponent=-3),
            fixed_dense("few", "images", csr_array(np.eye(5, 280, dtype=np.int32) * 254)),
            _senders("flat", ("all", "listed", "few"), (5,)),
            ir.Output(name="o", inputs=("flat",), decode=Decode.SPIKE_COUNT),
        )
    )


@pytest.mark.parametrize("tensors", [False, True])
def test_counts_and_their_sums_are_exact_where_all_neurons_send_the_most(tensors: bool) -> None:
    graph, x = _counts(), np.ones((3, 6, 1, 4, 4), bool)
    x[1, :, :, 2:] = 0
    expected = reference.run(graph, x)
    assert all(spikes.dtype == np.uint8 and spikes.max() == 255 for spikes in expected.spikes.values())
    got = EmulatorProgram(graph, "cpu", tensors=tensors).run(x, record=QUANTITIES)
    assert first_mismatch(expected, got) is None
    assert not CompiledNetwork.of(graph).loops
