"""Take a network in NIR, as snnTorch's exporter gives it, to Lava, and on to Norse.

Its neurons have `reset_mechanism="zero"` and `reset_delay=False`, which the file does not say, and which is
what Norse's neurons do, too. For snnTorch's defaults `reset` is `subtract-delayed`.

Run it with `python examples/nir_to_lava.py`; it takes some seconds.
"""

import argparse
import tempfile
from pathlib import Path

import nir
import numpy as np

import toolchain
from toolchain.execution.stimulus import Stimulus

STEP = 1e-4
"""Seconds that snnTorch takes for a step."""
RATE = 0.3
"""Spikes per input and step."""


def exported(rng: np.random.Generator, inputs: int = 24, neurons: int = 48) -> nir.NIRGraph:
    """Return what `snntorch.export_nir.export_to_nir` gives for Linear, RSynaptic and Linear, Leaky."""

    def affine(targets: int, sources: int, gain: float = 1.0) -> nir.Affine:
        weights = gain * rng.normal(size=(targets, sources)) / np.sqrt(sources)
        return nir.Affine(weights, 0.02 * rng.normal(size=targets))

    ones, ten = np.ones(neurons), np.ones(10)
    current, potential, out = STEP / 0.4, STEP / 0.1, STEP / 0.05
    hidden = nir.CubaLIF(
        current * ones, potential * ones, 10 * ones, 0 * ones, 2 * ones, 0 * ones, w_in=2.5 * ones
    )
    nodes: dict[str, nir.NIRNode] = {
        "input": nir.Input({"input": np.array([inputs])}),
        "fc1": affine(neurons, inputs),
        "rec.lif": hidden,
        "rec.w_rec": affine(neurons, neurons, 0.2),
        "fc2": affine(10, neurons),
        "lif2": nir.LIF(out * ten, 20 * ten, 0 * ten, 1.5 * ten, 0 * ten),
        "output": nir.Output({"output": np.array([10])}),
    }
    edges = [("input", "fc1"), ("fc1", "rec.lif"), ("rec.lif", "rec.w_rec"), ("rec.w_rec", "rec.lif")]
    edges += [("rec.lif", "fc2"), ("fc2", "lif2"), ("lif2", "output")]
    return nir.NIRGraph(nodes, edges)


def main(lava_samples: int) -> None:
    """Write a file, compile it, compare with Lava, write it for another framework; print what came out."""
    rng = np.random.default_rng(0)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        nir.write(folder / "net.nir", exported(rng))

        samples = Stimulus.of(rng.random((32, 50, 24)) < RATE)
        build = toolchain.compile_file(
            folder / "net.nir", convention="snntorch", reset="zero", target="lava", stimulus=samples
        )
        for note in build.notes:
            print(f"note: {note}")
        judgement = toolchain.compare(build, exact=("lava",), samples=lava_samples)
        judgement.require_exact()
        print(f"spike F1 of the integers: {judgement.comparison.spike_f1:.3f}")
        print(judgement.sentences()[0])

        toolchain.export(build, folder / "for-norse", "nir", convention="norse")
        print(f"for Norse: {', '.join(nir.read(folder / 'for-norse' / 'network.nir').nodes)}")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--lava-samples", type=int, default=4)
    main(parser.parse_args().lava_samples)
