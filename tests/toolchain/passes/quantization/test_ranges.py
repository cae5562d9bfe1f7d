"""Every documented range of Lava violated on purpose: a named error, never a silent clip."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from scipy.sparse import csr_array

from targets.lava.runtime.models import Models
from targets.lava.target import LavaTarget
from tests.graphs import chain, dense, feed_forward, fixed_dense, fixed_lif, lif
from toolchain import ir
from toolchain.errors import PreconditionError, TargetError, ToolchainError, VerifyError
from toolchain.fidelity import find_faults
from toolchain.fixedpoint import SignMode
from toolchain.ir import Decode, EdgeKind, Graph, Origin, verify
from toolchain.passes import QuantizeGraph
from toolchain.workflow.compile import compile_graph


def _fixed(weights: Any = None, neurons: dict[str, Any] | None = None, **connection: Any) -> Graph:
    synapses = fixed_dense("w", "x", [[2, -2]] if weights is None else weights, **connection)
    return chain(synapses, fixed_lif("p", ("w",), 1, **(neurons or {})), shape=(2,))


@pytest.mark.parametrize(
    ("neurons", "said"),
    [
        ({"du": 4096}, "du must lie in 0 .. 4095"),
        ({"du": -1}, "du must lie in 0 .. 4095"),
        ({"dv": 4096}, "dv must lie in 0 .. 4095"),
        ({"dv": -1}, "dv must lie in 0 .. 4095"),
        ({"vth": 2**17}, "vth must lie in 0 .. 131071"),
        ({"vth": -1}, "vth must lie in"),
        ({"bias_mantissa": 2**12}, "bias_mantissa must lie in -4096 .. 4095"),
        ({"bias_mantissa": -(2**12) - 1}, "bias_mantissa must lie in"),
        ({"bias_exponent": 8}, "bias_exponent must lie in 0 .. 7"),
        ({"bias_exponent": -1}, "bias_exponent must lie in"),
    ],
)
def test_registers_of_neurons(neurons: dict[str, int], said: str) -> None:
    graph = _fixed(neurons=neurons)
    with pytest.raises(VerifyError, match=f"node 'p': {said}"):
        verify(graph)
    with pytest.raises(VerifyError, match=f"node 'p': {said}"):
        LavaTarget().build(graph)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"weights": np.array([[300, 2]])}, "weight 300 would become 254"),
        ({"weights": np.array([[3, -2]])}, "weight 3 would become 2"),
        ({"weights": np.array([[2, -3]])}, "weight -3 would become -4"),
        ({"weights": np.array([[-1, 2]]), "sign_mode": SignMode.EXCITATORY}, "weight -1 would become 0"),
        (
            {"weights": np.array([[-256, 1]]), "sign_mode": SignMode.INHIBITORY},
            "weight -256 would become -255",
        ),
        ({"weights": np.array([[2, -2]]), "weight_bits": 4}, "weight 2 would become 0"),
        ({"exponent": 8}, "exponent -8 .. 7"),
        ({"exponent": -9}, "exponent -8 .. 7"),
        ({"weight_bits": 9}, "1 .. 8 bits"),
        ({"weight_bits": 0}, "1 .. 8 bits"),
    ],
)
def test_weights_and_exponents(changes: dict[str, Any], said: str) -> None:
    with pytest.raises(VerifyError, match=f"node 'w': .*{said}"):
        LavaTarget().build(_fixed(**changes))


def test_delays_and_messages() -> None:
    with pytest.raises(VerifyError, match="node 'w': .*delay"):
        verify(_fixed(delays=np.array([[-1, 0]])))
    for bits in (0, 25):
        graph = _fixed()
        wide = graph.map(
            lambda n, bits=bits: replace(n, edge=EdgeKind.GRADED, bits=bits) if isinstance(n, ir.Input) else n
        )
        with pytest.raises(VerifyError, match="node 'x': expected 1 to 24 bits"):
            LavaTarget().build(wide)


def test_sums_of_convolutions_beyond_thirty_two_bits() -> None:
    registers = {"du": 4095, "dv": 0, "vth": 9, "bias_mantissa": 0, "bias_exponent": 0}
    numbers: dict[str, Any] = {key: np.full((1, 2, 2), value) for key, value in registers.items()}
    graph = Graph(
        (
            ir.Input(name="x", shape=(1, 4, 4), edge=EdgeKind.GRADED, bits=20),
            ir.FixedConv2d(
                name="w",
                inputs=("x",),
                weights=np.full((1, 1, 3, 3), 254),
                exponent=3,
                sign_mode=SignMode.MIXED,
            ),
            ir.FixedLif(
                name="p",
                inputs=("w",),
                **numbers,
                scale=np.ones((1, 2, 2)),
                origin=Origin.whole("p", 4),
            ),
            ir.Output(name="o", inputs=("p",), decode=Decode.SPIKE_COUNT),
        )
    )
    with pytest.raises(VerifyError, match=r"node 'w': its sums can reach \d+, expected less than 2\^31"):
        LavaTarget().build(graph)


def test_geometry_that_lavas_own_convolution_would_wrap_in_silence() -> None:
    kernels = ir.Conv2d(name="w", inputs=("x",), weights=np.ones((130, 1, 1, 1)), groups=130)
    graph = chain(kernels, lif_image("p", ("w",), (130, 1, 1)), shape=(130, 1, 1))
    with pytest.raises(TargetError, match="convolution 'w': .* cannot hold 130"):
        LavaTarget(models=Models.STOCK).build(graph)


def lif_image(name: str, inputs: tuple[str, ...], shape: tuple[int, ...]) -> Any:
    flat = lif(name, inputs, int(np.prod(shape)))
    return replace(flat, **{key: getattr(flat, key).reshape(shape) for key in ("du", "dv", "vth", "bias")})


@pytest.mark.parametrize(
    ("changes", "scaled"),
    [
        ({"vth": 1e9}, "vth"),
        ({"bias": 1e6, "vth": 10.0}, "bias_mantissa"),
        ({"vth": 1e-9}, "vth"),
    ],
)
def test_a_network_out_of_range_is_scaled_into_it_and_never_clipped(
    changes: dict[str, float], scaled: str
) -> None:
    """Whatever the numbers, the compiler finds a scale at which registers hold them, or says it cannot."""
    synapses = dense("w", "x", csr_array(np.array([[1e3, -1e-3]])))
    graph = chain(synapses, lif("p", ("w",), 1, **changes), shape=(2,))
    build = compile_graph(graph, target="lava")
    verify(build.fixed_graph)
    assert list(find_faults(build.float_graph, build.fixed_graph)) == []
    assert all(row.clipped == 0 for row in build.quantization.connections.values())
    assert getattr(build.fixed_graph["p"], scaled) is not None


def test_a_range_that_no_scale_holds_is_a_named_error() -> None:
    endless = feed_forward().map(
        lambda n: replace(n, dv=np.zeros(n.vth.shape)) if isinstance(n, ir.Lif) and n.name == "hidden" else n
    )
    with pytest.raises(PreconditionError, match="population 'hidden' does not fit 24 bits at any scale"):
        compile_graph(endless, target="lava")
    wide = feed_forward().map(
        lambda n: replace(n, du=np.zeros(n.vth.shape)) if isinstance(n, ir.Lif) and n.name == "hidden" else n
    )
    with pytest.raises(ToolchainError):
        QuantizeGraph(weight_bits=16)(wide)
