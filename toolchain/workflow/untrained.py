"""The network of an experiment before it is pruned and trained."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Final

import numpy as np
import torch

from toolchain.data.codes.graded import input_code_of, input_code_of_all
from toolchain.errors import ExperimentError, FrontendError
from toolchain.frontends import from_torch
from toolchain.models import (
    FeedForward,
    HrsnnShape,
    InputCode,
    Network,
    NeuronShape,
    PreResNetShape,
    VggShape,
    build_hrsnn,
    build_preresnet,
    build_vgg,
)
from toolchain.reset import Reset
from toolchain.workflow.experiment import Experiment, recurrent_shape
from toolchain.workflow.own_network import OwnNetwork, own_network
from toolchain.workflow.prepare import WEIGHTS_STREAM, EncodedData
from toolchain.workflow.sections.model import (
    ConvolutionalModel,
    OwnModel,
    PreResNetModel,
    RecurrentModel,
    VggModel,
)

_LOOKED_AT: Final = 256
"""Samples that are looked at closely to decide how graded values become integers."""


def untrained_network(experiment: Experiment, encoded: EncodedData) -> Network | FeedForward | OwnNetwork:
    """Return the network before pruning and training.

    Raises:
        ExperimentError: The samples do not suit the network.
    """
    match experiment.model:
        case RecurrentModel() as model:
            return _recurrent(experiment, model, encoded)
        case VggModel() | PreResNetModel() as model:
            return _convolutional(experiment, model, encoded)
        case OwnModel() as model:
            return own_network(model, encoded, experiment.seed)


def shape_of(model: RecurrentModel, encoded: EncodedData) -> HrsnnShape:
    """Return what defines the untrained recurrent network for a data set, but its random numbers."""
    return recurrent_shape(model, channels=encoded.encoder.channels, classes=len(encoded.data.classes))


def _recurrent(experiment: Experiment, model: RecurrentModel, encoded: EncodedData) -> Network:
    rng = np.random.default_rng([experiment.seed, WEIGHTS_STREAM])
    network = build_hrsnn(shape_of(model, encoded), rng, readout=model.readout)
    for name in network.layers:
        network.layer(name).slope = experiment.surrogate_slope
    network.input_code = _input_code(encoded)
    return network


def _input_code(encoded: EncodedData) -> InputCode | None:
    """Return the integers that stand for graded values; None for spikes."""
    train = encoded.train
    if np.asarray(train[0]).dtype == np.bool_:
        return None
    if encoded.encoder.input_code is not None:
        return encoded.encoder.input_code
    if isinstance(train, np.ndarray):
        return input_code_of_all(train, _LOOKED_AT)
    # Each would have to be encoded first: some, evenly spaced, stand for all.
    places = np.unique(np.linspace(0, len(train) - 1, min(_LOOKED_AT, len(train))).astype(np.int64))
    return input_code_of(np.stack([np.asarray(train[int(place)]) for place in places]))


def _convolutional(
    experiment: Experiment, model: VggModel | PreResNetModel, encoded: EncodedData
) -> FeedForward:
    features = encoded.encoder.features
    if len(features) != len(("C", "H", "W")):
        raise ExperimentError(
            "model.name",
            f"'{model.name}' takes pictures or events, [channels, rows, columns]; a step of "
            f"'{encoded.data.name}' has the shape {list(features)}",
        )
    channels, height, width = features
    common: dict[str, Any] = {
        "image": (channels, height, width),
        "classes": len(encoded.data.classes),
        "steps": encoded.encoder.steps,
        "input_code": _input_code(encoded),
        "neurons": _neurons(model, experiment.surrogate_slope),
    }
    generator = torch.Generator().manual_seed(experiment.seed)
    try:
        if isinstance(model, VggModel):
            return _compilable(build_vgg(_vgg(model, common), generator))
        shape = PreResNetShape(
            widths=model.widths,
            blocks=model.blocks,
            gamma=model.gamma,
            spiking_shortcut=model.spiking_shortcut,
            **common,
        )
        return _compilable(build_preresnet(shape, generator))
    except FrontendError as error:
        key = "model.layers" if isinstance(model, VggModel) else "model.widths"
        raise ExperimentError(key, str(error)) from None


def _compilable(network: FeedForward) -> FeedForward:
    """Return a network that has a graph; what has none is said before the training, not after it."""
    from_torch(network)
    return network


def _neurons(model: ConvolutionalModel, slope: float) -> NeuronShape:
    return NeuronShape(
        vth=model.threshold,
        tau=model.tau_steps,
        surrogate=model.surrogate,
        slope=slope,
        reset=Reset(model.reset),
    )


def _vgg(model: VggModel, common: Mapping[str, Any]) -> VggShape:
    if model.plan is not None:
        return VggShape(plan=model.plan, hidden=model.hidden or (), **common)
    named = VggShape.named(str(model.layers), width=model.width)
    return replace(named, hidden=named.hidden if model.hidden is None else model.hidden, **common)
