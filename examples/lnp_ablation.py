"""The ablation of the LNP paper (its figure 13): which step does what to size, activity and spectrum.

An untrained network is pruned with steps left out, from the dense network A to all four steps E. Nothing
is trained, so it takes seconds; `make lnp-study` has the accuracies. Operations are those of the recurrent
synapses under noise. Run it with `python examples/lnp_ablation.py`; `--report FOLDER` writes one page per
variant.
"""

import argparse
from pathlib import Path

import numpy as np

from toolchain.models import HrsnnShape, build_hrsnn
from toolchain.pruning import LnpOptions, PruningStep, Selection, pool_of, prune_pool
from toolchain.pruning.lnp import NoiseDrive, SpectrumOptions, TimeScaleOptions, lyapunov_spectrum
from toolchain.pruning.lnp.noise import drive_with_noise
from toolchain.pruning.report import write_pruning_report

ONE, TWO, THREE, FOUR = (
    PruningStep.NOISE,
    PruningStep.CENTRALITY,
    PruningStep.DELOCALIZATION,
    PruningStep.TIME_SCALES,
)
VARIANTS = {
    "B: I": {ONE},
    "C: I, II": {ONE, TWO},
    "D: I, II, III": {ONE, TWO, THREE},
    "E: I, II, III, IV": {ONE, TWO, THREE, FOUR},
    "without II": {ONE, THREE, FOUR},
    "without III": {ONE, TWO, FOUR},
    "without II, III": {ONE, FOUR},
}


def main(neurons: int, iterations: int, evaluations: int, folder: Path | None) -> None:
    """Prune with every set of steps and print a table."""
    shape = HrsnnShape(channels=8, classes=10, neurons=neurons, density=0.1, gain=20.0)
    dense = pool_of(build_hrsnn(shape, np.random.default_rng(0)), "hidden")
    drive = NoiseDrive()
    print(f"{'variant':<20}{'neurons':>9}{'synapses':>10}{'rate':>9}{'ops/step':>12}{'largest exponent':>18}")

    def show(name: str, selection: Selection) -> None:
        pool = selection.pool
        response = drive_with_noise(pool, drive, np.random.default_rng(1))
        spectrum = lyapunov_spectrum(pool, SpectrumOptions(16), drive, np.random.default_rng(1))
        print(
            f"{name:<20}{pool.size:>9}{pool.synapses:>10}{response.rate:>9.4f}{response.operations:>12.1f}"
            f"{spectrum.largest:>18.4f}"
        )

    show("A: dense", Selection(dense, np.arange(dense.size)))
    for name, steps in VARIANTS.items():
        options = LnpOptions(
            round(0.43 * neurons),
            0.06,
            iterations,
            frozenset(steps),
            time_scales=TimeScaleOptions(evaluations=evaluations),
        )
        result = prune_pool(dense, options, np.random.default_rng(0))
        selection = Selection(result.pool, result.indices)
        show(name, selection)
        if folder is not None:
            page = folder / f"{name.replace(':', '').replace(', ', '-').replace(' ', '-')}.html"
            write_pruning_report(page, f"LNP, {name}", dense, selection, result.records)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--neurons", type=int, default=512)
    parser.add_argument("--iterations", type=int, default=10)
    parser.add_argument("--evaluations", type=int, default=30)
    parser.add_argument("--report", type=Path, default=None)
    arguments = parser.parse_args()
    main(arguments.neurons, arguments.iterations, arguments.evaluations, arguments.report)
