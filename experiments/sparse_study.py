"""Sparse training against chance: equal numbers of synapses, equal epochs, paired seeds.

Every arm trains for the same number of epochs with the settings of its task (`experiments/tasks`), which were
not tuned for any arm. `static` is chance: synapses drawn before the training. `lnp` and `random` prune the
recurrent synapses alone, before the training, and keep all neurons. Test samples are looked at once, after
training. Run it with `make sparse-study`, or a part of it with `--task digits_rows --seed 0`; `--data`, or
PUMICE_DATA, names the folder of published data. `sparse_tables.py` writes `docs/studies/sparse.md`.
"""

from collections.abc import Iterator, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from study import Campaign, Given, Key, Row, carry_out

from toolchain.files.toml import read_toml
from toolchain.workflow.compare import compare_build
from toolchain.workflow.compile import compile_run
from toolchain.workflow.experiment import parse_experiment
from toolchain.workflow.sections.model import RecurrentModel
from toolchain.workflow.train import train

SEEDS = 8
TASKS = {
    "digits_rows": "digits, row by row",
    "nmnist_recurrent": "N-MNIST",
    "braille": "Braille letters",
    "spoken_digits": "spoken digits",
    "spoken_wide": "spoken digits, wide",
}
SEEDS_OF = {task: SEEDS if task == "digits_rows" else 5 for task in TASKS}
FRACTIONS = (0.2, 0.1, 0.05, 0.02, 0.01)
WIDE = ("spoken_wide",)
WHOLE, CHANCE = "whole", "static"
SPARSE = (CHANCE, "gradual", "set", "rigl", "deep_rewiring", "snip", "synflow")
LAYERS = {"allocation": "erdos_renyi", "price": "synapse"}
VARIANTS: dict[str, dict[str, str]] = {
    "gradual": {"method": "gradual"} | LAYERS,
    "gradual_global": {"method": "gradual"} | LAYERS | {"allocation": "global"},
    "gradual_operations": {"method": "gradual"} | LAYERS | {"price": "operations"},
    "gradual_global_operations": {"method": "gradual", "allocation": "global", "price": "operations"},
    "rigl_operations": {"method": "rigl", "price": "operations"},
    "snip_operations": {"method": "snip", "price": "operations"},
}
"""Arms that are a method with other options than its own."""
AHEAD = ("gradual", "rigl", "gradual_global_operations")
BEFORE = ("random", "lnp")
ARMS = {
    WHOLE: "not pruned",
    CHANCE: "at random (static)",
    "gradual": "gradual",
    "set": "SET",
    "rigl": "RigL",
    "deep_rewiring": "deep rewiring",
    "snip": "SNIP",
    "synflow": "SynFlow",
    "gradual_global": "gradual, one threshold (LAMP)",
    "gradual_operations": "gradual, by operations",
    "gradual_global_operations": "gradual, one threshold, by operations",
    "rigl_operations": "RigL, by operations",
    "snip_operations": "SNIP, by operations",
    "random": "recurrent only, at random",
    "lnp": "recurrent only, LNP",
}


def points(seeds: int) -> Iterator[Key]:
    """Return the points of some seeds: task, arm, share of the synapses, seed."""
    for seed in range(seeds):
        for task, most in SEEDS_OF.items():
            if seed < most:
                yield task, WHOLE, 1.0, seed
                for fraction in FRACTIONS:
                    for arm in arms_at(task, fraction):
                        yield task, arm, fraction, seed


def arms_at(task: str, fraction: float) -> Sequence[str]:
    """Return the arms of a task at a share of the synapses.

    The smallest task has them all. The others have chance and the three that were ahead on the validation
    part of that task; with a tenth of the synapses chance alone, for its curve. Wide networks are there for
    the question how few synapses they need.
    """
    if task in WIDE:
        return AHEAD if fraction == 0.02 else ()
    if task != "digits_rows":
        return {0.2: (), 0.1: (CHANCE,)}.get(fraction, (CHANCE, *AHEAD))
    if fraction > 0.05:
        return CHANCE, *AHEAD[:1]
    if fraction < 0.02:
        return CHANCE, *AHEAD
    both = (*SPARSE, *VARIANTS) if fraction < 0.05 else (*SPARSE, *VARIANTS, *BEFORE)
    return tuple(dict.fromkeys(both))


def pruning_of(arm: str, fraction: float, neurons: int) -> Any:
    """Return what stands under `[pruning]` of an arm."""
    if arm == WHOLE:
        return False
    if arm in BEFORE:
        return {"method": arm, "neurons": neurons, "synapse_fraction": fraction, "baseline": False}
    return VARIANTS.get(arm, {"method": arm}) | {"fraction": fraction, "baseline": False}


def measured(key: Key, given: Given) -> Row:
    """Train, compile and compare; return the figures."""
    task, arm, fraction, seed = key
    document = read_toml(Path(__file__).parent / "tasks" / f"{task}.toml", "experiment file")
    if "path" in document["data"]:
        document["data"]["path"] = str(given.data / document["data"]["path"])
    model = parse_experiment(document | {"pruning": False}).model
    if not isinstance(model, RecurrentModel):
        raise TypeError(f"'{task}' has no recurrent network")
    document["pruning"] = pruning_of(arm, fraction, model.neurons)
    experiment = parse_experiment(document | {"seed": seed})
    with TemporaryDirectory() as folder:
        run = train(experiment, Path(folder) / "run")
        judgement = compare_build(compile_run(Path(folder) / "run", target="emulator"))
    comparison, (cost, _) = judgement.comparison, judgement.costs
    return {
        "validation": run.history.validation,
        "float": comparison.float_accuracy,
        "integers": comparison.fixed_accuracy,
        "spike_f1": comparison.spike_f1,
        "synapses": sum(cost.synapses.values()),
        "operations": cost.total_operations,
    }


CAMPAIGN = Campaign(Path(__file__), ("task", "arm", "fraction", "seed"), points, measured, seeds=SEEDS)


if __name__ == "__main__":
    carry_out(CAMPAIGN)
