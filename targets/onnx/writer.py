"""From a graph to an ONNX graph of one step: what enters and the state in, spikes and the state out.

A fixed graph is computed in 64-bit integers, wrapped to 32 or 24 bits where Lava wraps, a float graph in
double precision. Standard operators only; a population is one call of a model-local function, `pumice.LIF` or
one of its relatives, so that a viewer shows neurons.

Names of nodes hold no `/`. So what stands between them is called `<node>/<part>`, a constant of all of them
`/<name>`, and neither meets what enters and leaves: inputs, and states and records, which end in `.<part>`.
"""

from dataclasses import dataclass, field
from typing import Any, Final, assert_never, final

import numpy as np
import onnx
from onnx import TensorProto, helper
from scipy.sparse import csr_array

from targets.onnx.neurons import DOMAIN, NeuronFunction
from toolchain import ir
from toolchain.arrays import Array
from toolchain.fixedpoint import DECAY_UNITY, STATE_LIMIT
from toolchain.ir import EdgeKind, Graph, Pooling, Stage, Window
from toolchain.ir.footprint import check_node
from toolchain.ir.matrix import delay_slots, sources_of, targets_of
from toolchain.ir.types import size_of

_PARTS: Final = frozenset({"spikes", "u", "v", "wait", "rise", "past", "next"})
_WORD: Final = 1 << 32
"""Sums of synapses are counted modulo this."""
_EXACT: Final = 1 << 24
"""Whole numbers below are exact in single precision."""


@final
@dataclass(frozen=True)
class StepModel:
    """One step as ONNX nodes.

    Attributes:
        number: ONNX type of messages and states.
        nodes: Nodes in the order of computation.
        initializers: Constants by name.
        inputs: Name, ONNX type and features of every input of the network.
        states: Features of every state by name; steps of the past come before the batch.
        history: Number of past steps by name, for the states that hold the past.
        outputs: Features by `"<population>.<quantity>"`.
        counts: Those of the outputs that hold how many spikes a neuron sent.
        functions: What the populations call, by name.
    """

    number: int
    nodes: list[onnx.NodeProto] = field(default_factory=list)
    initializers: dict[str, Array] = field(default_factory=dict)
    inputs: list[tuple[str, int, tuple[int, ...]]] = field(default_factory=list)
    states: dict[str, tuple[int, ...]] = field(default_factory=dict)
    history: dict[str, int] = field(default_factory=dict)
    outputs: dict[str, tuple[int, ...]] = field(default_factory=dict)
    counts: set[str] = field(default_factory=set)
    functions: dict[str, NeuronFunction] = field(default_factory=dict)

    def spike_type(self, name: str) -> int:
        """Return the ONNX type of the spikes of a population, by the name of the output."""
        return TensorProto.UINT8 if name in self.counts else TensorProto.BOOL


def next_state(name: str) -> str:
    """Return the name of a state after the step."""
    return f"{name}.next"


def input_name(name: str) -> str:
    """Return the name under which an input enters: its own, unless a record or a state could be called so.

    >>> input_name("image"), input_name("p.v")
    ('image', 'p.v/input')
    """
    return f"{name}/input" if name.rpartition(".")[2] in _PARTS else name


def write_step(graph: Graph) -> StepModel:
    """Return one step of a graph.

    Raises:
        TargetError: A delay differs per neuron.
    """
    writer = _Writer(graph)
    for node in graph:
        match node:
            case ir.Input():
                writer.enter(node)
            case ir.SumPool2d() | ir.MaxPool2d():
                writer.pool(node)
            case ir.FixedDense() | ir.Dense():
                writer.dense(node)
            case ir.FixedConv2d():
                writer.convolve(node)
            case ir.Conv2d():
                writer.convolve_reals(node)
            case ir.FixedLif() | ir.Lif():
                writer.neurons(node)
            case ir.Delay() | ir.Output():
                pass
            case _:
                assert_never(node)
    writer.remember()
    return writer.step


@final
class _Writer:
    """Adds nodes; `values` holds what every source sent in this step."""

    def __init__(self, graph: Graph) -> None:
        self.graph = graph
        self.types = graph.types
        self.fixed = graph.stage is Stage.FIXED
        self.step = StepModel(TensorProto.INT64 if self.fixed else TensorProto.DOUBLE)
        self.dtype = np.int64 if self.fixed else np.float64
        self.values: dict[str, str] = {}
        self.depths = self._depths()

    def _depths(self) -> dict[str, int]:
        """Return how many steps of every source are needed again."""
        depths: dict[str, int] = {}
        for node in (*self.graph.synapses, *self.graph.poolings):
            source, steps = self.graph.source(node.inputs[0])
            slots = (
                delay_slots(node.weights, node.delays) if isinstance(node, ir.FixedDense | ir.Dense) else []
            )
            most = steps + max((delay for delay, _ in slots), default=0)
            depths[source.name] = max(depths.get(source.name, 0), most)
        for name, depth in depths.items():
            if depth:
                past = f"{name}.past"
                self.step.history[past] = depth
                self.step.states[past] = self.types[name].shape
        return depths

    def constant(self, name: str, value: object) -> str:
        self.step.initializers[name] = np.asarray(value)
        return name

    def number(self, value: int) -> str:
        return self.constant(f"/const/{value}", np.int64(value))

    def op(self, kind: str, inputs: list[str], output: str, **attributes: Any) -> str:  # noqa: ANN401 - ONNX attributes
        self.step.nodes.append(helper.make_node(kind, inputs, [output], name=output, **attributes))
        return output

    def enter(self, node: ir.Input) -> None:
        """Take what enters; a graded input becomes integers in a fixed graph."""
        name = node.name
        graded = node.edge is EdgeKind.GRADED
        value = input_name(name)
        self.step.inputs.append((value, TensorProto.DOUBLE if graded else TensorProto.BOOL, node.shape))
        if graded and self.fixed:
            limit = float(2**node.bits - 1)
            value = self.op(
                "Mul", [value, self.constant(f"{name}/scale", np.float64(node.scale))], f"{name}/scaled"
            )
            value = self.op("Round", [value], f"{name}/rounded")
            low, high = (
                self.constant(f"{name}/{end}", np.float64(x)) for end, x in (("low", -limit), ("high", limit))
            )
            value = self.op("Clip", [value, low, high], f"{name}/clipped")
        self.values[name] = self.op("Cast", [value], f"{name}/message", to=self.step.number)

    def sent(self, name: str, delay: int, reader: str) -> str:
        """Return what a source sent so many steps ago, `[batch, *features]`."""
        if delay == 0:
            return self.values[name]
        index = self.constant(f"{reader}/at{delay}", np.int64(self.depths[name] - delay))
        return self.op("Gather", [f"{name}.past", index], f"{reader}/sent{delay}", axis=0)

    def dense(self, node: ir.FixedDense | ir.Dense) -> None:
        source, steps = self.graph.source(node.inputs[0])
        shape = self.constant(f"{node.name}/flat", np.array([0, size_of(self.types[source.name].shape)]))
        slots = delay_slots(node.weights, node.delays) or [(0, node.weights)]
        elements = targets_of(node.weights) * sources_of(node.weights)
        check_node(node.name, "as ONNX writes matrices it", 2 * self.dtype().nbytes * len(slots) * elements)
        total = ""
        # A connection whose synapses were all pruned sends zeros.
        for delay, weights in slots:
            name = f"{node.name}/{delay}"
            row = self.op("Reshape", [self.sent(source.name, steps + delay, name), shape], f"{name}/row")
            matrix = np.asarray(weights.toarray() if isinstance(weights, csr_array) else weights, self.dtype)
            columns = self.constant(f"{name}/weights", np.ascontiguousarray(matrix.T))
            part = self.op("MatMul", [row, columns], f"{name}/sum")
            if isinstance(node, ir.FixedDense):
                part = self._shifted(part, node.exponent, name)
            total = part if not total else self.op("Add", [total, part], f"{name}/total")
        self.values[node.name] = total

    def _shifted(self, total: str, exponent: int, name: str) -> str:
        """Return a sum of 32 bits times a power of two; bits that are lost round down."""
        word = self.wrapped(total, _WORD, f"{name}/word")
        if exponent == 0:
            return word
        factor = self.number(1 << abs(exponent))
        if exponent > 0:
            return self.wrapped(self.op("Mul", [word, factor], f"{name}/up"), _WORD, f"{name}/shifted")
        rest = self.op("Mod", [word, factor], f"{name}/rest")
        whole = self.op("Sub", [word, rest], f"{name}/whole")
        return self.op("Div", [whole, factor], f"{name}/shifted")

    def wrapped(self, value: str, modulus: int, name: str) -> str:
        """Return a number in two's complement of log2(modulus) bits."""
        half = self.number(modulus // 2)
        lifted = self.op("Add", [value, half], f"{name}/lifted")
        rest = self.op("Mod", [lifted, self.number(modulus)], f"{name}/rest")
        return self.op("Sub", [rest, half], name)

    def convolve(self, node: ir.FixedConv2d) -> None:
        source, steps = self.graph.source(node.inputs[0])
        message, name = self.sent(source.name, steps, node.name), node.name
        weights = node.weights.astype(np.int64) << node.exponent
        reach = int(np.abs(weights).reshape(len(weights), -1).sum(axis=1).max(initial=0))
        if reach * self.graph.largest_message(node) < _EXACT:
            total = self._float_convolution(node, message, weights)
        else:
            total = self._gathered_convolution(node, message, weights, self.types[source.name].shape)
        self.values[name] = self.wrapped(total, 2 * STATE_LIMIT, f"{name}/wrapped")

    def convolve_reals(self, node: ir.Conv2d) -> None:
        """Convolve in double precision, for which onnxruntime has no convolution of its own."""
        source, steps = self.graph.source(node.inputs[0])
        message = self.sent(source.name, steps, node.name)
        shape = self.types[source.name].shape
        self.values[node.name] = self._gathered_convolution(node, message, node.weights, shape)

    def _float_convolution(self, node: ir.FixedConv2d, message: str, weights: Array) -> str:
        """Convolve in single precision: every partial sum is a whole number below 2^24."""
        name, window = node.name, node.window
        real = self.op("Cast", [message], f"{name}/real", to=TensorProto.FLOAT)
        kernel = self.constant(f"{name}/weights", weights.astype(np.float32))
        (top, left) = window.padding
        total = self.op(
            "Conv", [real, kernel], f"{name}/conv", group=node.groups, strides=list(window.stride),
            dilations=list(window.dilation), pads=[top, left, top, left],
        )  # fmt: skip
        return self.op("Cast", [total], f"{name}/sum", to=TensorProto.INT64)

    def _gathered_convolution(
        self, node: ir.FixedConv2d | ir.Conv2d, message: str, weights: Array, shape: tuple[int, ...]
    ) -> str:
        """Collect what every position sees, and multiply."""
        name, groups = node.name, node.groups
        patches = self._windows(message, node.window, shape, name)
        out, height, width = self.types[name].shape
        elements = weights.shape[1] * node.window.area
        # [batch, groups, positions, elements] times [groups, elements, targets].
        split = np.array([0, groups, shape[0] // groups, height * width, node.window.area])
        patches = self.op("Reshape", [patches, self.constant(f"{name}/split", split)], f"{name}/split5")
        patches = self.op("Transpose", [patches], f"{name}/turned", perm=[0, 1, 3, 2, 4])
        rows = np.array([0, groups, height * width, elements])
        patches = self.op("Reshape", [patches, self.constant(f"{name}/rows", rows)], f"{name}/elements")
        kernel = weights.reshape(groups, out // groups, elements).transpose(0, 2, 1)
        kernel_name = self.constant(f"{name}/weights", np.ascontiguousarray(kernel))
        total = self.op("MatMul", [patches, kernel_name], f"{name}/products")
        total = self.op("Transpose", [total], f"{name}/upright", perm=[0, 1, 3, 2])
        image = self.constant(f"{name}/image", np.array([0, out, height, width]))
        return self.op("Reshape", [total, image], f"{name}/sum")

    def _windows(self, message: str, window: Window, shape: tuple[int, ...], name: str) -> str:
        """Return what every position of a window sees, `[batch, C, positions, elements]`; zeros outside."""
        channels, height, width = shape
        marks = np.arange(1, height * width + 1).reshape(height, width)
        index = np.stack([patch.ravel() for patch in window.patches(marks)], axis=1)
        flat = self.constant(f"{name}/pixels", np.array([0, channels, height * width]))
        row = self.op("Reshape", [message, flat], f"{name}/pixel")
        # One silent pixel in front stands for all that lie outside.
        pads = self.constant(f"{name}/pads", np.array([0, 0, 1, 0, 0, 0]))
        row = self.op("Pad", [row, pads, self.constant("/silence", self.dtype(0))], f"{name}/padded")
        return self.op("Gather", [row, self.constant(f"{name}/index", index)], f"{name}/windows", axis=2)

    def pool(self, node: Pooling) -> None:
        source, steps = self.graph.source(node.inputs[0])
        message = self.sent(source.name, steps, node.name)
        patches = self._windows(message, node.window, self.types[source.name].shape, node.name)
        kind = "ReduceSum" if isinstance(node, ir.SumPool2d) else "ReduceMax"
        last = self.constant("/axis/last", np.array([-1]))
        pooled = self.op(kind, [patches, last], f"{node.name}/pooled", keepdims=0)
        shape = self.constant(f"{node.name}/image", np.array([0, *self.types[node.name].shape]))
        self.values[node.name] = self.op("Reshape", [pooled, shape], f"{node.name}/message")

    def neurons(self, node: ir.FixedLif | ir.Lif) -> None:
        name, shape = node.name, node.vth.shape
        total = self.values[node.inputs[0]]
        for i, other in enumerate(node.inputs[1:]):
            total = self.op("Add", [total, self.values[other]], f"{name}/a{i}")
        function = NeuronFunction.of(node, fixed=self.fixed)
        self.step.functions[function.name] = function
        parameters = self._parameters(node)
        states, spikes = [f"{name}.{state}" for state in function.states], f"{name}.spikes"
        self.step.nodes.append(
            helper.make_node(
                function.name,
                [total, *states, *(parameters[part] for part in function.parameters)],
                [spikes, *map(next_state, states)],
                name=name,
                domain=DOMAIN,
            )
        )
        self.step.states.update(dict.fromkeys(states, shape))
        self.step.outputs.update({f"{name}.{quantity}": shape for quantity in ("spikes", "v", "u")})
        if function.several:
            self.step.counts.add(spikes)
        self.values[name] = self.op("Cast", [f"{name}.spikes"], f"{name}/message", to=self.step.number)

    def _parameters(self, node: ir.FixedLif | ir.Lif) -> dict[str, str]:
        """Return the names of the constants of a population, by parameters of `NeuronFunction`."""
        unity, hidden = (DECAY_UNITY, 1) if self.fixed else (1, 0)
        values: dict[str, Array | None] = {
            "keep_u": unity - hidden - node.du.astype(self.dtype),
            "keep_v": unity - node.dv.astype(self.dtype),
            "bias": node.bias,
            "vth": node.vth,
            "amount": node.reset_amount,
            "period": node.refractory,
            "keep_rise": None if node.adaptation_decay is None else unity - node.adaptation_decay,
            "adaptation": node.adaptation,
            "most": np.asarray(node.max_spikes) if node.max_spikes > 1 else None,
        }
        return {
            part: self.constant(f"{node.name}/{part}", value.astype(self.dtype))
            for part, value in values.items()
            if value is not None
        }

    def remember(self) -> None:
        """Move the past on by one step."""
        for past in self.step.history:
            name = past.removesuffix(".past")
            first, last = (self.constant(f"/axis/{x}", np.array([x])) for x in (1, np.iinfo(np.int64).max))
            zero = self.constant("/axis/0", np.array([0]))
            rest = self.op("Slice", [past, first, last, zero], f"/{past}/rest")
            now = self.op("Unsqueeze", [self.values[name], zero], f"/{past}/now")
            self.op("Concat", [rest, now], next_state(past), axis=0)
