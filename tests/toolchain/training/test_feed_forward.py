"""Feed-forward networks in the training loop and on disk."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from tests.networks import images, part, small_preresnet, small_vgg
from toolchain.errors import CorruptArtifactError, FormatVersionError, MissingFileError, TrainingError
from toolchain.models import FeedForward, NetworkBlock, NeuronShape, Spiking
from toolchain.pruning import channel_layers, compact_channels
from toolchain.reset import Reset
from toolchain.training import (
    Callback,
    FitOptions,
    LearningRateSchedule,
    Optimizer,
    fit,
    load_feed_forward,
    save_feed_forward,
)


def _task(network: FeedForward, samples: int = 48) -> tuple[np.ndarray, np.ndarray]:
    labels = np.random.default_rng(0).integers(0, 2, samples)
    x = images(network, samples).float().numpy() * 0.3
    x[labels == 1, :, :, : network.shape[2] // 2] += 0.7
    return x, labels


@pytest.mark.parametrize("optimizer", Optimizer)
@pytest.mark.parametrize("schedule", LearningRateSchedule)
def test_images_are_learnt(optimizer: Optimizer, schedule: LearningRateSchedule) -> None:
    network = small_vgg()
    rate = 0.01 if optimizer is Optimizer.ADAMW else 0.1
    options = FitOptions(8, 16, rate, device="cpu", optimizer=optimizer, schedule=schedule)
    records = fit(network, *_task(network), options, seed=0)
    assert records[-1].loss < 0.8 * records[0].loss
    assert records[-1].accuracy == 100
    assert not network.training


def test_the_rate_falls_by_ten_after_each_third() -> None:
    options = FitOptions(9, 1, 0.1, schedule=LearningRateSchedule.THIRDS)
    assert [round(options.rate(part), 6) for part in (0, 0.3, 0.34, 0.66, 0.67, 1.0)] == [
        0.1,
        0.1,
        0.01,
        0.01,
        0.001,
        0.001,
    ]


def test_callbacks_are_told_in_order() -> None:
    heard: list[str] = []

    class Listener(Callback):
        def begin(self, network: nn.Module, optimizer: torch.optim.Optimizer, epochs: int) -> None:
            assert optimizer.param_groups
            assert network.training
            heard.append(f"begin {epochs}")

        def after_backward(self, network: nn.Module) -> None:
            assert next(network.parameters()).grad is not None
            heard.append("backward")

        def after_step(self, network: nn.Module) -> None:
            assert network.training
            heard.append("step")

        def after_epoch(self, network: nn.Module, epoch: int) -> None:
            assert network.training
            heard.append(f"epoch {epoch}")

    network = small_vgg()
    fit(network, *_task(network, 32), FitOptions(2, 16, 0.01, device="cpu"), seed=0, callbacks=(Listener(),))
    once = ["backward", "step"] * 2
    assert heard == ["begin 2", *once, "epoch 1", *once, "epoch 2"]


@pytest.mark.parametrize("residual", [False, True])
def test_a_network_comes_back_from_disk_as_it_was(tmp_path: Path, residual: bool) -> None:
    network = small_preresnet() if residual else small_vgg()
    masks = {layer.name: np.arange(layer.channels) % 2 == 0 for layer in channel_layers(network)}
    for original in (network, compact_channels(network, masks)):
        save_feed_forward(original, tmp_path)
        loaded = load_feed_forward(tmp_path)
        assert loaded.blocks == original.blocks
        x = images(network).float()
        with torch.inference_mode():
            assert torch.equal(loaded(x).scores, original(x).scores)


def _edited(folder: Path, **changes: object) -> None:
    path = folder / "network.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))


def test_neurons_of_another_reset_come_back_and_others_have_the_file_they_had(tmp_path: Path) -> None:
    network = small_vgg(neurons=NeuronShape(reset=Reset.SUBTRACT))
    part(network, "parts.spikes1", Spiking).reset_amount = 0.5
    save_feed_forward(network, tmp_path / "subtract")
    loaded = load_feed_forward(tmp_path / "subtract")
    x = images(network).float()
    assert torch.equal(loaded(x).scores, network(x).scores)
    assert loaded.layers["spikes1"].reset_amount == 0.5
    save_feed_forward(small_vgg(), tmp_path / "plain")
    document = json.loads((tmp_path / "plain" / "network.json").read_text())
    rows = [row["arguments"] for row in document["blocks"] if row["type"] == "Spiking"]
    assert {frozenset(row) for row in rows} == {frozenset(("vth", "dv", "slope", "surrogate"))}


def test_files_of_strangers_are_refused(tmp_path: Path) -> None:
    with pytest.raises(MissingFileError):
        load_feed_forward(tmp_path)
    save_feed_forward(small_vgg(), tmp_path)
    document = json.loads((tmp_path / "network.json").read_text())

    _edited(tmp_path, version=2)
    with pytest.raises(FormatVersionError):
        load_feed_forward(tmp_path)
    _edited(tmp_path, version=1, format="other")
    with pytest.raises(CorruptArtifactError, match="not the structure of a pumice feed-forward network"):
        load_feed_forward(tmp_path)
    for change in (
        {"type": "Sequential"},
        {"arguments": document["blocks"][0]["arguments"] | {"out_channels": 2**40}},
        {"arguments": {"device": "cuda"}},
    ):
        blocks = [document["blocks"][0] | change, *document["blocks"][1:]]
        _edited(tmp_path, format="pumice-feed-forward", blocks=blocks)
        with pytest.raises(CorruptArtifactError, match="not (a )?well.formed"):
            load_feed_forward(tmp_path)


def test_a_block_that_cannot_be_saved_is_named(tmp_path: Path) -> None:
    blocks = {NetworkBlock("act", ("input",)): nn.Tanh(), NetworkBlock("end", ("act",)): nn.Linear(2, 2)}
    with pytest.raises(TrainingError, match="block 'act' is a Tanh"):
        save_feed_forward(FeedForward(blocks, shape=(1, 2, 2)), tmp_path)
