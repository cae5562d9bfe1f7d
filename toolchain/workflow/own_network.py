"""A network that the user's own code builds: loaded, run on samples, trained as it is, read as a graph."""

import inspect
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from hashlib import sha256
from typing import Any, Final, final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn
from torch.nn.parameter import is_lazy

from toolchain.data.codes.input_encoder import gathered
from toolchain.errors import ExperimentError, FrontendError, ToolchainError
from toolchain.execution.stimulus import Stimulus
from toolchain.frontends import as_model, from_torch
from toolchain.frontends.modules import Recorded, is_recorded, recorded
from toolchain.frontends.modules.learning import learner_of
from toolchain.ir import Graph
from toolchain.models import FeedForward, MaskedSynapses, Network
from toolchain.training.own_module import OwnModule
from toolchain.workflow.build_facts import OwnFacts
from toolchain.workflow.import_check import check_graph
from toolchain.workflow.own_code import builder_of, file_of
from toolchain.workflow.prepare import EncodedData
from toolchain.workflow.sections.model import OwnModel

_KEY: Final = "model.module"
_MOVING: Final = "or choose an [encoding] that makes sequences of them, such as rate"
_EXAMPLE: Final = 16
"""Samples on which what the neurons do is compared with the graph."""


@final
@dataclass(frozen=True)
class OwnNetwork:
    """A module of another framework, and what its graph is found by.

    Attributes:
        module: As the user's code built it.
        learner: The same as `fit` trains it.
        example: The samples that it is run on, as it takes them.
        classes: Names of the classes.
        sha256: SHA-256 of the file with that code.
    """

    module: nn.Module
    learner: OwnModule
    example: NDArray[Any]
    classes: tuple[str, ...]
    sha256: str

    def graph(self) -> tuple[Graph, OwnFacts]:
        """Return the module as the graph that it is now, every spike and all that it returns compared.

        Raises:
            SourceMismatchError: The graph does something else: says where.
        """
        record = recorded(self.module, {"input": self.example}, classes=self.classes)
        given = Stimulus(record.arranged({"input": self.example}))
        graph, rests = record.imported.graph, record.imported.rests
        check = check_graph(graph, record.outputs, given, rests, partly=True, results=record.results)
        source = check.document()
        source.require_equal()
        steps = record.steps if record.layout.time is None else None
        return record.imported.graph, OwnFacts(sha256=self.sha256, still_steps=steps, source=source)


def own_network(model: OwnModel, encoded: EncodedData, seed: int) -> OwnNetwork | Network | FeedForward:
    """Build the module that an experiment names, and return it as it can be trained.

    This runs the user's code.

    Args:
        model: What stands under `[model]`.
        encoded: The data, which say what shapes there are.
        seed: Seed of PyTorch's random numbers while the module is built.

    Raises:
        ExperimentError: There is no such file or function, or it returns what cannot be compiled.
    """
    module, classes = _built(model, encoded, seed), encoded.data.classes
    sample = gathered(encoded.train, _EXAMPLE)
    try:
        if not is_recorded(module):
            network = _with_steps(as_model(module, sample), module, model, encoded)
            return _with_outputs(network, len(classes), model)
        example = np.moveaxis(sample, 0, 1) if model.time_first else sample
        record = recorded(module, {"input": example})
        if record.layout.time is None:
            _say_steps(record.steps, model, encoded)
        _check_layout(record, model, encoded)
        if encoded.outputs is not None:
            _check_real_outputs(record)
        learner = learner_of(module, record, torch.from_numpy(np.array(sample[0])))
    except ToolchainError as error:
        error.add_note(_place(model, encoded.encoder.features))
        raise
    if learner.scores != len(classes):
        raise ExperimentError(_KEY, f"the module has {learner.scores} outputs, the data {len(classes)}")
    return OwnNetwork(module, learner, example, classes, sha256(file_of(model)[0].read_bytes()).hexdigest())


def _built(model: OwnModel, encoded: EncodedData, seed: int) -> nn.Module:
    """Run the user's code, and return the module that it builds, known to be one that can be trained."""
    if encoded.encoder.still and model.time_first:
        reason = f"has no meaning for still pictures: leave it out, {_MOVING}"
        raise ExperimentError("model.time_first", reason)
    build = builder_of(model)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        try:
            module: object = build(**_arguments(build, encoded))
        except ToolchainError:
            raise
        except (Exception, SystemExit) as error:
            reason = f"'{model.module}' ends in {type(error).__name__}: {error}"
            raise ExperimentError(_KEY, reason) from error
    if not isinstance(module, nn.Module):
        raise ExperimentError(_KEY, f"'{model.module}' returns a {type(module).__name__}, no torch.nn.Module")
    if any(is_lazy(each) for each in module.parameters()):
        raise ExperimentError(_KEY, f"'{model.module}' has lazy layers; give them the sizes of their inputs")
    if not any(each.requires_grad for each in module.parameters()):
        raise ExperimentError(_KEY, f"'{model.module}' has no parameters that are trained")
    return module


def _place(model: OwnModel, shape: tuple[int, ...]) -> str:
    """Return whose module was refused, and how else samples can enter it, if they can."""
    whose = f"in the module of '{model.module}'"
    if model.flat or len(shape) == 1:
        return whose
    return f"{whose}: a step is {list(shape)}; with `flat = true` below [model] its channels stand in one row"


def _check_layout(record: Recorded, model: OwnModel, encoded: EncodedData) -> None:
    expected = (1, 0) if model.time_first else (0, None) if encoded.encoder.still else (0, 1)
    if (record.layout.samples, record.layout.time) != expected:
        if encoded.encoder.still:
            raise ExperimentError(
                _KEY,
                f"the module runs on samples that lie as {record.layout}, and these are still pictures "
                f"[batch, C, H, W]: show them at every step in its forward, {_MOVING}",
            )
        raise ExperimentError(
            "model.time_first",
            f"the module runs on samples that lie as {record.layout}; say with `time_first` whether its "
            "forward takes [time, batch, ...]",
        )


def _with_steps(
    network: Network | FeedForward, module: nn.Module, model: OwnModel, encoded: EncodedData
) -> Network | FeedForward:
    """Return a network that shows still pictures for as many steps as the encoding says.

    A `FeedForward` that the user's code made has a number of its own, and an `nn.Sequential` none.
    """
    if encoded.encoder.still and isinstance(network, FeedForward):
        if network is module:
            _say_steps(network.steps, model, encoded)
        else:
            network.steps = encoded.encoder.steps
    return network


def _say_steps(shown: int, model: OwnModel, encoded: EncodedData) -> None:
    """Say that a module shows still pictures for another number of steps than the encoding names."""
    steps = encoded.encoder.steps
    if shown != steps:
        warnings.warn(
            f"the module of '{model.module}' shows a picture for {shown} steps, and [encoding] says "
            f"`steps = {steps}`: the {shown} of the module count; it is given the other number if the "
            "function or class asks for an argument `steps`",
            stacklevel=3,
        )


def _check_real_outputs(record: Recorded) -> None:
    """Raise for a module that changes its scores before it returns them: a graph says what they were before.

    That leaves the class as it is, but not a value.
    """
    result = record.results[record.imported.graph.outputs[0].name]
    changes = [each if isinstance(each, str) else f"a factor of {each:g}" for each in result.applied]
    if result.rest:
        changes.append(f"potentials that rest at {result.rest:g}")
    if changes:
        raise FrontendError(
            f"the module returns its scores after {', '.join(changes)}, which no read-out of a network does, "
            "but real values are learnt from them as they are",
            "return the sum of spikes over the steps, the last, mean or largest potential, or a `Linear` of "
            "the mean of spikes",
        )


def _with_outputs(network: Network | FeedForward, classes: int, model: OwnModel) -> Network | FeedForward:
    scores = network.scores if isinstance(network, FeedForward) else network.layer(network.output).size
    if scores != classes:
        raise ExperimentError(_KEY, f"'{model.module}' has {scores} outputs, the data {classes} classes")
    # What no graph can hold is said before the training, not after it.
    from_torch(network)
    if isinstance(network, Network):
        _store_as_synapses(network)
    return network


def _store_as_synapses(network: Network) -> None:
    """Put synapses in the place of every `Linear`: what is pruned, and what files of networks hold.

    A bias of a `Linear` becomes the bias of its neurons, which it is where no current is filtered, and is
    trained as it was.
    """
    for arrow in network.connections:
        linear = network.synapses[arrow.name]
        if not isinstance(linear, nn.Linear):
            continue
        synapses = MaskedSynapses(linear.weight.detach())
        synapses.weight.requires_grad_(linear.weight.requires_grad)
        network.synapses[arrow.name] = synapses
        bias = dict(linear.named_parameters()).get("bias")
        if bias is not None:
            layer = network.layer(arrow.target)
            with torch.no_grad():
                layer.bias.add_(bias)
            layer.bias.requires_grad_(layer.bias.requires_grad or bias.requires_grad)


def _arguments(build: Callable[..., object], encoded: EncodedData) -> dict[str, object]:
    """Return what the function asks for by name, of what the data say."""
    known: dict[str, object] = {
        "shape": encoded.encoder.features,
        "channels": encoded.encoder.channels,
        "steps": encoded.encoder.steps,
        "classes": len(encoded.data.classes),
    }
    wanted = inspect.signature(build).parameters.values()
    named = [each for each in wanted if each.kind not in {each.VAR_POSITIONAL, each.VAR_KEYWORD}]
    missing = [each.name for each in named if each.name not in known and each.default is each.empty]
    if missing:
        raise ExperimentError(
            _KEY, f"asks for '{missing[0]}'; give it a default, or ask for {', '.join(known)}"
        )
    return {each.name: known[each.name] for each in named if each.name in known}
