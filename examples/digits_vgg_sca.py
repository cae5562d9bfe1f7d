"""Train a convolutional network on digits while its channels are pruned, compile the rest, run it on Lava.

Run it with `python examples/digits_vgg_sca.py`; it takes about a minute and a half. With `--network FOLDER`
the pruned network is kept there, and a second run takes it from there instead of training.
"""

import argparse
from pathlib import Path

import numpy as np
import torch

import toolchain
from toolchain.data import Images, as_pictures, load_digits
from toolchain.execution.stimulus import Stimulus
from toolchain.fidelity.cost import of_layers
from toolchain.models import POOL, FeedForward, InputCode, VggShape, build_vgg
from toolchain.pruning import ChannelPruning, Masking, ScaOptions
from toolchain.pruning.channel_report import write_channel_report
from toolchain.training import FitOptions, Optimizer, fit, load_feed_forward, save_feed_forward


def main(epochs: int, lava_images: int, report: Path | None, folder: Path | None) -> None:
    """Train and prune, or read what was trained; compile and compare; print what came out."""
    torch.set_num_threads(1)
    images = as_pictures(load_digits(test_fraction=0.3, seed=0))
    if folder is not None and folder.exists():
        network = load_feed_forward(folder)
    else:
        network = trained_and_pruned(images, epochs, report)
        if folder is not None:
            save_feed_forward(network, folder)

    build = toolchain.compile(
        network,
        Stimulus({"input": images.test}, images.test_labels),
        target="lava",
        calibration=images.train[:256],
        classes=images.classes,
    )
    judgement = toolchain.compare(build, exact=("lava",), samples=lava_images)
    judgement.require_exact()
    comparison = judgement.comparison
    print(f"accuracy: float {comparison.float_accuracy:.2f} %, integers {comparison.fixed_accuracy:.2f} %")
    for name, layer in of_layers(judgement.costs[1], build.fixed_graph).items():
        print(f"  {name}: {layer['synaptic_operations']:,.0f} synaptic operations per image")
    print(judgement.sentences()[0])


def trained_and_pruned(images: Images, epochs: int, report: Path | None) -> FeedForward:
    """Return a network that lost three quarters of its channels while it was trained."""
    # Seventeen grey levels: five bits say everything, and leave the weights more room than eight.
    shape = VggShape(plan=(64, 64, POOL, 128, 128, POOL), image=(1, 8, 8), input_code=InputCode(16.0, 5))
    network = build_vgg(shape, torch.Generator().manual_seed(0))

    pruning = ChannelPruning(network, ScaOptions(sparsity=0.75, masking=Masking.STRICT))
    options = FitOptions(
        epochs, batch_size=32, learning_rate=0.05, gradient_clip=np.inf, optimizer=Optimizer.SGD
    )
    fit(network, images.train, images.train_labels, options, seed=0, callbacks=(pruning,))
    small = pruning.compact(network)
    if report is not None:
        write_channel_report(report, "Channels of a network that reads digits", network, pruning)

    before, after = (sum(p.numel() for p in each.parameters()) for each in (network, small))
    print(f"parameters: {before:,} -> {after:,}")
    for name, mask in pruning.masks.items():
        print(f"  {name}: {mask.sum()} of {len(mask)} channels")
    return small


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--epochs", type=int, default=50)
    parser.add_argument("--lava-images", type=int, default=8)
    parser.add_argument("--report", type=Path, help="write a page with the course of the pruning")
    parser.add_argument("--network", type=Path, help="folder of the pruned network")
    arguments = parser.parse_args()
    main(arguments.epochs, arguments.lava_images, arguments.report, arguments.network)
