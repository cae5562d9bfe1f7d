"""A job as a folder: what to build, what to send, where to write.

- `network.json`, `weights.npz` and `run.json`, see `documents`;
- `source<n>.npy`: what each source sends, one row per step, for every simulation;
- `record<n>-<quantity>.npy`: records `[samples, steps, *features]`, mapped and filled row by row.

Files are numbered in the order of the network: names of processes can differ only as `A` and `a`.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Final, final

import numpy as np

from .documents import (
    NETWORK,
    RUN,
    WEIGHTS,
    LavaInput,
    LavaNetwork,
    LavaPopulation,
    LavaRun,
    LavaSource,
    Numbers,
)
from .firing import OPTIONAL, Array, Firing
from .integers import encode_graded
from .models import Models
from .strict_json import read_text
from .windows import SampleWindows

PARAMETERS: Final = ("du", "dv", "vth", "bias_mant", "bias_exp")
"""Arrays that every population has."""


@final
@dataclass(frozen=True)
class LavaJob:
    """A network, a run of it, and the folder of what it sends and records.

    Attributes:
        folder: Folder of the sources and records.
        network: What to build.
        weights: Arrays of the network, `"<process>/<part>"`.
        run: Samples, steps, and what to record.
    """

    folder: Path
    network: LavaNetwork
    weights: Mapping[str, Array] = field(repr=False)
    run: LavaRun

    @classmethod
    def read(cls, folder: Path) -> "LavaJob":
        """Return the job whose documents all lie in one folder.

        Raises:
            DocumentError: A document is not what it should be.
        """
        text = (folder / RUN).read_text(encoding="utf-8")
        return cls(folder, *read_network(folder), read_text(text, LavaRun, RUN))

    @cached_property
    def windows(self) -> SampleWindows:
        """The windows of all samples."""
        return self.run.windows(self.network)

    def source_path(self, index: int) -> Path:
        """Return the file of what a source sends, by the place of the source in the network."""
        return self.folder / f"source{index}.npy"

    def record_paths(self, population: str) -> dict[str, Path]:
        """Return the files that a population writes its records to, by quantity."""
        index = [item.name for item in self.network.populations].index(population)
        quantities = self.run.records.get(population, ())
        return {quantity: self.folder / f"record{index}-{quantity}.npy" for quantity in quantities}

    def record_dtype(self, population: LavaPopulation, quantity: str) -> type[np.generic]:
        """Return the type of the numbers of a record: uint8 where a neuron may send several spikes."""
        if quantity == "spikes":
            return np.bool_ if population.max_spikes == 1 else np.uint8
        return self.network.numbers.dtype

    def firing(self, population: LavaPopulation) -> Firing:
        """Return what a spike of a population does."""
        return firing_of(population, self.weights)

    def source_rows(self, source: LavaSource, values: Array) -> Array:
        """Return what a source sends: `[steps, size]`, or `[samples, steps, size]` if each is a simulation.

        What a simulation is sent is made from the samples that it runs and from nothing else.

        Args:
            source: The source.
            values: What enters its input, `[samples, steps, *features]`.
        """
        windows, dtype = self.windows, self.network.numbers.dtype
        (entry,) = (item for item in self.network.inputs if item.name == source.input)
        flat = _encoded(entry, values, self.network.numbers).reshape(*values.shape[:2], -1)
        if self.run.models is Models.STOCK:
            rows = np.zeros((windows.samples, windows.period, flat.shape[2]), dtype)
            for sample, sample_rows in zip(flat, rows, strict=True):
                _send(sample[None], source, windows, sample_rows)
        else:
            rows = np.zeros((windows.total, flat.shape[2]), dtype)
            _send(flat, source, windows, rows)
        return rows


def firing_of(population: LavaPopulation, weights: Mapping[str, Array]) -> Firing:
    """Return what a spike of a population does.

    Args:
        population: The population.
        weights: Arrays of its network.
    """
    keys = {part: f"{population.name}/{part}" for part in OPTIONAL}
    arrays = {part: weights[key] for part, key in keys.items() if key in weights}
    return Firing(population.reset, max_spikes=population.max_spikes, **arrays)


def beyond_stock(network: LavaNetwork, weights: Mapping[str, Array]) -> dict[str, tuple[str, ...]]:
    """Return, by population, what its neurons do that Lava's own do not, in words."""
    lacks = {
        item.name: firing_of(item, weights).beyond_stock(weights[f"{item.name}/dv"])
        for item in network.populations
    }
    return {name: what for name, what in lacks.items() if what}


def read_network(folder: Path) -> tuple[LavaNetwork, dict[str, Array]]:
    """Return the network of a folder and its arrays.

    Raises:
        DocumentError: The network is not what it should be.
    """
    network = read_text((folder / NETWORK).read_text(encoding="utf-8"), LavaNetwork, NETWORK)
    with np.load(folder / WEIGHTS, allow_pickle=False) as file:
        return network, {name: file[name] for name in file.files}


def _encoded(entry: LavaInput, values: Array, numbers: Numbers) -> Array:
    """Return what enters an input as messages."""
    if entry.graded and numbers is Numbers.FIXED:
        return encode_graded(values, entry.scale, entry.bits)
    return values


def _send(values: Array, source: LavaSource, windows: SampleWindows, rows: Array) -> None:
    """Write samples `[samples, steps, size]` into the rows of one simulation, each a period after the last.

    What would be sent after the last row is for steps that nobody records.
    """
    for sample, value in enumerate(values):
        sent = rows[source.offset + source.wait + sample * windows.period :][: windows.steps]
        sent[:] = value[: len(sent)]
