"""A graph whose run would exceed the memory is refused by node and size, before anything is allocated."""

import tracemalloc
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from scipy.sparse import csr_array, random_array

from tests.graphs import chain, dense, feed_forward, fixed_lif, lif, recurrent
from toolchain import ir
from toolchain.errors import VerifyError
from toolchain.fixedpoint import SignMode
from toolchain.ir import AnyNode, Decode, Graph, Origin, save_graph, verify
from toolchain.ir.footprint import check_node


def _image(*nodes: AnyNode, shape: tuple[int, int, int], neurons: tuple[int, ...]) -> Graph:
    """Nodes between an input `x` and a population `p` that reads the last of them."""
    ones = np.ones(neurons)
    size = int(np.prod(neurons))
    population = ir.Lif(
        name="p",
        inputs=(nodes[-1].name,),
        du=ones,
        dv=ones,
        vth=ones,
        bias=ones,
        origin=Origin.whole("p", size),
    )
    return chain(*nodes, population, shape=shape)


def _padded_pool() -> Graph:
    pool = ir.MaxPool2d(
        name="pool", inputs=("x",), kernel=(10**5 + 1, 10**5 + 1), stride=(1, 1), padding=(10**5, 10**5)
    )
    reads = ir.Dense(name="read", inputs=("pool",), weights=csr_array((1, 100_004**2)))
    return _image(pool, reads, shape=(1, 4, 4), neurons=(1,))


def _large_pool() -> Graph:
    pool = ir.SumPool2d(
        name="pool",
        inputs=("x",),
        kernel=(10**6, 10**6),
        stride=(10**6, 10**6),
        padding=(5 * 10**5, 5 * 10**5),
    )
    return _image(
        pool, ir.Dense(name="read", inputs=("pool",), weights=np.ones((1, 1))), shape=(1, 4, 4), neurons=(1,)
    )


def _dilated() -> Graph:
    conv = ir.Conv2d(
        name="conv",
        inputs=("x",),
        weights=np.ones((1, 1, 2, 2)),
        dilation=(10**6, 10**6),
        padding=(5 * 10**5, 5 * 10**5),
    )
    return _image(conv, shape=(1, 4, 4), neurons=(1, 4, 4))


def _padded_convolution() -> Graph:
    conv = ir.Conv2d(
        name="conv",
        inputs=("x",),
        weights=np.ones((1, 1, 1, 1)),
        stride=(10**6, 10**6),
        padding=(5 * 10**5, 5 * 10**5),
    )
    return _image(conv, shape=(1, 4, 4), neurons=(1, 2, 2))


def _long_delay() -> Graph:
    return _waiting(2**24)


def _waiting(steps: int) -> Graph:
    size = 4096
    wait = ir.Delay(name="wait", inputs=("x",), shape=(size,), steps=steps)
    read = ir.Dense(name="read", inputs=("wait",), weights=csr_array((1, size)))
    return chain(wait, read, lif("p", ("read",), 1), shape=(size,))


def _many_delays() -> Graph:
    weights = np.ones((1000, 1000))
    delays = np.arange(10**6).reshape(1000, 1000)
    return chain(dense("read", "x", weights, delays=delays), lif("p", ("read",), 1000), shape=(1000,))


def _large_input() -> Graph:
    return _image(
        ir.Dense(name="read", inputs=("x",), weights=csr_array((1, 2**40))),
        shape=(2**20, 2**10, 2**10),
        neurons=(1,),
    )


HOSTILE: dict[str, tuple[Callable[[], Graph], str, str]] = {
    "a pooling of padding 10^5": (_padded_pool, "pool", "for one sample it needs .*(TiB|GiB)"),
    "a pooling of 10^12 elements": (_large_pool, "pool", "its sums can reach 1000000000000"),
    "a convolution of dilation 10^6": (_dilated, "conv", "for one sample it needs .*(29|7450.6 GiB)"),
    "a convolution of padding 10^6": (_padded_convolution, "conv", "for one sample it needs .*GiB"),
    "a delay of 2^24 steps": (_long_delay, "wait", "for one sample it needs .*GiB"),
    "a delay of its own for every synapse": (_many_delays, "read", "for one sample it needs .*GiB"),
    "an input of 2^40 values": (_large_input, "x", "for one sample it needs .*GiB"),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_a_graph_too_large_to_run_is_refused_by_its_node(name: str) -> None:
    make, node, reason = HOSTILE[name]
    graph = make()
    tracemalloc.start()
    try:
        with pytest.raises(VerifyError, match=f"node '{node}': {reason}") as caught:
            verify(graph)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert caught.value.node == node
    assert peak < 100 * 2**20


def test_a_network_whose_parts_fit_but_not_together_names_the_largest(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    graph = feed_forward()
    monkeypatch.setenv("PUMICE_MEMORY", "1200")
    with pytest.raises(VerifyError, match="node 'hidden': the network around it needs .* bytes"):
        verify(graph)
    monkeypatch.setenv("PUMICE_MEMORY", "20K")
    verify(graph)


@pytest.mark.parametrize("steps", [2**24 + 1, 10**9])
def test_a_delay_is_bounded(steps: int, rng: np.random.Generator) -> None:
    graph = recurrent(rng)
    changed = graph.map(lambda node: replace(node, steps=steps) if node.name == "wait" else node)
    with pytest.raises(VerifyError, match="delays of 0 to 16777216 steps"):
        verify(changed)
    delays = np.full((12, 6), steps)
    changed = graph.map(lambda node: replace(node, delays=delays) if node.name == "encode" else node)
    with pytest.raises(VerifyError, match="delays of 0 to 16777216 steps"):
        verify(changed)


def test_a_pooling_pads_less_than_its_window() -> None:
    pool = ir.MaxPool2d(name="pool", inputs=("x",), kernel=(2, 3), stride=(1, 1), padding=(2, 0))
    read = ir.Dense(name="read", inputs=("pool",), weights=np.ones((1, 14)))
    with pytest.raises(VerifyError, match=r"padding smaller than the window of \(2, 3\), got \(2, 0\)"):
        verify(_image(pool, read, shape=(1, 4, 4), neurons=(1,)))


def test_numbers_of_a_geometry_have_32_bits() -> None:
    pool = ir.MaxPool2d(name="pool", inputs=("x",), kernel=(1, 1), stride=(2**31, 1))
    with pytest.raises(VerifyError, match="stride below 2"):
        verify(_image(pool, shape=(1, 4, 4), neurons=(1,)))


def test_a_build_too_large_to_run_is_not_loaded(tmp_path: Path) -> None:
    with pytest.raises(VerifyError, match="conv"):
        save_graph(_dilated(), tmp_path)


def test_what_one_target_makes_of_a_node_is_asked_for_there(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PUMICE_MEMORY", "2K")
    with pytest.raises(VerifyError, match="node 'w': as ONNX writes matrices it needs 2.0 KiB"):
        check_node("w", "as ONNX writes matrices it", 2000)
    check_node("w", "as ONNX writes matrices it", 1000)


def _sparse_loop(neurons: int, density: float) -> Graph:
    weights = random_array((neurons, neurons), density=density, format="csr", rng=np.random.default_rng(0))
    return chain(
        dense("encode", "x", csr_array((neurons, 16))),
        ir.Delay(name="wait", inputs=("p",), shape=(neurons,), steps=1),
        dense("recur", "wait", weights),
        lif("p", ("encode", "recur"), neurons),
        shape=(16,),
    )


def _vgg() -> Graph:
    """The convolutions of VGG-16 on pictures of 32 x 32."""
    nodes: list[AnyNode] = [ir.Input(name="x", shape=(3, 32, 32))]
    channels, size, last = 3, 32, "x"
    for block, (count, width) in enumerate(((2, 64), (2, 128), (3, 256), (3, 512), (3, 512))):
        for place in range(count):
            name = f"{block}.{place}"
            shape, zeros = (width, size, size), np.zeros((width, size, size), np.int32)
            weights = np.zeros((width, channels, 3, 3), np.int32)
            nodes += [
                ir.FixedConv2d(
                    name=f"c{name}", inputs=(last,), weights=weights, exponent=0, sign_mode=SignMode.MIXED,
                    padding=(1, 1),
                ),
                ir.FixedLif(
                    name=f"p{name}", inputs=(f"c{name}",), du=zeros, dv=zeros, vth=zeros, bias_mantissa=zeros,
                    bias_exponent=zeros, scale=np.ones(shape), origin=Origin.whole(name, zeros.size),
                ),
            ]  # fmt: skip
            channels, last = width, f"p{name}"
        nodes.append(ir.MaxPool2d(name=f"m{block}", inputs=(last,), kernel=(2, 2), stride=(2, 2)))
        size, last = size // 2, f"m{block}"
    dense = np.zeros((10, 512), np.int32)
    read = fixed_lif("p", ("read",), 10)
    return Graph(
        (
            *nodes,
            ir.FixedDense(name="read", inputs=(last,), weights=dense, exponent=0, sign_mode=SignMode.MIXED),
            read,
            ir.Output(name="o", inputs=("p",), decode=Decode.SPIKE_COUNT),
        )
    )


@pytest.mark.parametrize(
    "make", [_vgg, lambda: _sparse_loop(50_000, 0.0002)], ids=["VGG-16", "50,000 neurons"]
)
def test_networks_of_real_use_fit_a_machine_of_4_gib(
    make: Callable[[], Graph], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PUMICE_MEMORY", "4G")
    verify(make())
