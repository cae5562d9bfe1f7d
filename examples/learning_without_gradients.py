"""Learn digits without gradients: synapses inside the network by STDP, the read-out by logistic regression.

Spike-timing-dependent plasticity strengthens a recurrent synapse whose source fires before its target, and
sees no labels. Only the read-out is fitted to them.

Run it with `python examples/learning_without_gradients.py`.
"""

import argparse

import numpy as np

import toolchain
from toolchain.data import Encoding, encode, load_digits
from toolchain.execution.stimulus import Stimulus
from toolchain.models import HrsnnShape, Readout, build_hrsnn
from toolchain.training import StdpOptions, fit_linear_layer, learn_stdp


def main(neurons: int, images: int, lava_images: int) -> None:
    """Learn, compile and compare; print what came out."""
    rng = np.random.default_rng(0)
    digits = load_digits(test_fraction=0.3, seed=0)
    train = encode(digits.train[:images], Encoding.RATE, 16, rng=rng)
    test = encode(digits.test, Encoding.RATE, 16, rng=rng)
    labels = digits.train_labels[:images]

    shape = HrsnnShape(channels=64, classes=10, neurons=neurons, input_density=0.2)
    network = build_hrsnn(shape, rng, readout=Readout.LAST_V)
    learn_stdp(network, "hidden", train, StdpOptions())
    fit_linear_layer(network, "hidden", train, labels)

    held_out = Stimulus({"input": test}, digits.test_labels)
    build = toolchain.compile(network, held_out, target="lava", calibration=train, classes=digits.classes)
    judgement = toolchain.compare(build, exact=("lava",), samples=lava_images)
    comparison = judgement.comparison
    print(f"accuracy: float {comparison.float_accuracy:.2f} %, integers {comparison.fixed_accuracy:.2f} %")
    print(judgement.sentences()[0])
    judgement.require_exact()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--neurons", type=int, default=256)
    parser.add_argument("--images", type=int, default=600, help="images to learn from")
    parser.add_argument("--lava-images", type=int, default=8)
    arguments = parser.parse_args()
    main(arguments.neurons, arguments.images, arguments.lava_images)
