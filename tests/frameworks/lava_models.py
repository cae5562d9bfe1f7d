"""Lava's own process models without its runtime: a thread for each, a queue for each connection.

Lava starts a process of the operating system per model; here the same models, ports and transformations of
the network that Lava-DL built are run in one, so that a thousand networks take minutes.
"""

import queue
import threading
from collections.abc import Callable
from functools import reduce
from typing import Any

import numpy as np
from lava.magma.core.process.ports.ports import create_port_id
from lava.proc.conv.models import PyConvModelFixed
from lava.proc.conv.process import Conv
from lava.proc.dense.models import PyDelayDenseModelBitAcc, PyDenseModelBitAcc
from lava.proc.dense.process import DelayDense, Dense
from lava.proc.lif.models import PyLifModelBitAcc
from lava.proc.lif.process import LIF

MODELS = {
    Conv: PyConvModelFixed,
    DelayDense: PyDelayDenseModelBitAcc,
    Dense: PyDenseModelBitAcc,
    LIF: PyLifModelBitAcc,
}
"""What Lava's run configuration chooses for integers."""
_PATIENCE = 120.0
"""Seconds after which a model that waits for another gives up: the other has raised."""


class _OutPort:
    def __init__(self, number: Any) -> None:
        self.number, self.queues = number, []

    def send(self, data: np.ndarray) -> None:
        for each in self.queues:
            each.put(np.asarray(data).astype(self.number))


class _InPort:
    def __init__(self, port: Any, number: Any) -> None:
        self.zeros = np.zeros(port.shape, number)
        self.sources: list[tuple[queue.Queue[np.ndarray], list[Callable[[np.ndarray], np.ndarray]]]] = []

    def recv(self) -> np.ndarray:
        """Return the sum over all connections, as `PyInPortVectorDense` does."""
        total = self.zeros
        for each, transforms in self.sources:
            data = reduce(lambda x, change: change(x), transforms, each.get(timeout=_PATIENCE))
            total = total + data
        return total


def run_models(net: Any, source: Any, steps: int) -> None:
    """Run the layers of a Lava-DL network for some steps; its neurons record themselves.

    Args:
        net: `lava.lib.dl.netx.hdf5.Network`.
        source: The process that is connected to it, a `RingBuffer`, or None.
        steps: How many.

    Raises:
        Exception: Whatever a model raises.
    """
    parts = [
        getattr(layer, name, None) for layer in net.layers for name in ("synapse", "synapse_rec", "neuron")
    ]
    processes = [part for part in parts if part is not None]
    models = {process.id: _model(process) for process in processes}
    outs = {
        create_port_id(process.id, port.name): (process, port)
        for process in processes
        for port in process.out_ports
    }
    senders = {name: getattr(models[process.id], port.name) for name, (process, port) in outs.items()}
    if source is not None:
        senders[create_port_id(source.id, source.s_out.name)] = _OutPort(int)
    for process in processes:
        for port in process.in_ports:
            _connect(port, getattr(models[process.id], port.name), senders)
    if source is not None:
        for t in range(steps):
            senders[create_port_id(source.id, source.s_out.name)].send(source.data.init[..., t])
    _run_all(list(models.values()), steps)


def _model(process: Any) -> Any:
    """Build a model as Lava's `PyProcessBuilder` does: variables in the types that the model states."""
    kind = MODELS[type(process)]
    model: Any = kind(process.proc_params)
    model.model_id = process.id
    for var in process.vars:
        stated = getattr(kind, var.name)
        if issubclass(stated.cls, np.ndarray):
            value = stated.cls(var.shape, stated.d_type)
            value[:] = var.init
        else:
            value = var.init
        setattr(model, var.name, value)
    for port in process.in_ports:
        setattr(model, port.name, _InPort(port, getattr(kind, port.name).d_type))
    for port in process.out_ports:
        setattr(model, port.name, _OutPort(getattr(kind, port.name).d_type))
    return model


def _connect(port: Any, receiver: _InPort, senders: dict[str, _OutPort]) -> None:
    transforms = port.get_incoming_transform_funcs()
    for source in port.get_src_ports():
        name = create_port_id(source.process.id, source.name)
        if name in senders:
            each: queue.Queue[np.ndarray] = queue.Queue()
            senders[name].queues.append(each)
            receiver.sources.append((each, transforms.get(name, [])))


def _run_all(models: list[Any], steps: int) -> None:
    raised: list[Exception] = []

    def run(model: Any) -> None:
        try:
            for _ in range(steps):
                model.run_spk()
        except Exception as error:  # noqa: BLE001 - told to the caller
            raised.append(error)

    threads = [threading.Thread(target=run, args=(model,), daemon=True) for model in models]
    for thread in threads:
        thread.start()
    while any(thread.is_alive() for thread in threads) and not raised:
        for thread in threads:
            thread.join(timeout=0.05)
    if raised:
        raise raised[0]
