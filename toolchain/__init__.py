"""Pumice: sparse spiking networks from PyTorch to integers, and the proof that they are the same network.

>>> import toolchain  # doctest: +SKIP
>>> build = toolchain.compile(model, example, target="lava")  # doctest: +SKIP
>>> toolchain.compare(build).comparison.spike_f1  # doctest: +SKIP

`pumice` offers the same names under a name that nobody else has, and explains each.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from toolchain import data, errors, models, pruning, training
    from toolchain.execution.stimulus import Stimulus
    from toolchain.execution.trace import Trace
    from toolchain.fidelity import Comparison, check_baseline, check_gates, write_baseline
    from toolchain.frontends import as_model
    from toolchain.ir import Graph
    from toolchain.models import Connection, CubaLif, Network, Readout, Spiking
    from toolchain.sweep.run_sweep import run_sweep
    from toolchain.target.registry import load_target
    from toolchain.training import FitOptions, fit
    from toolchain.workflow.build_folder import Build
    from toolchain.workflow.check import Resources
    from toolchain.workflow.check import check_build as check
    from toolchain.workflow.compare import compare_build as compare
    from toolchain.workflow.compile import compile_module as compile  # noqa: A004 - the word users expect
    from toolchain.workflow.compile import compile_run
    from toolchain.workflow.compile_file import compile_file
    from toolchain.workflow.experiment import Experiment, load_experiment
    from toolchain.workflow.export import export_build as export
    from toolchain.workflow.firmware import Firmware, check_firmware
    from toolchain.workflow.fpga import Fpga, check_fpga
    from toolchain.workflow.import_check import ImportCheck, check_import
    from toolchain.workflow.judgement import Judgement
    from toolchain.workflow.load import load
    from toolchain.workflow.predict import Prediction
    from toolchain.workflow.predict import predict_build as predict
    from toolchain.workflow.prune import prune
    from toolchain.workflow.quantization import Quantization, RepairOptions
    from toolchain.workflow.quantization import repair_build as repair
    from toolchain.workflow.run import record_build as record
    from toolchain.workflow.run import run_build as run
    from toolchain.workflow.targets import target_statuses as targets
    from toolchain.workflow.train import prune_to_fit, train
    from toolchain.workflow.trainable import trainable

    __version__: str

__all__ = [
    "Build",
    "Comparison",
    "Connection",
    "CubaLif",
    "Experiment",
    "Firmware",
    "FitOptions",
    "Fpga",
    "Graph",
    "ImportCheck",
    "Judgement",
    "Network",
    "Prediction",
    "Quantization",
    "Readout",
    "RepairOptions",
    "Resources",
    "Spiking",
    "Stimulus",
    "Trace",
    "__version__",
    "as_model",
    "check",
    "check_baseline",
    "check_firmware",
    "check_fpga",
    "check_gates",
    "check_import",
    "compare",
    "compile",
    "compile_file",
    "compile_run",
    "data",
    "errors",
    "export",
    "fit",
    "load",
    "load_experiment",
    "load_target",
    "models",
    "predict",
    "prune",
    "prune_to_fit",
    "pruning",
    "record",
    "repair",
    "run",
    "run_sweep",
    "targets",
    "train",
    "trainable",
    "training",
    "write_baseline",
]

_MODULES = frozenset({"data", "errors", "models", "pruning", "training"})
_HOMES = {
    "execution.stimulus": "Stimulus",
    "execution.trace": "Trace",
    "fidelity": "Comparison check_baseline check_gates write_baseline",
    "frontends": "as_model",
    "ir": "Graph",
    "models": "Connection CubaLif Network Readout Spiking",
    "sweep.run_sweep": "run_sweep",
    "target.registry": "load_target",
    "training": "FitOptions fit",
    "workflow.build_folder": "Build",
    "workflow.check": "Resources check=check_build",
    "workflow.compare": "compare=compare_build",
    "workflow.compile": "compile=compile_module compile_run",
    "workflow.compile_file": "compile_file",
    "workflow.experiment": "Experiment load_experiment",
    "workflow.export": "export=export_build",
    "workflow.firmware": "Firmware check_firmware",
    "workflow.fpga": "Fpga check_fpga",
    "workflow.import_check": "ImportCheck check_import",
    "workflow.judgement": "Judgement",
    "workflow.load": "load",
    "workflow.predict": "Prediction predict=predict_build",
    "workflow.prune": "prune",
    "workflow.quantization": "Quantization RepairOptions repair=repair_build",
    "workflow.run": "record=record_build run=run_build",
    "workflow.targets": "targets=target_statuses",
    "workflow.train": "prune_to_fit train",
    "workflow.trainable": "trainable",
}
"""Where each public name stands, and its name there if that is another one."""


def __getattr__(name: str) -> Any:  # noqa: ANN401 - a module's attribute
    """Import on first use: a plain `import toolchain` loads neither torch nor Lava."""
    if name in _MODULES:
        return import_module(f"toolchain.{name}")
    if name == "__version__":
        return _version()
    for module, names in _HOMES.items():
        for public, _, attribute in (entry.partition("=") for entry in names.split()):
            if public == name:
                return getattr(import_module(f"toolchain.{module}"), attribute or public)
    raise AttributeError(f"module 'toolchain' has no attribute '{name}'")


def __dir__() -> list[str]:
    """List the public names, imported or not."""
    return list(__all__)


def _version() -> str:
    """Return the installed version; a copy that nobody installed has none."""
    metadata = import_module("importlib.metadata")
    try:
        return metadata.version("pumice")
    except metadata.PackageNotFoundError:
        return "unknown"
