"""A trained network of any kind on disk: its two files say which kind it is."""

import json
from pathlib import Path

import torch

from toolchain.files.atomic import write_text
from toolchain.files.documents import format_of
from toolchain.intake import PathText, path_of
from toolchain.ir import Graph
from toolchain.ir.store import GRAPH_FORMAT, graph_document, graph_from
from toolchain.models import FeedForward, Network
from toolchain.training.checkpoint import NETWORK_FILES, network_of, save_network
from toolchain.training.feed_forward_files import FeedForwardDocument, feed_forward_of, save_feed_forward
from toolchain.training.tensor_files import parse_tensors, save_tensors

TrainedNetwork = Network | FeedForward | Graph
"""A module of another framework is kept as its graph, so that no code has to run to read it."""


def save_trained(network: TrainedNetwork, folder: PathText) -> None:
    """Write a network as `NETWORK_FILES` into `folder`; see `save_network` and `save_feed_forward`."""
    match network:
        case FeedForward():
            save_feed_forward(network, folder)
        case Graph():
            document, arrays = graph_document(network)
            structure, numbers = (path_of(folder, "folder") / name for name in NETWORK_FILES)
            save_tensors(numbers, {name: torch.from_numpy(array.copy()) for name, array in arrays.items()})
            write_text(structure, json.dumps(document, indent=2) + "\n")
        case _:
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
    if kind == GRAPH_FORMAT:
        path, tensor_path = (folder / name for name in NETWORK_FILES)
        tensors, _ = parse_tensors(numbers, tensor_path)
        return graph_from(structure, lambda: {name: each.numpy() for name, each in tensors.items()}, path)
    return network_of(structure, numbers, folder)


def scores_of(network: TrainedNetwork) -> int:
    """Return the number of scores that a network gives, one per class."""
    if isinstance(network, FeedForward | Graph):
        return network.scores
    return network.layer(network.output).size
