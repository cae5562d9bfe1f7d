"""A trained network of any kind on disk: its two files say which kind it is."""

from pathlib import Path

from toolchain.files.documents import format_of
from toolchain.intake import PathText
from toolchain.models import FeedForward, Network
from toolchain.training.checkpoint import NETWORK_FILES, network_of, save_network
from toolchain.training.feed_forward_files import FeedForwardDocument, feed_forward_of, save_feed_forward

TrainedNetwork = Network | FeedForward


def save_trained(network: TrainedNetwork, folder: PathText) -> None:
    """Write a network as `NETWORK_FILES` into `folder`; see `save_network` and `save_feed_forward`."""
    if isinstance(network, FeedForward):
        save_feed_forward(network, folder)
    else:
        save_network(network, folder)


def trained_of(structure: bytes, numbers: bytes, folder: Path) -> TrainedNetwork:
    """Return the network whose two files in `folder` hold these bytes.

    Raises:
        FormatVersionError: It was written by another version of the format.
        CorruptArtifactError: It is not a network.
    """
    kind = format_of(structure, folder / NETWORK_FILES[0])
    if kind == FeedForwardDocument.FORMAT:
        return feed_forward_of(structure, numbers, folder)
    return network_of(structure, numbers, folder)


def scores_of(network: TrainedNetwork) -> int:
    """Return the number of scores that a network gives, one per class."""
    if isinstance(network, FeedForward):
        return network.scores
    return network.layer(network.output).size
