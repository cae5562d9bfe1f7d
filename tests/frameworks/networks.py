"""Networks of ours that other frameworks are asked to read."""

from typing import Any

import numpy as np

from toolchain import ir
from toolchain.ir import Decode, Graph, Origin


def neurons(name: str, inputs: tuple[str, ...], shape: tuple[int, ...], **changes: Any) -> ir.Lif:
    given: dict[str, Any] = {"du": 1.0, "dv": 0.2, "vth": 0.5, "bias": 0.0} | changes
    arrays: dict[str, Any] = {
        key: np.broadcast_to(np.asarray(value, float), shape) for key, value in given.items()
    }
    return ir.Lif(name=name, inputs=inputs, origin=Origin.whole(name, int(np.prod(shape))), **arrays)


def leaky(**changes: Any) -> Graph:
    """Six inputs, eight neurons."""
    rng = np.random.default_rng(3)
    return Graph(
        (
            ir.Input(name="x", shape=(6,)),
            ir.Dense(name="fc", inputs=("x",), weights=rng.normal(size=(8, 6))),
            neurons("hidden", ("fc",), (8,), **changes),
            ir.Output(name="output", inputs=("hidden",), decode=Decode.SPIKE_COUNT),
        )
    )


def recurrent(**changes: Any) -> Graph:
    """Eight neurons that excite and inhibit one another."""
    rng = np.random.default_rng(4)
    return Graph(
        (
            ir.Input(name="x", shape=(6,)),
            ir.Dense(name="fc", inputs=("x",), weights=rng.normal(size=(8, 6))),
            ir.Delay(name="before", inputs=("hidden",), shape=(8,)),
            ir.Dense(name="rec", inputs=("before",), weights=rng.normal(size=(8, 8)) * 0.5),
            neurons("hidden", ("fc", "rec"), (8,), **({"vth": 1.0} | changes)),
            ir.Output(name="output", inputs=("hidden",), decode=Decode.SPIKE_COUNT),
        )
    )


def feedback(**changes: Any) -> Graph:
    """Two layers of neurons; the second reaches the first one step later, and itself."""
    rng = np.random.default_rng(7)
    return Graph(
        (
            ir.Input(name="x", shape=(6,)),
            ir.Dense(name="fc", inputs=("x",), weights=rng.normal(size=(8, 6))),
            ir.Delay(name="before", inputs=("second",), shape=(5,)),
            ir.Dense(name="back", inputs=("before",), weights=rng.normal(size=(8, 5))),
            neurons("first", ("fc", "back"), (8,), **({"vth": 1.0} | changes)),
            ir.Dense(name="on", inputs=("first",), weights=rng.normal(size=(5, 8))),
            ir.Dense(name="own", inputs=("before",), weights=rng.normal(size=(5, 5)) * 0.3),
            neurons("second", ("on", "own"), (5,), **({"vth": 1.0} | changes)),
            ir.Output(name="output", inputs=("second",), decode=Decode.SPIKE_COUNT),
        )
    )


def readout() -> Graph:
    """Neurons that never fire, behind others."""
    rng = np.random.default_rng(5)
    return Graph(
        (
            ir.Input(name="x", shape=(6,)),
            ir.Dense(name="fc", inputs=("x",), weights=rng.normal(size=(8, 6))),
            neurons("hidden", ("fc",), (8,), dv=0.0),
            ir.Dense(name="out", inputs=("hidden",), weights=rng.normal(size=(3, 8))),
            neurons("readout", ("out",), (3,), dv=0.1, vth=np.inf),
            ir.Output(name="output", inputs=("readout",), decode=Decode.LAST_V),
        )
    )


def images(*, pooled: bool, dv: float = 0.2) -> Graph:
    """A convolution, and a dense layer behind sums over windows or behind all of it."""
    rng = np.random.default_rng(6)
    pool = ir.SumPool2d(name="pool", inputs=("first",), kernel=(2, 2), stride=(2, 2))
    source, size = ("pool", 64) if pooled else ("first", 256)
    return Graph(
        (
            ir.Input(name="x", shape=(2, 8, 8)),
            ir.Conv2d(name="conv", inputs=("x",), weights=rng.normal(size=(4, 2, 3, 3)), padding=(1, 1)),
            neurons("first", ("conv",), (4, 8, 8), vth=1.0, dv=dv, bias=0.05),
            *((pool,) if pooled else ()),
            ir.Dense(name="fc", inputs=(source,), weights=rng.normal(size=(5, size)) * 0.3),
            neurons("second", ("fc",), (5,), vth=1.0, dv=dv),
            ir.Output(name="output", inputs=("second",), decode=Decode.SPIKE_COUNT),
        )
    )
