"""The options of the compiler, quantization-aware training of a build, and the causes of a loss."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import toolchain
from tests.graphs import lif, recurrent, spikes
from toolchain import ir
from toolchain.errors import PreconditionError, UnknownNameError, UsageError
from toolchain.execution.reference import run as run_reference
from toolchain.execution.stimulus import Stimulus
from toolchain.execution.trace import QUANTITIES
from toolchain.fidelity import check_integers, first_mismatch
from toolchain.fixedpoint import weight_granularity
from toolchain.ir import Decode, Graph, load_graph, save_graph
from toolchain.ir.graph import same_structure
from toolchain.ir.matrix import values_of
from toolchain.target.registry import load_target
from toolchain.training import ALL_RULES, FitOptions, Rule
from toolchain.workflow.attribution import ROUNDED, attribute_loss, run_rules
from toolchain.workflow.build_folder import Build
from toolchain.workflow.compare import compare_build
from toolchain.workflow.compile import compile_graph, compile_run
from toolchain.workflow.quantization import Quantization, RepairOptions, parse_bits, repair_build


def _labelled(rng: np.random.Generator, samples: int = 60) -> Stimulus:
    x = spikes(rng, samples, 12, 6)
    return Stimulus({"x": x}, x[:, :, :3].sum(axis=1).argmax(axis=1))


@pytest.fixture
def samples(rng: np.random.Generator) -> Stimulus:
    return _labelled(rng)


def _build(rng: np.random.Generator, samples: Stimulus, **options: Any) -> Build:
    return compile_graph(
        recurrent(rng),
        stimulus=samples.take(slice(40, 60)),
        calibration=samples.take(slice(0, 40)),
        quantization=Quantization(**options),
    )


_QUICK = RepairOptions(fit=FitOptions(5, 20, 0.05, device="cpu"))


@pytest.mark.parametrize("texts", [["16"], ["1"], ["x"], ["encode="], ["encode=eight"]])
def test_bits_that_are_no_bits_are_refused(texts: list[str]) -> None:
    with pytest.raises(UsageError, match=r"weight bits 2 \.\. 15 or NAME=BITS"):
        parse_bits(texts)
    assert parse_bits([]) == 8
    assert parse_bits(["3"]) == 3


def test_bits_of_a_connection_that_does_not_exist_list_those_that_do(
    rng: np.random.Generator, samples: Stimulus
) -> None:
    with pytest.raises(UnknownNameError, match="did you mean 'encode'"):
        _build(rng, samples, weight_bits={"encod": 4})
    build = _build(rng, samples, weight_bits={"encode": 4})
    assert build.quantization.options is not None
    assert build.quantization.options.weight_bits == {"encode": 4}
    assert build.quantization.connections["encode.excitatory"].weight_bits == 4


def test_one_scale_per_population_is_one_scale(rng: np.random.Generator, samples: Stimulus) -> None:
    build = _build(rng, samples, per_neuron=False)
    hidden = build.fixed_graph["hidden"]
    assert isinstance(hidden, ir.FixedLif)
    assert np.unique(hidden.scale).size == 1
    compare_build(build)


def test_profiles_reach_the_integers(rng: np.random.Generator, samples: Stimulus) -> None:
    build = _build(rng, samples, threshold_profiles=3, decay_profiles=4, tau_error=5.0)
    hidden = build.fixed_graph["hidden"]
    assert isinstance(hidden, ir.FixedLif)
    assert len(np.unique(hidden.vth)) <= 3
    assert build.quantization.populations["hidden"].decays <= 4
    compare_build(build)
    with pytest.raises(PreconditionError, match="tau_error"):
        _build(rng, samples, decay_profiles=1, tau_error=0.01)


def test_training_with_the_integers_repairs_a_build_and_keeps_it_exact(
    rng: np.random.Generator, samples: Stimulus
) -> None:
    build = _build(rng, samples, weight_bits=2)
    again = repair_build(build, samples.take(slice(0, 40)), _QUICK)
    check_integers(again.float_graph, again.fixed_graph)
    assert again.facts.repair is not None
    assert again.facts.repair.epochs == 5
    for before, after in zip(build.fixed_graph.synapses, again.fixed_graph.synapses, strict=True):
        assert isinstance(before, ir.FixedDense)
        assert isinstance(after, ir.FixedDense)
        assert (before.exponent, before.sign_mode, before.weight_bits) == (
            after.exponent,
            after.sign_mode,
            after.weight_bits,
        )
        assert (values_of(after.weights) % weight_granularity(after.sign_mode, 2) == 0).all()
    x = samples.take(slice(0, 3))
    emulated = load_target("emulator").build(again.fixed_graph).run(x, record=QUANTITIES)
    assert first_mismatch(run_reference(again.fixed_graph, x), emulated) is None
    assert compare_build(again, x, exact=("lava",), samples=3).exact["lava"].equal
    judged = [compare_build(each, samples).comparison.fixed_accuracy for each in (build, again)]
    assert judged[0] is not None
    assert judged[1] is not None
    assert judged[1] > judged[0]


@pytest.mark.slow
def test_wide_weights_train_and_run_as_two_synapses(rng: np.random.Generator, samples: Stimulus) -> None:
    build = _build(rng, samples, weight_bits=13)
    assert any(node.name.endswith(".coarse") for node in build.fixed_graph.synapses)
    again = repair_build(build, samples.take(slice(0, 40)), _QUICK)
    x = samples.take(slice(0, 3))
    for each in (build, again):
        check_integers(each.float_graph, each.fixed_graph)
        assert compare_build(each, x, exact=("lava",), samples=3).exact["lava"].equal


def test_a_repaired_build_is_saved_and_read_as_it_was(
    rng: np.random.Generator, samples: Stimulus, tmp_path: Path
) -> None:
    build = toolchain.repair(_build(rng, samples), samples, _QUICK)
    save_graph(build.fixed_graph, tmp_path / "fixed")
    assert same_structure(load_graph(tmp_path / "fixed"), build.fixed_graph)


def test_training_with_integers_needs_labels(rng: np.random.Generator, samples: Stimulus) -> None:
    with pytest.raises(UsageError, match="needs labels"):
        repair_build(_build(rng, samples), replace(samples, labels=None))


def test_training_with_integers_reads_valid_steps_only(rng: np.random.Generator, samples: Stimulus) -> None:
    lengths = np.arange(60) % 12 + 1
    whole, cut = (
        repair_build(_build(np.random.default_rng(3), samples), replace(samples, lengths=each), _QUICK)
        for each in (None, lengths)
    )
    assert whole.facts.repair is not None
    assert cut.facts.repair is not None
    assert whole.facts.repair.loss != cut.facts.repair.loss


def test_shared_decays_are_not_compensated_apart(rng: np.random.Generator) -> None:
    """Small states, whose decays would each be lowered by their own mean."""
    x = spikes(rng, 20, 60, 4)
    nodes = (
        ir.Input(name="x", shape=(4,)),
        ir.Dense(name="w", inputs=("x",), weights=np.diag([1.0, 10.0, 60.0, 250.0])),
        lif("p", ("w",), 4, vth=4000.0, dv=np.array([0.05, 0.051, 0.052, 0.053])),
        ir.Output(name="o", inputs=("p",), decode=Decode.SPIKE_COUNT),
    )
    counts = []
    for profiles in (None, 1):
        chosen = Quantization(decay_profiles=profiles, per_neuron=False, split_signs=False)
        build = compile_graph(
            Graph(nodes), stimulus=Stimulus.of(x), calibration=Stimulus.of(x), quantization=chosen
        )
        counts.append(build.quantization.populations["p"].decays)
        compare_build(build)
    assert counts == [4, 1]


def test_a_run_folder_is_compiled_with_a_few_epochs_of_repair(small_run: Path) -> None:
    build = compile_run(small_run, target="emulator", quantization=Quantization(weight_bits=3), qat_epochs=1)
    assert build.facts.repair is not None
    assert build.facts.repair.epochs == 1
    compare_build(build)


def test_all_rules_are_the_build_and_no_rules_are_the_float_graph(
    rng: np.random.Generator, samples: Stimulus
) -> None:
    build, x = _build(rng, samples, weight_bits=4), samples.take(slice(0, 5))
    fixed, real = (run_reference(graph, x) for graph in (build.fixed_graph, build.float_graph))
    integers, exact = (run_rules(build, x, rules) for rules in (ALL_RULES, frozenset[Rule]()))
    for name in fixed.spikes:
        assert np.array_equal(fixed.spikes[name], integers.spikes[name])
        assert np.array_equal(fixed.v[name], integers.v[name])
        assert np.array_equal(real.spikes[name], exact.spikes[name])


def test_the_cause_that_was_put_in_is_the_cause_that_is_found(
    rng: np.random.Generator, samples: Stimulus
) -> None:
    weights = attribute_loss(_build(rng, samples, weight_bits=2))
    assert weights.ranked[0] == Rule.WEIGHTS
    assert Rule.BIAS not in weights.alone
    assert Rule.INPUT not in weights.alone
    assert weights.together.spike_f1 == pytest.approx(weights.rounded.spike_f1, abs=0.1)
    assert weights.arithmetic.spike_f1 > weights.rounded.spike_f1
    assert weights.sentence().startswith(f"All rules of the integers, on {weights.samples} samples: spike F1")
    decays = attribute_loss(_build(rng, samples, decay_profiles=1, tau_error=100.0))
    assert decays.ranked[0] == Rule.DECAYS
    assert weights.alone["weights"].spike_f1 < 1
    assert Rule.TRUNCATION not in ROUNDED


def test_causes_stand_in_the_judgement_only_if_asked_for(rng: np.random.Generator, samples: Stimulus) -> None:
    build, told = _build(rng, samples), []
    judged = compare_build(build, attribute=True, progress=lambda stage, done, _: told.append((stage, done)))
    assert judged.attribution is not None
    assert judged.attribution.samples == 20
    assert ("split the loss by cause", 0) in told
    assert compare_build(build).document().attribution is None
