"""A run of the user's own forward pass, in which every operation on what enters is written down."""

import inspect
import linecache
from collections.abc import Callable, Generator, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, Final, final

import numpy as np
import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from toolchain.errors import FrontendError
from toolchain.frontends.modules.functions import FUNCTIONS, REASONS
from toolchain.frontends.modules.ledger import ALWAYS, ZERO, Labels, Ledger, Made, Untyped
from toolchain.frontends.modules.moves import DATA, MOVES, RANDOM, UNSEEN, changes
from toolchain.frontends.modules.neuron_kinds import NeuronCall, NeuronKind
from toolchain.frontends.modules.operations import Call

_LIBRARIES: Final = (str(Path(torch.__file__).parent), str(Path(__file__).parent))
_INSTALLED: Final = "site-packages"


@final
class RunWatch:
    """Follows every number of a run of one sample.

    Args:
        neurons: Modules of neurons by path, with what is known of them.
        module: The whole module.
        steps: Number of steps that enter; None where that is not known, because one picture is shown.

    Attributes:
        ledger: All that was made.
        calls: What went into every module of neurons, step by step.
        shapes: Shape of the neurons of every module.
    """

    def __init__(
        self, module: nn.Module, neurons: Mapping[str, tuple[nn.Module, NeuronKind]], steps: int | None
    ) -> None:
        self.ledger = Ledger()
        self.steps = steps
        self.calls: dict[str, list[Made]] = {path: [] for path in neurons}
        self._module, self._neurons = module, neurons
        self._known: dict[int, tuple[Tensor, int, Labels]] = {}
        self._asleep = 0
        self._paths: list[str] = []
        self.shapes: dict[str, tuple[int, ...]] = {}

    def enter(self, tensor: Tensor, labels: Labels) -> None:
        """Take a tensor as one that is followed."""
        self._known[id(tensor)] = (tensor, tensor._version, labels)  # noqa: SLF001 - torch has no other name

    def labels(self, tensor: Tensor) -> Labels | None:
        """Return the labels of a tensor; None if it depends on nothing that enters."""
        if id(tensor) not in self._known:
            return None
        known, version, labels = self._known[id(tensor)]
        if known._version != version:  # noqa: SLF001
            raise FrontendError(
                f"{self.place()} reads a tensor that was changed in place through another one",
                "make a new tensor instead, such as `torch.stack` of a list",
            )
        return labels

    def labels_or_constants(self, value: object) -> Labels:
        """Return the labels of a tensor or number, which may be constant."""
        if isinstance(value, Tensor):
            labels = self.labels(value)
            if labels is not None:
                return labels
            with self.asleep():
                array = value.detach().to("cpu", torch.float64).numpy()
        else:
            array = np.asarray(value, np.float64)
        return self.ledger.constants(array, self.place())

    def is_followed(self, value: object) -> bool:
        """Return whether a value is a tensor that is followed."""
        return isinstance(value, Tensor) and id(value) in self._known

    @contextmanager
    def asleep(self) -> Generator[None]:
        """Let what happens inside go unseen."""
        self._asleep += 1
        try:
            yield
        finally:
            self._asleep -= 1

    def place(self) -> str:
        """Return the line of the user's code that runs, and the module in which it stands."""
        frame = inspect.currentframe()
        fallback = ""
        while frame is not None:
            file = frame.f_code.co_filename
            if not file.startswith(_LIBRARIES) and not file.startswith("<") and "contextlib" not in file:
                text = linecache.getline(file, frame.f_lineno).strip()
                line = f"{Path(file).name}:{frame.f_lineno}" + (f" `{text}`" if text else "")
                if _INSTALLED not in file:
                    return line
                fallback = fallback or line
            frame = frame.f_back
        return fallback or "the module"

    @contextmanager
    def watching(self) -> Generator[None]:
        """Follow all that is run inside."""
        with ExitStack() as stack:
            for path, child in self._module.named_modules():
                stack.enter_context(_removing(child.register_forward_pre_hook(self._before(path))))
                after = self._after(path)
                handle = child.register_forward_hook(after, with_kwargs=True, always_call=True)
                stack.enter_context(_removing(handle))
            stack.enter_context(_Mode(self))
            yield

    def _before(self, path: str) -> Callable[..., None]:
        def hook(_: nn.Module, __: Untyped) -> None:
            self._paths.append(path)
            if path in self._neurons:
                self._asleep += 1

        return hook

    def _after(self, path: str) -> Callable[..., None]:
        def hook(module: nn.Module, args: Untyped, kwargs: Untyped, result: Untyped) -> None:
            self._paths.pop()
            if path not in self._neurons:
                return
            try:
                if result is not None and self._asleep == 1:
                    call = self._neurons[path][1].call(module, args, kwargs, result)
                    self._record(path, call)
            finally:
                self._asleep -= 1

        return hook

    @property
    def path(self) -> str:
        """Path of the module that runs."""
        return self._paths[-1] if self._paths else ""

    def _record(self, path: str, call: NeuronCall) -> None:
        """Write down a call of neurons, step by step."""
        kind, module = self._neurons[path][1], self._neurons[path][0]
        if kind.within_call and self.calls[path]:
            raise FrontendError(
                f"'{path}' is a {type(module).__name__} that is called again and again, and forgets at each "
                "call what came before",
                "call it once, with all steps",
            )
        current = self.labels_or_constants(call.current)
        if call.merged:
            current = current.reshape(-1, call.merged, *current.shape[1:])
        axis = 1 if call.merged else call.time_axis
        rows = [current] if axis is None else list(np.moveaxis(current, axis, 0))
        states = tuple(self.labels_or_constants(state) for state in call.given)
        sent, shown = list[Labels](), list[Labels]()
        for row in rows:
            step = len(self.calls[path])
            self.shapes.setdefault(path, row.shape[1:])
            what = states if step or states else None
            took = self.ledger.add("neurons", 1, step, path, (row.ravel(), *map(np.ravel, states)), what=what)
            self.calls[path].append(took)
            size = row.size if call.spikes is None else call.spikes.numel() // len(rows)
            sent.append(self.ledger.add("spikes", size, step, path).labels)
            shown.append(self.ledger.add("membrane", size, step, path).labels)
        for tensor, labels in ((call.spikes, sent), (call.membrane, shown)):
            if isinstance(tensor, Tensor) and tensor.numel():
                self.enter(tensor, _joined(tensor, labels, axis, merged=bool(call.merged)))
        for place, tensor in enumerate(call.returned):
            if not self.is_followed(tensor):
                step = len(self.calls[path]) - 1
                state = self.ledger.add("state", tensor.numel(), step, path, what=place)
                self.enter(tensor, state.labels.reshape(tuple(tensor.shape)))

    def call(self, func: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> Untyped:
        """Run a function of PyTorch, and write down what it did."""
        if self._asleep:
            return func(*args, **kwargs)
        with self.asleep():
            return self._call(func, args, kwargs)

    def _call(self, func: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> Untyped:
        name = _name(func)
        if name in RANDOM:
            raise FrontendError(
                f"{self.place()} draws random numbers, so that no two runs are equal",
                "encode the samples before they enter, and give the encoded ones as the example",
            )
        followed = [value for value in _flat((*args, *kwargs.values())) if self.is_followed(value)]
        before = self.labels_or_constants(args[0]) if followed and changes(name) else None
        result = func(*args, **kwargs)
        if before is not None:
            self.enter(args[0], before)
        if not followed or name in UNSEEN:
            return result
        if name in DATA:
            raise FrontendError(
                f"{self.place()} looks at values of the data ({name}), so that what it does may differ from "
                "sample to sample",
                "leave it out of the forward pass, or compute it from shapes alone",
            )
        handler = MOVES.get(name) or FUNCTIONS.get(name)
        if handler is not None:
            handler(self, Call(name, func, args, kwargs, result))
        else:
            self.hide(result, name)
        return result

    def hide(self, result: object, name: str) -> None:
        """Mark a result as something that cannot be followed; it matters where neurons or outputs read it."""
        for tensor in _flat((result,)):
            if isinstance(tensor, Tensor) and tensor.numel():
                why = REASONS.get(name, "it has no counterpart among weights, poolings and neurons")
                what = f"{self.place()} computes `{name}`: {why}"
                made = self.ledger.add("unknown", tensor.numel(), ALWAYS, what)
                self.enter(tensor, made.labels.reshape(tuple(tensor.shape)))


@final
class _Mode(TorchFunctionMode):
    """Hands every function of PyTorch to a watch."""

    def __init__(self, watch: RunWatch) -> None:
        super().__init__()
        self._watch = watch

    def __torch_function__(
        self, func: Untyped, _: Untyped, args: Untyped = (), kwargs: Untyped = None
    ) -> Untyped:
        return self._watch.call(func, args, kwargs or {})


@contextmanager
def _removing(handle: Untyped) -> Generator[None]:
    try:
        yield
    finally:
        handle.remove()


def _joined(tensor: Tensor, labels: list[Labels], axis: int | None, *, merged: bool) -> Labels:
    """Return the labels of all steps in the shape of the tensor that holds them."""
    shape = tuple(tensor.shape)
    if axis is None:
        # Some neurons show one potential for all until the first step is over.
        return labels[0].reshape(shape) if labels[0].size == tensor.numel() else np.full(shape, ZERO)
    if merged:
        return np.stack(labels).reshape(shape)
    inner = [extent for place, extent in enumerate(shape) if place != axis]
    if len(labels) * int(np.prod(inner)) != tensor.numel():
        return labels[-1].reshape(shape)
    return np.moveaxis(np.stack([row.reshape(inner) for row in labels]), 0, axis)


def _flat(values: Untyped) -> Iterator[Any]:
    for value in values:
        if isinstance(value, tuple | list):
            yield from _flat(value)
        else:
            yield value


def _name(func: Untyped) -> str:
    name: str = getattr(func, "__name__", str(func))
    if name in {"__get__", "__set__"}:
        return str(getattr(func.__self__, "__name__", name))
    return name
