"""From any module, and an example that it takes, to a graph: run it, follow its numbers, fold the steps."""

from collections.abc import Generator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial
from typing import Final, final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from toolchain.errors import FrontendError, ToolchainError
from toolchain.fidelity.returned import Returned
from toolchain.frontends.modules.fold import folded
from toolchain.frontends.modules.kinds import neurons_of, reset_containers
from toolchain.frontends.modules.layouts import LAYOUTS, Layout, arranged, enter_input, input_name
from toolchain.frontends.modules.ledger import Ledger, Untyped
from toolchain.frontends.modules.neuron_kinds import NeuronCall, NeuronKind
from toolchain.frontends.modules.readouts import tensors_of
from toolchain.frontends.modules.results import ResultLayout
from toolchain.frontends.modules.running import run_forward
from toolchain.frontends.modules.watch import RunWatch
from toolchain.ir.imported import Imported

Neurons = Mapping[str, tuple[nn.Module, NeuronKind]]
_COMPARED: Final = 64
"""Samples on which what the neurons do is recorded."""


@final
@dataclass(frozen=True)
class Recorded:
    """A module as a graph, and what it did on an example.

    Attributes:
        imported: The graph, and what is to be said of it.
        layout: How the samples lie.
        steps: Number of steps.
        outputs: What every module of neurons did on the first samples, by key; see `framework_outputs`.
        results: What the module itself returned for these samples, by the output that reads it.
    """

    imported: Imported
    layout: Layout
    steps: int
    outputs: Mapping[str, NDArray[Untyped]]
    results: Mapping[str, Returned]

    def arranged(self, arrays: Mapping[str, NDArray[Untyped]]) -> dict[str, NDArray[Untyped]]:
        """Return samples that lie as the example as the graph takes them, `[batch, time, *features]` by name.

        Raises:
            FrontendError: They lie otherwise, or have no inputs of the graph.
        """
        expected = {node.name: node.shape for node in self.imported.graph.inputs}
        ready: dict[str, NDArray[Untyped]] = {}
        for name, array in arrays.items():
            key = input_name(name, arrays)
            if array.ndim <= max(self.layout.samples, self.layout.time or 0) or key not in expected:
                raise FrontendError(
                    f"samples of shape {list(array.shape)} for '{name}' are none of {sorted(expected)}"
                )
            ready[key] = arranged(array, self.layout, self.steps)
        return ready


def recorded(
    module: nn.Module,
    example: Mapping[str, NDArray[Untyped]],
    *,
    classes: Sequence[str] = (),
) -> Recorded:
    """Run a module on an example and return it as a graph.

    Args:
        module: Module with neurons that are known; its own forward runs, in evaluation.
        example: Arrays that its forward takes, by name of the argument; a single one may have any name.
        classes: Names of the classes.

    Raises:
        UnsupportedModuleError: It has neurons without a counterpart.
        FrontendError: It does something that no graph does; names it and the line.
    """
    neurons = neurons_of(module)
    _check_whole(module)
    _check_example(example)
    if not neurons:
        raise FrontendError("the module has no neurons that are known")
    runner = _ModuleRuns(module, neurons, example)
    problems: dict[str, Exception] = {}
    for layout in LAYOUTS:
        try:
            with runner.at_rest():
                imported = runner.graph(layout, classes, type(module).__name__.lower())
                outputs, results = runner.outputs(layout, _COMPARED)
        except ToolchainError as error:
            problems[str(layout)] = error
        except (RuntimeError, ValueError, TypeError, IndexError, AssertionError, AttributeError) as error:
            problems[str(layout)] = error
        else:
            steps = max(array.shape[1] for array in outputs.values())
            return Recorded(imported, layout, steps, outputs, results)
    raise _no_layout(problems, example)


def _no_layout(problems: Mapping[str, Exception], example: Mapping[str, NDArray[Untyped]]) -> Exception:
    """Return what is wrong: what was said of the layout that went furthest."""
    ours = [
        error
        for error in problems.values()
        if isinstance(error, ToolchainError) and not isinstance(error, _OtherLayoutError)
    ]
    if ours:
        return ours[0]
    shapes = ", ".join(str(list(array.shape)) for array in example.values())
    likely = [
        str(layout) for layout in LAYOUTS if layout.time is None or layout.by_step or layout == LAYOUTS[0]
    ]
    said = "; ".join(f"as {lies}: {str(problems[lies]).splitlines()[0]}" for lies in likely)
    return FrontendError(
        f"the module does not run on the example of shape {shapes} ({said})",
        "give the example as forward takes it, with samples and steps in its first two axes",
    )


@final
class _OtherLayoutError(FrontendError):
    """The example lies in another way."""


@final
class _ModuleRuns:
    """Runs a module on parts of an example.

    Args:
        module: The module.
        neurons: Its neurons.
        example: Arrays by name.
    """

    def __init__(self, module: nn.Module, neurons: Neurons, example: Mapping[str, NDArray[Untyped]]) -> None:
        self._module, self._neurons = module, neurons
        self._arrays = {name: np.asarray(array) for name, array in example.items()}
        weights = [each for each in module.parameters() if each.is_floating_point()]
        self._calls: dict[str, int] = {}
        self._results = ResultLayout(Ledger(), {})
        self._dtype = weights[0].dtype if weights else torch.get_default_dtype()
        self._device = weights[0].device if weights else torch.device("cpu")

    @contextmanager
    def at_rest(self) -> Generator[None]:
        """Run in evaluation from rest, and leave the module as it was but for its states."""
        modes = {path: child.training for path, child in self._module.named_modules()}
        self._module.eval()
        self._reset()
        try:
            with torch.no_grad():
                yield
        finally:
            self._reset()
            for path, child in self._module.named_modules():
                child.training = modes.get(path, child.training)

    def _reset(self) -> None:
        with torch.no_grad():
            for child, kind in self._neurons.values():
                kind.reset(child)
            reset_containers(self._module)

    def _tensors(self, layout: Layout, samples: slice) -> dict[str, Tensor]:
        tensors: dict[str, Tensor] = {}
        for name, array in self._arrays.items():
            if array.ndim <= max(layout.samples, layout.time or 0):
                raise _OtherLayoutError(f"an example of shape {list(array.shape)} has too few axes")
            index = [slice(None)] * array.ndim
            index[layout.samples] = samples
            tensor = torch.from_numpy(np.array(array[tuple(index)])).to(self._device, self._dtype)
            tensors[name] = tensor.flatten(0, 1) if layout.merged else tensor
        return tensors

    def graph(self, layout: Layout, classes: Sequence[str], name: str) -> Imported:
        """Return the graph that the module is, if the example lies so."""
        tensors = self._tensors(layout, slice(1))
        steps = self._steps(layout)
        watch = RunWatch(self._module, self._neurons, steps)
        shapes: dict[str, tuple[tuple[int, ...], float | None]] = {}
        for key, tensor in tensors.items():
            shapes[input_name(key, tensors)] = enter_input(
                watch, key, tensor, layout, self._arrays[key], len(tensors)
            )
        with watch.watching():
            result = run_forward(self._module, tensors, layout)
        self._check_calls(watch, steps)
        self._calls = {path: len(made) for path, made in watch.calls.items()}
        results = {
            label: watch.labels_or_constants(tensor)
            for label, tensor in tensors_of(result).items()
            if watch.is_followed(tensor)
        }
        graph, reads = folded(watch, self._neurons, shapes, results, classes=tuple(classes), name=name)
        self._results = ResultLayout(watch.ledger, reads)
        notes = (f"the example lies as {layout}", *graph.notes)
        return replace(graph, notes=notes)

    def _steps(self, layout: Layout) -> int | None:
        samples = {array.shape[layout.samples] for array in self._arrays.values()}
        if len(samples) != 1:
            raise _OtherLayoutError(f"inputs have different numbers of samples: {sorted(samples)}")
        if layout.time is None:
            return None
        steps = {array.shape[layout.time] for array in self._arrays.values() if array.ndim > layout.time}
        if len(steps) != 1:
            raise _OtherLayoutError(f"inputs have different numbers of steps: {sorted(steps)}")
        return steps.pop()

    def _check_calls(self, watch: RunWatch, steps: int | None) -> None:
        counts = {path: len(calls) for path, calls in watch.calls.items()}
        used = {path: count for path, count in counts.items() if count}
        if not used:
            raise FrontendError("forward calls none of its neurons")
        expected = steps if steps is not None else min(used.values())
        if max(used.values()) == 1 and steps != 1:
            raise _OtherLayoutError("every module of neurons was called once: it takes one step")
        wrong = {path: count for path, count in used.items() if count != expected}
        if wrong:
            path, count = next(iter(wrong.items()))
            if steps is not None and len(set(used.values())) == 1 and (count < steps or count % steps):
                raise _OtherLayoutError(f"'{path}' ran {count} steps, and {expected} steps enter")
            raise FrontendError(
                f"'{path}' was called {count} times in {expected} steps: neurons that stand in several "
                "places share their state",
                "give each place its own module, and each module one call per step",
            )

    def outputs(self, layout: Layout, most: int) -> tuple[dict[str, NDArray[Untyped]], dict[str, Returned]]:
        """Return what all neurons did on the first samples, by key, and what the module returned for them."""
        samples = min(most, next(iter(self._arrays.values())).shape[layout.samples])
        if not layout.merged:
            record, results = self._record(layout, slice(samples))
            return record, self._results.returned(results, samples, partial(self._result_of, layout))
        each = [self._record(layout, slice(place, place + 1)) for place in range(samples)]
        record = {key: np.concatenate([part[key] for part, _ in each]) for key in each[0][0]}
        return record, self._results.returned(each[0][1], samples, lambda sample: each[sample][1])

    def _result_of(self, layout: Layout, sample: int) -> Mapping[str, NDArray[Untyped]]:
        return self._record(layout, slice(sample, sample + 1))[1]

    def _record(
        self, layout: Layout, samples: slice
    ) -> tuple[dict[str, NDArray[Untyped]], Mapping[str, NDArray[Untyped]]]:
        self._reset()
        records: dict[str, list[tuple[Tensor | None, Tensor | None]]] = {path: [] for path in self._neurons}
        handles = [
            child.register_forward_hook(_recording(records[path], kind), with_kwargs=True)
            for path, (child, kind) in self._neurons.items()
        ]
        tensors = self._tensors(layout, samples)
        try:
            result = run_forward(self._module, tensors, layout)
        finally:
            for handle in handles:
                handle.remove()
        count = 1 if layout.merged else next(iter(tensors.values())).shape[layout.samples]
        outputs: dict[str, NDArray[Untyped]] = {}
        for path, steps in records.items():
            if len(steps) != self._calls[path]:
                raise _OtherLayoutError(
                    f"'{path}' ran {self._calls[path]} steps for one sample, and {len(steps)} for {count}"
                )
            for place, quantity in enumerate(("spikes", "v")):
                parts = [step[place] for step in steps]
                if parts and all(part is not None for part in parts) and (place == 0 or steps[0][0] is None):
                    rows = [part.reshape(count, -1) for part in parts if part is not None]
                    outputs[f"{path}.{quantity}"] = torch.stack(rows, 1).cpu().numpy()
        return outputs, self._results.arrays(result)


def _recording(rows: list[tuple[Tensor | None, Tensor | None]], kind: NeuronKind) -> Untyped:
    def hook(module: nn.Module, args: Untyped, kwargs: Untyped, result: Untyped) -> None:
        call = kind.call(module, args, kwargs, result)
        spikes, membrane = (_by_step(part, call) for part in (call.spikes, call.membrane))
        steps = max(len(spikes), len(membrane))
        blank: list[Tensor | None] = [None] * steps
        rows.extend(zip(spikes or blank, membrane or blank, strict=True))

    return hook


def _by_step(tensor: Tensor | None, call: NeuronCall) -> list[Tensor | None]:
    if tensor is None or not tensor.numel():
        return []
    values = tensor.detach().clone()
    if call.merged:
        return list(values.reshape(-1, call.merged, *values.shape[1:]).unbind(1))
    return [values] if call.time_axis is None else list(values.unbind(call.time_axis))


def _check_example(example: Mapping[str, NDArray[Untyped]]) -> None:
    """Raise for an example without numbers, or with numbers that no weights can multiply."""
    if not example:
        raise FrontendError(
            "the example is an empty mapping",
            "give an array of samples, or an array for every argument of forward by its name",
        )
    for name, array in example.items():
        if not array.ndim:
            raise FrontendError(
                f"the example '{name}' is one number", "give samples, in an array with an axis for them"
            )
        if not array.size:
            raise FrontendError(
                f"the example '{name}' of shape {list(array.shape)} is empty",
                "give at least one sample of at least one step",
            )
        if not np.isfinite(array).all():
            raise FrontendError(f"the example '{name}' holds what is not finite", "leave such samples out")


def _check_whole(module: nn.Module) -> None:
    """Raise for modules that are spread over devices or hold numbers of half precision."""
    if isinstance(module, nn.DataParallel | nn.parallel.DistributedDataParallel):
        raise FrontendError(
            f"a {type(module).__name__} spreads its samples over devices",
            "compile what it wraps: `module.module`",
        )
    for path, weight in module.named_parameters():
        if weight.dtype in {torch.float16, torch.bfloat16}:
            raise FrontendError(
                f"parameter '{path}' is {str(weight.dtype).removeprefix('torch.')}, in which sums depend on "
                "rounding",
                "compile `module.float()`, which changes no weight",
            )
        if not bool(torch.isfinite(weight).all()):
            raise FrontendError(f"parameter '{path}' holds what is not finite", "was the training stable?")
