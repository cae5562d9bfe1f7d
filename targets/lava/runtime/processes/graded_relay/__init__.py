"""A stateless process that sends on, as a message, what it received: the neurons of a sum pooling."""

# pyright: reportAssignmentType=false, reportCallIssue=false, reportArgumentType=false
# Lava declares an attribute by assigning a LavaPyType where the builder later puts the value.
from typing import Any

import numpy as np
from lava.magma.core.decorator import implements, requires, tag
from lava.magma.core.model.py.model import PyLoihiProcessModel
from lava.magma.core.model.py.ports import PyInPort, PyOutPort
from lava.magma.core.model.py.type import LavaPyType
from lava.magma.core.process.ports.ports import InPort, OutPort
from lava.magma.core.process.process import AbstractProcess
from lava.magma.core.resources import CPU
from lava.magma.core.sync.protocols.loihi_protocol import LoihiProtocol

from ...windows import SampleWindows


class GradedRelay(AbstractProcess):
    """Sends the sum of its input in the same step, as graded spikes, inside its sample windows only.

    Args:
        shape: Features of one step.
        windows: When the samples of the simulation begin and end.
        offset: Step of Lava at which it does step 0 of the first sample.
        name: Name of the process, for messages.
    """

    def __init__(self, *, shape: tuple[int, ...], windows: SampleWindows, offset: int, name: str) -> None:
        super().__init__(windows=windows, offset=offset, name=name)
        self.a_in = InPort(shape=shape)
        self.s_out = OutPort(shape=shape)


class _GradedRelayModel(PyLoihiProcessModel):
    a_in: Any = None
    s_out: Any = None

    def run_spk(self) -> None:
        """Pass on inside a window; be silent outside."""
        a = self.a_in.recv()
        parameters: Any = self.proc_params
        position = parameters["windows"].position(self.time_step, parameters["offset"])
        self.s_out.send(a * 0 if position is None else a)


@implements(proc=GradedRelay, protocol=LoihiProtocol)
@requires(CPU)
@tag("fixed_pt")
class FixedGradedRelayModel(_GradedRelayModel):
    """Sends integers."""

    a_in = LavaPyType(PyInPort.VEC_DENSE, np.int32, precision=24)
    s_out = LavaPyType(PyOutPort.VEC_DENSE, np.int32, precision=24)


@implements(proc=GradedRelay, protocol=LoihiProtocol)
@requires(CPU)
@tag("floating_pt")
class FloatGradedRelayModel(_GradedRelayModel):
    """Sends reals."""

    a_in = LavaPyType(PyInPort.VEC_DENSE, float)
    s_out = LavaPyType(PyOutPort.VEC_DENSE, float)
