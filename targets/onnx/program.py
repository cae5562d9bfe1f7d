"""A network as an ONNX model of standard operators, run by onnxruntime."""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, final

import numpy as np
import onnx
import onnxruntime

from targets.onnx.declared import CAPABILITIES
from targets.onnx.models import sequence_model, step_model, with_graph
from targets.onnx.writer import input_name, next_state
from toolchain.arrays import Array
from toolchain.execution.clipping import ClippedInput, ClippingTally
from toolchain.execution.stimulus import Stimulus, fit_step, fit_stimulus
from toolchain.execution.trace import Trace, check_quantities
from toolchain.files.atomic import write_bytes
from toolchain.intake import count_of, path_of
from toolchain.ir import EdgeKind, Graph, Stage, save_graph
from toolchain.progress import Progress, no_progress
from toolchain.target.acceptance import check_graph
from toolchain.target.protocol import BatchedProgram, PortableProgram, Session, SteppedProgram
from toolchain.target.records import empty_records, kept_quantities

SEQUENCE: Final = "network.onnx"
STEP: Final = "step.onnx"
_AT_ONCE: Final = 32
"""Samples of one call, in which what every connection sends takes 64 bits a number."""


@final
class OnnxSession:
    """A batch in the middle of a run, one step at a time.

    Args:
        graph: Float or fixed.
        batch: Number of samples stepped together.
    """

    def __init__(self, graph: Graph, batch: int) -> None:
        self._graph, self._batch = graph, batch
        self._model = _loaded(step_model(graph))
        self._clipping = ClippingTally.of(graph)
        self.reset()

    @property
    def clipped(self) -> tuple[ClippedInput, ...]:
        """What was clipped of the values that `step` was given since the last reset."""
        return self._clipping.clipped

    def reset(self) -> None:
        """Return to rest: no state, nothing in flight."""
        self._clipping.reset()
        inputs = {input_name(node.name) for node in self._graph.inputs}
        number = np.int64 if self._graph.stage is Stage.FIXED else np.float64
        self.state: dict[str, Array] = {}
        for item in self._model.get_inputs():
            if item.name not in inputs:
                shape = [self._batch if extent == "batch" else extent for extent in item.shape]
                self.state[item.name] = np.zeros(shape, number)

    def step(self, values: Mapping[str, Array]) -> dict[str, Array]:
        """Advance one step; take `[batch, *features]` per input, return spikes per population."""
        spikes = [node.name for node in self._graph.populations]
        names = [*(f"{name}.spikes" for name in spikes), *(next_state(name) for name in self.state)]
        fitted = fit_step(self._graph.inputs, values, self._batch)
        self._clipping.add(fitted)
        results = self._model.run(names, _typed(self._graph, fitted) | self.state)
        self.state = dict(zip(self.state, results[len(spikes) :], strict=True))
        return dict(zip(spikes, results, strict=False))


@final
class OnnxProgram:
    """A graph as ONNX models.

    Args:
        graph: Float or fixed.
    """

    def __init__(self, graph: Graph) -> None:
        check_graph(graph, CAPABILITIES)
        self._graph = graph
        model = sequence_model(graph)
        CAPABILITIES.check_size(graph, model.ByteSize())
        self._model = _loaded(model)

    def session(self, batch: int) -> OnnxSession:
        """Return a batch at rest."""
        return OnnxSession(self._graph, count_of(batch, "batch", least=1))

    def run(
        self,
        stimulus: Stimulus | Array | Mapping[str, Array],
        *,
        record: tuple[str, ...] = ("spikes",),
        progress: Progress = no_progress,
    ) -> Trace:
        """Run every sample from rest; progress counts samples."""
        check_quantities(record)
        fitted = fit_stimulus(self._graph, stimulus)
        records = empty_records(self._graph, fitted, record)
        wanted = kept_quantities(records, self._graph)
        names = [f"{name}.{quantity}" for name, quantities in wanted.items() for quantity in quantities]
        for start in range(0, fitted.samples, _AT_ONCE):
            part = slice(start, start + _AT_ONCE)
            values = {name: array[part] for name, array in fitted.values.items()}
            for name, array in zip(names, self._model.run(names, _typed(self._graph, values)), strict=True):
                node, _, quantity = name.rpartition(".")
                records[quantity][node][part] = array
            progress(min(start + _AT_ONCE, fitted.samples), fitted.samples)
        return Trace(**records)

    def batch_size(self, steps: int) -> int:
        """Return how many samples of a float graph run together; integers do not depend on cuts."""
        del steps
        return 1 if self._graph.stage is Stage.FIXED else _AT_ONCE

    def save(self, directory: Path) -> None:
        """Write the graph."""
        save_graph(self._graph, directory)

    def export(self, directory: Path) -> None:
        """Write `network.onnx`, a loop over time, and `step.onnx`, one step with its state."""
        for name, model in ((SEQUENCE, sequence_model(self._graph)), (STEP, step_model(self._graph))):
            content = with_graph(model, self._graph).SerializeToString()
            write_bytes(path_of(directory, "directory") / name, content)


def _loaded(model: onnx.ModelProto) -> Any:  # noqa: ANN401 - a compiled library without types
    options = onnxruntime.SessionOptions()
    # It raises what it logs, and would print names as they are.
    options.log_severity_level = 4
    return onnxruntime.InferenceSession(
        model.SerializeToString(), options, providers=["CPUExecutionProvider"]
    )


def _typed(graph: Graph, values: Mapping[str, Array]) -> dict[str, Array]:
    """Return what enters in the types of the model."""
    kinds = {node.name: np.float64 if node.edge is EdgeKind.GRADED else np.bool_ for node in graph.inputs}
    return {input_name(name): np.ascontiguousarray(values[name], kind) for name, kind in kinds.items()}


if TYPE_CHECKING:
    _is_batched: type[BatchedProgram] = OnnxProgram
    _is_stepped: type[SteppedProgram] = OnnxProgram
    _is_portable: type[PortableProgram] = OnnxProgram
    _is_session: type[Session] = OnnxSession
