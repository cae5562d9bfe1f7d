"""What stands in a header and a source: integers only, our names only, and the truth about memory."""

import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy.sparse import csr_array

from targets.c import source as written
from targets.c.source import NetworkCode
from tests.graphs import fixed_lif, recurrent, union
from tests.image_graphs import ImageRecipe, random_images
from tests.random_graphs import Recipe, random_fixed
from tests.targets import conformance
from tests.targets.c.firmware import run_firmware
from tests.targets.c.strict import check_equal
from toolchain import ir
from toolchain.errors import TargetError, VerifyError
from toolchain.execution import reference
from toolchain.fidelity import predictions
from toolchain.fixedpoint import SignMode
from toolchain.ir import Decode, EdgeKind, Graph, Origin

_NASTY = '*/ int main; /* "\\ ??/\n#error \u202e'


def _dense(name: str, source: str, weights: Any, **others: Any) -> ir.FixedDense:
    fields: dict[str, Any] = {"exponent": 0, "sign_mode": SignMode.MIXED} | others
    return ir.FixedDense(name=name, inputs=(source,), weights=weights, **fields)


def _small(decode: Decode = Decode.NONE, **output: Any) -> Graph:
    rng = np.random.default_rng(5)
    return Graph(
        (
            ir.Input(name="x", shape=(6,)),
            _dense("w", "x", 2 * rng.integers(-40, 60, (4, 6))),
            fixed_lif("p", ("w",), 4, vth=60),
            ir.Output(name="o", inputs=("p",), decode=decode, **output),
        )
    )


def _code_of(text: str) -> str:
    """The text without its comments."""
    return re.sub(r"/\*.*?\*/", "", text, flags=re.DOTALL)


def test_names_and_texts_of_strangers_stay_outside_of_the_code() -> None:
    names = {"x": "int", "w": "INT", "p": "a.b-c", "o": "9_return"}
    graph = Graph(
        tuple(
            replace(node, name=names[node.name], inputs=tuple(names[name] for name in node.inputs))
            for node in _small(classes=(_NASTY, "b", "c", "d"))
        ),
        name=_NASTY,
    )
    graph = graph.map(
        lambda node: (
            replace(node, origin=Origin(_NASTY, node.origin.elements))
            if isinstance(node, ir.FixedLif)
            else node
        )
    )
    code = NetworkCode(graph)
    for text in (code.header(), code.source(), code.driver()):
        assert text.isascii()
        assert not re.search(r"\?\?|\u202e|int main;", _code_of(text))
        assert text.count("/*") == text.count("*/") == len(re.findall(r"/\*.*?\*/", text, re.DOTALL))
        assert not re.search(r"\?\?|\\$|#error", text, re.MULTILINE)
    check_equal(graph, np.ones((1, 5, 6), bool))


def test_nodes_that_are_called_alike_do_not_meet() -> None:
    graph = union([random_fixed(replace(conformance.RECIPE, seed=i)) for i in range(2)])
    alike = {"g0": "G", "g1": "g"}

    def renamed(name: str) -> str:
        group, _, rest = name.partition("-")
        return f"{alike[group]}-{rest}"

    nodes = (
        replace(node, name=renamed(node.name), inputs=tuple(map(renamed, node.inputs))) for node in graph
    )
    graph = Graph(tuple(nodes))
    x = np.random.default_rng(0).random((1, 6, 4)) < 0.5
    check_equal(graph, {node.name: x for node in graph.inputs})


@pytest.mark.parametrize(
    "graph", [conformance.graph(), random_fixed(conformance.FIRING), random_images(ImageRecipe(seed=5))]
)
def test_the_code_holds_integers_only_and_calls_nobody(graph: Graph) -> None:
    code = NetworkCode(graph)
    text = _code_of(code.header() + code.source())
    assert set(re.findall(r"#include (\S+)", text)) == {"<stdint.h>", "<limits.h>", f'"{code.prefix}.h"'}
    assert not re.search(r"\b(float|double|malloc|goto|int64_t|uint64_t)\b|\d\.\d", text)
    defined = set(re.findall(r"^(?:static )?\w+ (\w+)\(", text, re.MULTILINE))
    called = set(re.findall(r"(?<!sizeof)\b(\w+)\(", text)) - {
        "if",
        "for",
        "while",
        "return",
        "sizeof",
        "CHECKED",
    }
    assert called <= defined


def test_a_network_at_rest_costs_nothing_and_stays_exact() -> None:
    graph = random_fixed(replace(conformance.FIRING, biased=False, graded=False))
    x = np.zeros((2, 40, 3), bool)
    x[:, [0, 1, 20]] = True
    check_equal(graph, x)
    assert "At rest" in NetworkCode(graph).source()


def test_an_event_out_of_range_is_refused_and_changes_nothing(tmp_path: Path) -> None:
    main = """
        #include <stdio.h>
        #include <string.h>
        #include "network.h"
        int main(void)
        {
            static network_state state, before;
            const network_index right = 5, wrong = 6;
            network_input input;
            network_output output;
            network_reset(&state);
            input.x_events = &right;
            input.x_count = 1;
            printf("%d ", network_step(&state, &input, &output));
            before = state;
            input.x_events = &wrong;
            printf("%d %d", network_step(&state, &input, &output), memcmp(&before, &state, sizeof state));
            return 0;
        }
        """
    assert run_firmware(NetworkCode(_small()), main, tmp_path) == "0 1 0"


def test_a_value_out_of_range_is_refused(tmp_path: Path) -> None:
    graph = Graph(
        (
            ir.Input(name="x", shape=(1,), edge=EdgeKind.GRADED, scale=2.0, bits=5),
            _dense("w", "x", [[2]]),
            fixed_lif("p", ("w",), 1),
            ir.Output(name="o", inputs=("p",), decode=Decode.NONE),
        )
    )
    main = """
        #include <stdio.h>
        #include "network.h"
        int main(void)
        {
            static network_state state;
            int8_t value;
            network_input input;
            network_output output;
            network_reset(&state);
            input.x_values = &value;
            for (value = -33; value < 34; value++) {
                printf("%d", network_step(&state, &input, &output));
            }
            return 0;
        }
        """
    assert run_firmware(NetworkCode(graph), main, tmp_path) == "11" + "0" * 63 + "11"


@pytest.mark.parametrize("decode", [Decode.SPIKE_COUNT, Decode.LAST_V, Decode.MEAN_V, Decode.MAX_V])
def test_the_class_that_is_decoded_is_the_hosts(decode: Decode, tmp_path: Path) -> None:
    graph = _small(decode, classes=("a", "b", "c", "d"))
    x = np.random.default_rng(8).random((20, 7, 6)) < 0.4
    main = """
        #include <stdio.h>
        #include "network.h"
        int main(void)
        {
            static network_state state;
            network_index events[6];
            network_input input;
            network_output output;
            unsigned sample, step, i;
            input.x_events = events;
            for (sample = 0; sample < 20; sample++) {
                network_reset(&state);
                for (step = 0; step < 7; step++) {
                    input.x_count = 0;
                    for (i = 0; i < NETWORK_X_SIZE; i++) {
                        if (getchar() == 1) {
                            events[input.x_count++] = (network_index)i;
                        }
                    }
                    if (network_step(&state, &input, &output) != 0) {
                        return 1;
                    }
                }
                printf("%u ", (unsigned)network_o_decode(&state));
            }
            return 0;
        }
        """
    said = run_firmware(NetworkCode(graph), main, tmp_path, x.astype(np.uint8).tobytes())
    assert [int(word) for word in said.split()] == predictions(graph, reference.run(graph, x)).tolist()


def test_no_class_is_decoded_where_integers_do_not_say_it() -> None:
    affine = NetworkCode(_small(Decode.LAST_V, weights=np.ones((3, 4))))
    assert "its read-out has real weights" in affine.header()
    graph = _small(Decode.LAST_V)
    unequal = graph.map(
        lambda node: replace(node, scale=np.arange(1.0, 5.0)) if isinstance(node, ir.FixedLif) else node
    )
    assert "different units" in NetworkCode(unequal).header()
    for code in (affine, NetworkCode(unequal), NetworkCode(_small())):
        assert "_decode(" not in _code_of(code.header() + code.source())


def test_more_neurons_than_16_bits_number_are_equal_to_the_reference() -> None:
    rng, size = np.random.default_rng(1), 70_000
    places = (rng.integers(0, size, 4_000), rng.integers(0, size, 4_000))
    sparse = csr_array((np.full(4_000, 100, np.int32), places), shape=(size, size))
    sparse.sum_duplicates()
    sparse.data = np.minimum(sparse.data, 200)
    graph = Graph(
        (
            ir.Input(name="x", shape=(size,)),
            _dense("w", "x", sparse),
            fixed_lif("p", ("w",), size, du=3000),
            ir.Output(name="o", inputs=("p",), decode=Decode.SPIKE_COUNT),
        )
    )
    assert "typedef uint32_t" in NetworkCode(graph).header()
    check_equal(graph, rng.random((1, 3, size)) < 0.3)


def test_connections_without_a_weight_and_synapses_that_carry_nothing_are_left_out() -> None:
    graph = _small().map(
        lambda node: replace(node, weights=np.zeros((4, 6), np.int32)) if node.name == "w" else node
    )
    code = NetworkCode(graph)
    assert not code.connections
    check_equal(graph, np.ones((1, 3, 6), bool))


@pytest.mark.parametrize("delays", [None, [[0, 3]]])
def test_what_only_weights_of_zero_would_read_is_not_kept(delays: Any) -> None:
    late = ir.Delay(name="late", inputs=("x",), shape=(2,), steps=2)
    zero = [[0, 0]] if delays is None else [[2, 0]]
    graph = Graph(
        (
            ir.Input(name="x", shape=(2,)),
            late,
            _dense("w", "x", [[2, 4]]),
            _dense("none", "late" if delays is None else "x", zero, delays=delays),
            fixed_lif("p", ("w", "none"), 1),
            ir.Output(name="o", inputs=("p",), decode=Decode.NONE),
        )
    )
    assert "x_past" not in NetworkCode(graph).header()
    check_equal(graph, np.ones((1, 4, 2), bool))


def test_graphs_of_real_numbers_empty_parts_and_tables_too_large_are_refused(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with pytest.raises(TargetError, match="C runs integers only, and graph .* holds real numbers"):
        NetworkCode(recurrent(np.random.default_rng(0)))
    empty = Graph((ir.Input(name="x", shape=(0,)), *_small().nodes[1:]))
    with pytest.raises(VerifyError, match="1 or more"):
        NetworkCode(empty)
    monkeypatch.setattr(written, "CAPABILITIES", replace(written.CAPABILITIES, largest=20))
    with pytest.raises(TargetError, match="prune it"):
        NetworkCode(random_fixed(Recipe(sizes=(30,), channels=8)))
