"""Files of strangers: whatever their bytes are, they are read or refused, in bounded time and memory.

`make fuzz` tries many more: `make fuzz MUTANTS=100000`.
"""

import os
import random
import resource
import time
import warnings
from collections import Counter
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import nir
import numpy as np
import onnx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.fuzz.files import FORMATS, mutant
from toolchain.confined.reader import ConfinedReader
from toolchain.errors import ToolchainError
from toolchain.interchange.nir.conventions import convention
from toolchain.interchange.nir.from_nir import from_nir
from toolchain.interchange.onnx.from_onnx import from_onnx

MUTANTS = int(os.environ.get("PUMICE_MUTANTS", "600"))
SECONDS = 15.0
"""No file takes longer: the reading process has two seconds of the processor, and is waited for ten more."""
MEMORY = 2 * 2**30
"""Bytes by which this process may grow: a network of the most neurons that are made takes about one GiB."""
HEADS = [b"", b"\x89HDF\r\n\x1a\n", b"\x08\x0a", b"PK\x03\x04", b"\x93NUMPY\x01\0", b"#!AER-DAT4.0\r\n"]
BARE = {"n-mnist", "class names", "csv"}
"""Formats whose files begin with nothing of their own: bytes of any sort can be good ones."""


@pytest.mark.parametrize("name", sorted(FORMATS))
def test_mutants_are_read_or_refused(name: str, tmp_path: Path) -> None:
    write, read = FORMATS[name]
    (tmp_path / "good").mkdir()
    good = [path.read_bytes() for path in write(tmp_path / "good")]
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    path = tmp_path / "mutant.bin"
    outcomes: Counter[str] = Counter()
    count = max(MUTANTS // len(FORMATS), 1)
    with ConfinedReader(seconds=2, limit=2**26) as reader, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for content in good:
            path.write_bytes(content)
            assert read(path, reader) is not None
        for number in range(count):
            rng = random.Random(f"{name} {number}")  # noqa: S311 - mutants, not secrets
            content = mutant(good[number % len(good)], good, rng)
            path.write_bytes(content)
            started = time.monotonic()
            try:
                read(path, reader)
                outcomes["read"] += 1
            except ToolchainError as error:
                outcomes[str(error)[:1] and type(error).__name__] += 1
            except BaseException as error:
                error.add_note(f"mutant {number} of {name}")
                raise
            assert time.monotonic() - started < SECONDS, f"mutant {number} of {name}"
    grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 - before
    assert grown < MEMORY
    assert sorted(item.name for item in tmp_path.iterdir()) == ["good", "mutant.bin"]
    # Every error says something.
    assert sum(outcomes.values()) == count
    assert not outcomes[""]


@pytest.fixture(scope="module")
def started() -> Iterator[ConfinedReader]:
    with ConfinedReader(seconds=2, limit=2**26) as reader:
        yield reader


@settings(max_examples=30)
@given(content=st.binary(max_size=400), head=st.sampled_from(HEADS))
def test_bytes_of_any_sort_are_refused(
    tmp_path_factory: pytest.TempPathFactory, started: ConfinedReader, content: bytes, head: bytes
) -> None:
    path = tmp_path_factory.mktemp("bytes") / "file.bin"
    path.write_bytes(head + content)
    for name, (_, read) in FORMATS.items():
        with suppress(ToolchainError) if name in BARE else pytest.raises(ToolchainError):
            read(path, started)


_ODD = (np.array("text"), np.zeros((0,)), np.ones((2, 2, 2)), np.array([np.nan] * 3))
_NUMBERS = st.one_of(st.floats(width=32), st.integers(-3, 3), *map(st.just, _ODD))


@settings(max_examples=100)
@given(data=st.data())
def test_graphs_with_any_values_are_converted_or_refused(data: st.DataObject) -> None:
    """The classes of `nir` check little: anything may stand in their fields."""
    kinds = {
        "lif": nir.LIF(*[np.ones(3)] * 5),
        "cuba": nir.CubaLIF(*[np.ones(3)] * 6),
        "w": nir.Affine(np.ones((3, 3)), np.ones(3)),
        "scale": nir.Scale(np.ones(3)),
        "delay": nir.Delay(np.ones(3)),
        "conv": nir.Conv1d(3, np.ones((3, 3, 1)), 1, 0, 1, 1, np.ones(3)),
        "pool": nir.SumPool2d(np.array([1, 1]), np.array([1, 1]), np.array([0, 0])),
        "li": nir.LI(*[np.ones(3)] * 3),
        "flat": nir.Flatten({"input": np.array([3])}, 0, -1),
    }
    chosen = data.draw(st.lists(st.sampled_from(sorted(kinds)), unique=True, max_size=5))
    nodes = {
        "input": nir.Input({"input": np.array([3])}),
        **{name: kinds[name] for name in chosen},
        "output": nir.Output({"output": np.array([3])}),
    }
    names = sorted(nodes)
    edges = data.draw(st.lists(st.tuples(st.sampled_from(names), st.sampled_from(names)), max_size=12))
    for _ in range(data.draw(st.integers(0, 2))):
        node = nodes[data.draw(st.sampled_from(names))]
        fields = [key for key in vars(node) if key not in {"input_type", "output_type", "metadata"}]
        if fields:
            setattr(node, data.draw(st.sampled_from(fields)), data.draw(_NUMBERS))
    graph = nir.NIRGraph(nodes, edges, type_check=False)
    name = data.draw(st.sampled_from(["nir", "norse", "spikingjelly", "sinabs"]))
    with suppress(ToolchainError):
        assert from_nir(graph, convention(name)).graph.nodes


def test_an_onnx_file_that_names_an_operator_of_ours_runs_nothing(tmp_path: Path) -> None:
    """Metadata of a file can ask for anything; only a graph of known operations comes out of it."""
    (path,) = FORMATS["classifier"][0](tmp_path)
    model = onnx.load_model(path)
    entry = model.metadata_props.add()
    entry.key, entry.value = "pumice.graph", '{"format": "pumice-graph", "nodes": [{"kind": "__import__"}]}'
    path.write_bytes(model.SerializeToString())
    with pytest.raises(ToolchainError):
        from_onnx(path)
