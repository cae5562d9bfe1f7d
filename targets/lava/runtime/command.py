"""The command line of an exported network."""

import argparse
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
from numpy.lib import format as npy_format

from .documents import LavaInput, LavaNetwork, LavaRun
from .firing import Array
from .jobs import LavaJob, beyond_stock, read_network
from .models import Models
from .simulation import Observer, simulate
from .strict_json import DocumentError

Beyond = dict[str, tuple[str, ...]]
"""By population, what its neurons do that Lava's own do not."""


def main(folder: Path, usage: str) -> None:
    """Read the command line, run the network of a folder, write the trace.

    Args:
        folder: Folder of `network.json` and `weights.npz`.
        usage: What `--help` says first.
    """
    try:
        network, weights = read_network(folder)
    except (OSError, DocumentError) as error:
        raise SystemExit(f"the network in '{folder}' cannot be read: {error}") from None
    beyond = beyond_stock(network, weights)
    chosen = _parser(network, usage, beyond).parse_args()
    models = Models.STOCK if chosen.stock or chosen.hardware else Models.MIXED
    if models is Models.STOCK and beyond:
        _refuse(beyond)
    configuration = _hardware() if chosen.hardware else None
    stimulus = _read_stimulus(chosen.input, network, chosen.samples)
    samples, steps = next(iter(stimulus.values())).shape[:2]
    wanted = ["spikes", *(name.strip() for name in chosen.record.split(",") if name.strip())]
    run = LavaRun(models, samples, steps, _records(network, wanted))
    with tempfile.TemporaryDirectory() as temporary:
        trace = _run(LavaJob(Path(temporary), network, weights, run), stimulus, configuration)
    arrays: dict[str, Any] = {**trace}
    np.savez_compressed(chosen.output, **arrays)
    for name in sorted(trace):
        if name.endswith(".spikes"):
            print(f"{name.removesuffix('.spikes')}: {int(trace[name].sum())} spikes in {samples} samples")
    print(f"trace: {chosen.output}")


def _parser(network: LavaNetwork, usage: str, beyond: Beyond) -> argparse.ArgumentParser:
    inputs = "\n".join(f"  {item.key}: [samples, steps, {_features(item)}]" for item in network.inputs)
    does = {name: f": {', '.join(lacks)}" for name, lacks in beyond.items()}
    populations = "\n".join(
        f"  {item.name}{does.get(item.name, '')}" for item in network.populations if not item.relay
    )
    parser = argparse.ArgumentParser(
        prog="network.py",
        description=usage,
        epilog=f"arrays of the stimulus:\n{inputs}\n\npopulations:\n{populations}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--input", type=Path, required=True, help="stimulus.npz")
    parser.add_argument("--output", type=Path, default=Path("trace.npz"), help="trace.npz to write")
    parser.add_argument("--samples", type=int, help="run only the first samples")
    parser.add_argument("--record", default="", help="further records, such as v,u")
    parser.add_argument("--stock", action="store_true", help="Lava's own LIF, one simulation per sample")
    parser.add_argument("--hardware", action="store_true", help="on Loihi 2, with Intel's extension of Lava")
    return parser


def _features(entry: LavaInput) -> str:
    return ", ".join(map(str, entry.shape))


def _refuse(beyond: Beyond) -> None:
    name, lacks = next(iter(beyond.items()))
    raise SystemExit(
        f"population '{name}' has {', '.join(lacks)}, which Lava's own LIF has not: run the network without "
        "--stock and --hardware; on Loihi 2 such neurons need a program of their own"
    )


def _hardware() -> Any:  # noqa: ANN401 - Lava ships no types
    """Return Lava's choice of models on a board."""
    from lava.magma.core.run_configs import Loihi2HwCfg  # noqa: PLC0415 - only where there is a board
    from lava.utils import loihi  # noqa: PLC0415

    if not loihi.is_installed():
        raise SystemExit(
            "--hardware needs lava-loihi, Intel's extension of Lava for members of its research community "
            "(INRC), and a Loihi 2 board; it is not installed here. Without --hardware the network runs on "
            "Lava's simulator."
        )
    return Loihi2HwCfg(select_tag="fixed_pt")


def _read_stimulus(path: Path, network: LavaNetwork, samples: int | None) -> dict[str, Array]:
    """Return what enters each input, `[samples, steps, *features]`."""
    single = len(network.inputs) == 1
    stimulus: dict[str, Array] = {}
    with np.load(path, allow_pickle=False) as file:
        # A network of one input takes it as `input`, too.
        keys = {
            item.name: "input" if single and item.key not in file.files else item.key
            for item in network.inputs
        }
        missing = sorted(set(keys.values()) - set(file.files))
        if missing:
            raise SystemExit(f"'{path}' lacks {missing}, it holds {sorted(file.files)}")
        for item in network.inputs:
            values = file[keys[item.name]][:samples]
            if values.shape[2:] != item.shape:
                raise SystemExit(f"input '{item.key}' has features {values.shape[2:]}, expected {item.shape}")
            stimulus[item.name] = values if item.graded else values != 0
    return stimulus


def _records(network: LavaNetwork, quantities: list[str]) -> dict[str, tuple[str, ...]]:
    """Return what is recorded of every population: what was asked for, and what outputs are read from."""
    read = set(network.potentials_read)
    return {
        item.name: tuple(dict.fromkeys([*quantities, *(["v"] if item.name in read else [])]))
        for item in network.populations
        if not item.relay
    }


def _run(job: LavaJob, stimulus: dict[str, Array], configuration: Any) -> dict[str, Array]:  # noqa: ANN401
    """Return `"<population>.<quantity>"`, `[samples, steps, *features]`."""
    for index, source in enumerate(job.network.sources):
        np.save(job.source_path(index), job.source_rows(source, stimulus[source.input]))
    extent = (job.run.samples, job.run.steps)
    paths = {
        f"{item.name}.{quantity}": (path, job.record_dtype(item, quantity), (*extent, *item.shape))
        for item in job.network.populations
        for quantity, path in job.record_paths(item.name).items()
    }
    for path, dtype, shape in paths.values():
        npy_format.open_memmap(path, mode="w+", dtype=dtype, shape=shape)
    observer = Observer()
    if job.run.models is Models.STOCK:
        from .probes import Probes  # noqa: PLC0415 - monitors are slow to import, and few runs need them

        observer = Probes(job)
    simulate(job, observer, configuration)
    return {key: np.load(path, allow_pickle=False) for key, (path, _, _) in paths.items()}
