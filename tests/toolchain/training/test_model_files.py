"""A trained network of any kind is read as what it was written."""

from pathlib import Path

import numpy as np
import pytest
import torch

from toolchain.errors import CorruptArtifactError
from toolchain.frontends import from_torch
from toolchain.ir import Graph
from toolchain.ir.store import graph_document
from toolchain.models import FeedForward, HrsnnShape, Network, VggShape, build_hrsnn, build_vgg
from toolchain.training import NETWORK_FILES, TrainedNetwork, save_trained, scores_of, trained_of


def _networks() -> list[TrainedNetwork]:
    recurrent = build_hrsnn(HrsnnShape(channels=3, classes=4, neurons=7), np.random.default_rng(0))
    shape = VggShape(plan=(2,), image=(1, 4, 4), classes=4)
    return [recurrent, build_vgg(shape, torch.Generator().manual_seed(0)), from_torch(recurrent)]


@pytest.mark.parametrize("kind", range(3))
def test_a_network_comes_back_as_it_was(kind: int, tmp_path: Path) -> None:
    network = _networks()[kind]
    save_trained(network, tmp_path)
    structure, numbers = ((tmp_path / name).read_bytes() for name in NETWORK_FILES)
    back = trained_of(structure, numbers, tmp_path)
    assert type(back) is type(network)
    assert scores_of(back) == 4
    if isinstance(network, Graph):
        assert isinstance(back, Graph)
        (written, arrays), (read, others) = (graph_document(each) for each in (network, back))
        assert written == read
        for name, array in arrays.items():
            assert array.dtype == others[name].dtype
            assert np.array_equal(array, others[name])
        return
    assert isinstance(back, Network | FeedForward)
    for one, other in zip(network.state_dict().values(), back.state_dict().values(), strict=True):
        assert torch.equal(one, other)


@pytest.mark.parametrize("content", [b"", b"[]", b"{", b"3", b'{"format": "else", "version": 1}', b"\xff"])
def test_what_is_no_network_is_refused(content: bytes, tmp_path: Path) -> None:
    save_trained(_networks()[0], tmp_path)
    with pytest.raises(CorruptArtifactError, match="network.json"):
        trained_of(content, (tmp_path / NETWORK_FILES[1]).read_bytes(), tmp_path)
