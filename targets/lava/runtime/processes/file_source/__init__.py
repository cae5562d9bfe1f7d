"""A source that reads its spikes or messages from a file, one row per step."""

from typing import Any

import numpy as np
from lava.magma.core.decorator import implements, requires, tag
from lava.magma.core.model.py.model import PyLoihiProcessModel
from lava.magma.core.model.py.ports import PyOutPort
from lava.magma.core.model.py.type import LavaPyType
from lava.magma.core.process.ports.ports import OutPort
from lava.magma.core.process.process import AbstractProcess
from lava.magma.core.resources import CPU
from lava.magma.core.sync.protocols.loihi_protocol import LoihiProtocol


class FileSource(AbstractProcess):
    """Sends row `t - 1` of a `.npy` file at step `t`, zeros after its end.

    Args:
        path: File of shape `[steps, size]`.
        shape: Features of one step.
        name: Name of the process, for messages.
    """

    def __init__(self, *, path: str, shape: tuple[int, ...], name: str) -> None:
        super().__init__(path=path, shape=shape, name=name)
        self.s_out = OutPort(shape=shape)


class _FileSourceModel(PyLoihiProcessModel):
    """Maps the rows, and does not load them."""

    s_out: Any = None

    def __init__(self, proc_params: dict[str, Any]) -> None:
        super().__init__(proc_params)
        self._rows = np.load(proc_params["path"], mmap_mode="r", allow_pickle=False)
        self._silence = np.zeros(proc_params["shape"], self._rows.dtype)

    def run_spk(self) -> None:
        """Send the row of this step."""
        row = self.time_step - 1
        self.s_out.send(
            self._rows[row].reshape(self._silence.shape) if row < len(self._rows) else self._silence
        )


@implements(proc=FileSource, protocol=LoihiProtocol)
@requires(CPU)
@tag("fixed_pt")
class FixedFileSourceModel(_FileSourceModel):
    """Sends integers."""

    s_out = LavaPyType(PyOutPort.VEC_DENSE, np.int32)


@implements(proc=FileSource, protocol=LoihiProtocol)
@requires(CPU)
@tag("floating_pt")
class FloatFileSourceModel(_FileSourceModel):
    """Sends reals."""

    s_out = LavaPyType(PyOutPort.VEC_DENSE, float)
