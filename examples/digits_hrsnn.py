"""The demo through the Python API: an HRSNN learns digits, is pruned, and runs on Lava as integers.

Run it with `python examples/digits_hrsnn.py`; `--epochs 5` is quick and less accurate.
"""

import argparse

import numpy as np

import toolchain
from toolchain.data import Encoding, encode, load_digits
from toolchain.execution.stimulus import Stimulus
from toolchain.models import HrsnnShape, Readout, build_hrsnn
from toolchain.pruning import LnpOptions, prune_recurrent
from toolchain.training import FitOptions, fit


def main(epochs: int, lava_images: int) -> None:
    """Train, prune, compile and compare; print what came out."""
    rng = np.random.default_rng(0)

    # Real digits become spikes: a pixel of grey level g out of 16 fires g times in 16 steps.
    images = load_digits(test_fraction=0.3, seed=0)
    train = encode(images.train, Encoding.RATE, 16, rng=rng)
    test = encode(images.test, Encoding.RATE, 16, rng=rng)

    # A random network of 512 neurons, each with its own time constant ...
    shape = HrsnnShape(channels=64, classes=10, neurons=512, density=0.6, input_density=0.2)
    dense = build_hrsnn(shape, rng, readout=Readout.LAST_V)

    # ... loses most of itself before it has seen any data ...
    network, result = prune_recurrent(dense, "hidden", LnpOptions(neurons=190, synapse_fraction=0.07), rng)
    print(f"pruned to {result.pool.size} neurons and {result.pool.synapses} recurrent synapses")

    # ... and is trained with surrogate gradients.
    options = FitOptions(epochs=epochs, batch_size=32, learning_rate=0.005, label_smoothing=0.1)
    records = fit(network, train, images.train_labels, options, seed=0)
    print(f"trained {epochs} epochs, training accuracy {records[-1].accuracy:.2f} %")

    # Integers for Lava. The training samples show how large currents and potentials become.
    held_out = Stimulus({"input": test}, images.test_labels)
    build = toolchain.compile(
        network, held_out, target="lava", calibration=train[:256], classes=images.classes
    )

    # The float network against its integers on all held-out images, and the integers against Lava: with `==`.
    judgement = toolchain.compare(build, exact=("lava",), samples=lava_images)
    comparison = judgement.comparison
    print(f"accuracy: float {comparison.float_accuracy:.2f} %, integers {comparison.fixed_accuracy:.2f} %")
    print(f"spike F1 between them: {comparison.spike_f1:.4f}")
    print(*judgement.sentences(), sep="\n")
    judgement.require_exact()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--epochs", type=int, default=40)
    parser.add_argument("--lava-images", type=int, default=32)
    arguments = parser.parse_args()
    main(arguments.epochs, arguments.lava_images)
