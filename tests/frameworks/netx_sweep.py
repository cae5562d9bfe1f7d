"""Random netx files against Lava-DL: `python -m tests.frameworks.netx_sweep COUNT`, or `make netx-sweep`.

Each file is refused, by its layer, or read; what is read must be, at every step, the currents, potentials and
spikes of `lava.lib.dl.netx.hdf5.Network` on Lava, and written and read again it must be the same network.
"""

import argparse
import itertools
import re
import subprocess
import sys
import tempfile
import zipfile
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from tests.frameworks.netx_files import NetxFile, random_file
from tests.toolchain.interchange.netx_graphs import numbered, save
from toolchain import fixedpoint, ir
from toolchain.confined.reader import ConfinedReader
from toolchain.errors import ArtifactError, FrontendError, PreconditionError
from toolchain.execution import reference
from toolchain.interchange.netx.from_netx import from_netx
from toolchain.interchange.netx.to_netx import to_netx
from toolchain.ir import AnyNode, EdgeKind, Graph, same_structure

_CHUNK = 25
_NAMED = re.compile(r"layer \d+ \('\w*'\) |layer/\d+/|type of layer \d|holds no layers|no layer has neurons")
_UNREAD = {
    "weights that are all 0": re.compile("OverflowError: cannot convert float infinity"),
    "whole numbers stored as floating point": re.compile(
        "ufunc '(left|right)_shift' not supported|cannot be interpreted as an integer|object of type 'float'"
    ),
}
"""Where Lava-DL ends in an error although a file says what it means."""


@dataclass
class Verdict:
    """What a sweep found.

    Attributes:
        files: How many were tried.
        equal: How many were read and equal to Lava-DL.
        refused: How many were refused by layer, by the words of the refusal.
        unread: How many are read here, but not by Lava-DL, by the reason.
        unwritten: How many of those read netx cannot hold as they were written.
        differences: Seed and text of each that is neither.
    """

    files: int = 0
    equal: int = 0
    refused: Counter[str] = field(default_factory=Counter)
    unread: Counter[str] = field(default_factory=Counter)
    unwritten: Counter[str] = field(default_factory=Counter)
    differences: list[tuple[int, str]] = field(default_factory=list)

    def add(self, other: "Verdict") -> None:
        """Add what another part of the sweep found."""
        self.files += other.files
        self.equal += other.equal
        self.refused += other.refused
        self.unread += other.unread
        self.unwritten += other.unwritten
        self.differences += other.differences


def sweep(library: Path, seeds: range, *, processes: int = 2) -> Verdict:
    """Compare the files of these seeds with Lava-DL and return what was found."""
    total = Verdict()
    chunks = [seeds[first : first + _CHUNK] for first in range(0, len(seeds), _CHUNK)]
    with ThreadPoolExecutor(processes) as pool:
        for verdict in pool.map(lambda chunk: _chunk(library, chunk), chunks):
            total.add(verdict)
            sys.stdout.write(f"{total.files} files, {total.equal} equal, differences: {total.differences}\n")
            sys.stdout.flush()
    return total


def _chunk(library: Path, seeds: range) -> Verdict:
    verdict = Verdict(files=len(seeds))
    with tempfile.TemporaryDirectory() as name, ConfinedReader() as reader:
        folder = Path(name)
        read: dict[int, Graph] = {}
        for seed in seeds:
            graph = _read(folder, seed, verdict, reader)
            if graph is not None:
                read[seed] = graph
        run_netx(library, folder)
        for seed, graph in read.items():
            _judge(folder / f"{seed}.net", seed, graph, verdict)
    return verdict


def _read(folder: Path, seed: int, verdict: Verdict, reader: ConfinedReader) -> Graph | None:
    """Read a file, write it, and read it again; leave the file for Lava-DL if it is read."""
    file = file_of(seed)
    path = save(folder / f"{seed}.net", file.layers)
    try:
        found = from_netx(path, reader).fixed
        assert found is not None
    except (FrontendError, ArtifactError) as error:
        path.unlink()
        if _NAMED.search(str(error)):
            verdict.refused[_words(str(error))] += 1
        else:
            verdict.differences.append((seed, f"refused without a layer: {error}"))
        return None
    np.save(path.with_suffix(".npy"), file.x)
    try:
        to_netx(found, folder / f"{seed}.again")
        again = from_netx(folder / f"{seed}.again", reader).fixed
        if again is None or not same_structure(numbered(found), numbered(again)):
            verdict.differences.append((seed, "written and read again it is another network"))
    except PreconditionError as error:
        verdict.unwritten[_words(str(error))] += 1
    return found


def file_of(seed: int) -> NetxFile:
    """Return the file of a seed."""
    return random_file(np.random.default_rng([seed, 7]))


def _words(text: str) -> str:
    """Return a message without its numbers, to be counted."""
    return re.sub(
        r"[-\d.]+|\[[^]]*\]|\([\d, ]*\)", "#", text.split(":", maxsplit=1)[0].split(",", maxsplit=1)[0]
    )[:70]


def run_netx(library: Path, folder: Path, runtime: str = "models") -> None:
    """Run every file of a folder with Lava-DL; one that ends its process, or hangs, has that as its error."""
    waiting = {path.stem for path in folder.glob("*.net")}
    while waiting:
        command = [sys.executable, "-m", "tests.frameworks.run_netx", runtime, str(library), str(folder)]
        child = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        try:
            text, _ = child.communicate(timeout=60 + 20 * len(waiting))
        except subprocess.TimeoutExpired:
            child.kill()
            text, _ = child.communicate()
        done = {path.stem for end in ("npz", "error") for path in folder.glob(f"*.{end}")}
        last = next((line for line in reversed(text.splitlines()) if line in waiting), "")
        if not last:
            raise RuntimeError(text)
        if last not in done:
            (folder / f"{last}.error").write_text("ended its process")
            done.add(last)
        for name in done & waiting:
            (folder / f"{name}.net").rename(folder / f"{name}.done")
        waiting -= done


def _judge(path: Path, seed: int, graph: Graph, verdict: Verdict) -> None:
    error = path.with_suffix(".error")
    if error.exists():
        text = error.read_text()
        known = [reason for reason, pattern in _UNREAD.items() if pattern.search(text)]
        if known:
            verdict.unread[known[0]] += 1
        else:
            verdict.differences.append((seed, f"read here, but Lava-DL: {text}"))
        return
    with np.load(path.with_suffix(".npz")) as theirs:
        difference = first_difference(graph, np.load(path.with_suffix(".npy")), dict(theirs))
    if difference is None:
        verdict.equal += 1
    else:
        verdict.differences.append((seed, difference))


def first_difference(graph: Graph, x: NDArray[np.int64], theirs: dict[str, NDArray[np.int64]]) -> str | None:
    """Return where a network differs from what Lava-DL recorded, or None.

    Currents are compared where Lava-DL has them: it drives an input layer by the bias, and lets the current
    of a layer without neurons do what the potential does here. Such a layer is compared as long as it fits 24
    bits.
    """
    (entry,) = graph.inputs
    trace = reference.run(in_lavas_time(graph), x.reshape(1, len(x), *entry.shape).astype(np.float64))
    for place, node in enumerate(graph.populations):
        assert isinstance(node, ir.FixedLif)
        for name, ours in (("s", trace.spikes), ("v", trace.v), ("u", trace.u)):
            if name == "u" and ((place == 0 and entry.edge is EdgeKind.GRADED) or _integrates(node)):
                continue
            found, expected = ours[node.name][0].astype(np.int64), theirs[f"{name}{place}"]
            different = (found != expected).reshape(len(x), -1)
            if _integrates(node):
                different &= _fits(trace.spikes[node.name][0], trace.v[node.name][0])
            if different.any():
                step = int(np.flatnonzero(different.any(axis=1))[0])
                return f"{name} of {node.name} differs at step {step}: {found[step]} for {expected[step]}"
    return None


def _integrates(node: ir.FixedLif) -> bool:
    """Return whether a population is what is read from a layer without neurons."""
    last = fixedpoint.THRESHOLD_MAX
    return bool(
        (node.vth == last).all() and (node.du == fixedpoint.DECAY_UNITY - 1).all() and not node.dv.any()
    )


def _fits(spikes: NDArray[np.bool_], v: NDArray[np.int32]) -> NDArray[np.bool_]:
    """Return up to which step `[steps, neurons]` the potentials of a read-out fit 24 bits."""
    beyond = spikes | (np.abs(v) >= fixedpoint.STATE_LIMIT - 1)
    return ~np.logical_or.accumulate(beyond.reshape(len(beyond), -1), axis=0)


def in_lavas_time(graph: Graph) -> Graph:
    """Return the graph with one step more before every connection, as Lava's clock has it."""
    nodes: list[AnyNode] = []
    for node in graph:
        source = graph[node.inputs[0]] if isinstance(node, ir.FixedDense | ir.FixedConv2d) else None
        if isinstance(source, ir.FixedLif) or (
            isinstance(source, ir.Input) and source.edge is EdgeKind.SPIKE
        ):
            shape = source.shape if isinstance(source, ir.Input) else source.vth.shape
            nodes.append(ir.Delay(name=f"{node.name}.late", inputs=(source.name,), shape=shape))
            node = replace(node, inputs=(f"{node.name}.late",))  # noqa: PLW2901
        nodes.append(node)
    return graph.with_nodes(nodes)


def unpacked(folder: Path) -> Path:
    """Unpack Lava-DL's reader, and the files that it is tested with, from what `make peers` fetched."""
    (*_, path) = sorted((Path(sys.prefix) / "peers").glob("lava_dl-*.whl"))
    with zipfile.ZipFile(path) as wheel:
        wanted = ("lava/lib/dl/", "tests/lava/lib/dl/netx/")
        wheel.extractall(folder, [name for name in wheel.namelist() if name.startswith(wanted)])
    return folder


def main() -> None:
    """Sweep, print what was found, and fail if anything differs."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("count", type=int)
    parser.add_argument("--library", type=Path, help="a folder with lava/lib/dl; else that of make peers")
    parser.add_argument("--first", type=int, default=0, help="the first seed")
    parser.add_argument("--processes", type=int, default=2)
    options = parser.parse_args()
    seeds = range(options.first, options.first + options.count)
    with tempfile.TemporaryDirectory() as folder:
        library = options.library or unpacked(Path(folder))
        verdict = sweep(library, seeds, processes=options.processes)
    lines = [f"seed {seed} differs: {text}" for seed, text in verdict.differences]
    for title in ("refused", "unread", "unwritten"):
        counts: Counter[str] = getattr(verdict, title)
        lines += itertools.chain(
            [f"{title}:"], (f"  {count:5} {text}" for text, count in counts.most_common())
        )
    lines.append(
        f"{verdict.files} files: {verdict.equal} equal to Lava-DL, {verdict.refused.total()} refused, "
        f"{verdict.unread.total()} read although Lava-DL fails, {len(verdict.differences)} differences; "
        f"{verdict.unwritten.total()} not written again"
    )
    sys.stdout.write("\n".join(lines) + "\n")
    sys.exit(bool(verdict.differences))


if __name__ == "__main__":
    main()
