"""A network on the cores of a chip, to look at: verdict, map, layers, events, estimates."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from toolchain.fidelity.core_map import SHOWN_CHIPS, core_maps, layer_letters
from toolchain.fidelity.neurobench import NeuroBench
from toolchain.pages import Table, number, write_page
from toolchain.target.chip_fit import Fit

_NEUROBENCH: Final[Mapping[str, str]] = {
    "footprint_bytes": "footprint, bytes",
    "parameter_count": "parameters",
    "connection_sparsity": "connection sparsity: share of weights that are zero",
    "activation_sparsity": "activation sparsity: share of neurons and steps without a spike",
    "effective_acs": "effective ACs: additions per sample",
    "effective_macs": "effective MACs: multiplications with addition, per sample",
    "dense_operations": "operations per sample if nothing were zero",
    "neuron_updates": "neuron updates per sample",
    "steps": "steps of a sample",
}


def write_resources(path: Path, fit: Fit, metrics: NeuroBench) -> None:
    """Write a page of its own, atomically."""
    write_page(path, "toolchain.fidelity", "resources.html.j2", chip=shown_resources(fit, metrics))


def shown_resources(fit: Fit, metrics: NeuroBench) -> dict[str, Any]:
    """Return what the template `chip.html.j2` shows."""
    binding, share = fit.binding
    return {
        "fit": fit,
        "binding": binding,
        "share": share,
        "limit": fit.limits[binding],
        "heaviest": max((link.messages for link in fit.links), default=0.0),
        "hidden": max(0, fit.chips_needed - SHOWN_CHIPS),
        "maps": core_maps(fit),
        "layers": _layers(fit),
        "events": Table(
            "What happens in one step, as a mean over the recorded run.",
            ("event", "mean per step"),
            [(name, number(count)) for name, count in fit.events.items()],
        ),
        "neurobench": Table(
            "Metrics of NeuroBench that need no chip, to compare this network with those of others.",
            ("metric", "value"),
            [(_NEUROBENCH.get(name, name), number(value)) for name, value in metrics],
        ),
    }


def _layers(fit: Fit) -> Table:
    letters = layer_letters(fit)
    return Table(
        "Each layer with its mark on the map, the number of cores that hold neurons of it, the memory "
        "words of the synapses that end there, and the resource that is scarcest on the fullest of these "
        "cores.",
        ("layer", "mark", "neurons", "cores", "synaptic words", "scarcest resource", "used", "stored as"),
        [
            (
                layer.name,
                letters[layer.name],
                f"{layer.neurons:,}",
                layer.cores,
                f"{layer.synaptic_words:,}",
                layer.binding,
                f"{100 * layer.utilization:.0f} %",
                layer.stored,
            )
            for layer in fit.layers
        ],
        sortable=True,
    )
