"""A population with all its connections in one process: the same steps as Lava's processes, fewer messages.

A process of Lava costs a round of messages at every step, whatever it computes. Here a population, or the
sums of a pooling, holds its connections itself and reads the stimulus from its file, so that a network has as
many processes as populations.
"""

# pyright: reportAssignmentType=false, reportCallIssue=false, reportArgumentType=false
# Lava declares an attribute by assigning a LavaPyType where the builder later puts the value.
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, final

import numpy as np
from lava.magma.core.decorator import implements, requires, tag
from lava.magma.core.model.py.model import PyLoihiProcessModel
from lava.magma.core.model.py.ports import PyInPort, PyOutPort
from lava.magma.core.model.py.type import LavaPyType
from lava.magma.core.process.ports.ports import InPort, OutPort
from lava.magma.core.process.process import AbstractProcess
from lava.magma.core.resources import CPU
from lava.magma.core.sync.protocols.loihi_protocol import LoihiProtocol
from scipy.sparse import csr_array

from ... import integers, reals
from ...firing import Array, Firing, PopulationState
from ...windows import SampleWindows, WindowedModel

PORTS: Final = 8
"""Distinct populations that one population may read; Lava wants them declared."""
OWN: Final = -1
"""In place of a port: the population's own spikes."""


@final
@dataclass(frozen=True)
class LayerSynapses:
    """Dense or sparse synapses.

    Attributes:
        weights: `[targets, sources]`.
        exponent: Power of two by which integers are multiplied; 0 for real numbers.
        fixed: Whether the weights are integers.
    """

    weights: Array | csr_array = field(repr=False)
    exponent: int
    fixed: bool

    def __call__(self, x: Array) -> Array:
        """Return the currents of all targets."""
        flat = x.ravel()
        if isinstance(self.weights, csr_array):
            total = self.weights @ flat.astype(self.weights.dtype)
        elif flat.dtype == bool:
            total = self.weights[:, flat].sum(axis=1, dtype=self.weights.dtype)
        else:
            total = self.weights @ flat.astype(self.weights.dtype)
        return integers.shift(total, self.exponent) if self.fixed else total


@final
@dataclass(frozen=True)
class LayerLink:
    """One connection of a layer.

    Attributes:
        port: Port of the layer that it reads, or `OWN`.
        path: File `[steps, size]`, if it reads one and not a port; otherwise empty.
        graded: Whether messages are more than spikes.
        currents: Function from a message to the currents of all targets, in the order of the graph.
    """

    port: int
    path: str
    graded: bool
    currents: Callable[[Array], Array]


class LayerProcess(AbstractProcess):
    """A population, or the sums of a pooling, with all connections that lead to it.

    Args:
        shape: Features of one step.
        parameters: `du`, `dv`, `vth`, `bias` of each neuron; None if it passes on its sums.
        firing: What a spike does.
        links: Connections that lead to it.
        ports: Shapes of what it reads from other processes.
        windows: When the samples of the simulation begin and end.
        offset: Step of Lava at which it does step 0 of the first sample.
        records: Paths of `.npy` files `[samples, steps, N]` for `spikes`, `v`, `u`.
        name: Name of the process, for messages.
    """

    def __init__(
        self,
        *,
        shape: tuple[int, ...],
        parameters: dict[str, Array] | None,
        firing: Firing,
        links: Sequence[LayerLink],
        ports: Sequence[tuple[int, ...]],
        windows: SampleWindows,
        offset: int,
        records: dict[str, str],
        name: str,
    ) -> None:
        super().__init__(
            shape=shape,
            parameters=parameters,
            firing=firing,
            links=tuple(links),
            windows=windows,
            offset=offset,
            records=records,
            name=name,
        )
        for i in range(PORTS):
            setattr(self, f"s_in{i}", InPort(shape=ports[i] if i < len(ports) else (1,)))
        self.s_out = OutPort(shape=shape)


class _LayerModel(WindowedModel, PyLoihiProcessModel):
    """Acts in the next step on what arrives now: that is the step that a connection takes."""

    s_out: Any = None
    number: type[np.generic] = np.int32
    step: Callable[..., tuple[PopulationState, Array]]

    def __init__(self, proc_params: dict[str, Any]) -> None:
        super().__init__(proc_params)
        shape = proc_params["shape"]
        self.links: tuple[LayerLink, ...] = proc_params["links"]
        self.u, self.v, self.rise = (np.zeros(shape, self.number) for _ in range(3))
        self.waiting = np.zeros(shape, np.int32)
        self.next = np.zeros(shape, self.number)
        self.files = {
            link.path: np.load(link.path, mmap_mode="r", allow_pickle=False)
            for link in self.links
            if link.path
        }
        self.ports = sorted({link.port for link in self.links if link.port >= 0})

    def run_spk(self) -> None:
        """Act on what arrived in the step before, send, and take in what arrives."""
        a, self.next = self.next, np.zeros_like(self.next)
        position = self.enter_step()
        sent = np.zeros(a.shape, self.number)
        if position is not None:
            sent = a if self.proc_params["parameters"] is None else self.advance(a)
            self.record(*position, sent)
            sent = sent.astype(self.number)
        self.s_out.send(sent)
        arrived = {port: getattr(self, f"s_in{port}").recv() for port in self.ports} | {OWN: sent}
        for link in self.links:
            x = self._row(link.path) if link.path else arrived[link.port]
            if x is not None and x.any():
                self.next += link.currents(x if link.graded else x.astype(bool)).reshape(a.shape)

    def advance(self, a: Array) -> Array:
        """Do one step of the dynamics."""
        after, spikes = self.step(self.state, a, self.proc_params["firing"], **self.proc_params["parameters"])
        self.u, self.v, self.waiting, self.rise = after
        return spikes

    def _row(self, path: str) -> Array | None:
        rows = self.files[path]
        row = self.time_step - 1
        return rows[row] if row < len(rows) else None


@implements(proc=LayerProcess, protocol=LoihiProtocol)
@requires(CPU)
@tag("fixed_pt")
class FixedLayerModel(_LayerModel):
    """Advances by the rules of `integers`."""

    s_out = LavaPyType(PyOutPort.VEC_DENSE, np.int32)
    s_in0 = LavaPyType(PyInPort.VEC_DENSE, np.int32)
    s_in1 = LavaPyType(PyInPort.VEC_DENSE, np.int32)
    s_in2 = LavaPyType(PyInPort.VEC_DENSE, np.int32)
    s_in3 = LavaPyType(PyInPort.VEC_DENSE, np.int32)
    s_in4 = LavaPyType(PyInPort.VEC_DENSE, np.int32)
    s_in5 = LavaPyType(PyInPort.VEC_DENSE, np.int32)
    s_in6 = LavaPyType(PyInPort.VEC_DENSE, np.int32)
    s_in7 = LavaPyType(PyInPort.VEC_DENSE, np.int32)
    number = np.int32
    step = staticmethod(integers.lif_step)


@implements(proc=LayerProcess, protocol=LoihiProtocol)
@requires(CPU)
@tag("floating_pt")
class FloatLayerModel(_LayerModel):
    """Reals in double precision."""

    s_out = LavaPyType(PyOutPort.VEC_DENSE, float)
    s_in0 = LavaPyType(PyInPort.VEC_DENSE, float)
    s_in1 = LavaPyType(PyInPort.VEC_DENSE, float)
    s_in2 = LavaPyType(PyInPort.VEC_DENSE, float)
    s_in3 = LavaPyType(PyInPort.VEC_DENSE, float)
    s_in4 = LavaPyType(PyInPort.VEC_DENSE, float)
    s_in5 = LavaPyType(PyInPort.VEC_DENSE, float)
    s_in6 = LavaPyType(PyInPort.VEC_DENSE, float)
    s_in7 = LavaPyType(PyInPort.VEC_DENSE, float)
    number = np.float64
    step = staticmethod(reals.lif_step)
