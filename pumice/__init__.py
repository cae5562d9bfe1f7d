"""Pumice: sparse spiking networks from PyTorch to integers, and the proof that they are the same network.

>>> import pumice  # doctest: +SKIP
>>> build = pumice.compile(model, example, target="lava")  # doctest: +SKIP
>>> pumice.compare(build).comparison.spike_f1  # doctest: +SKIP

A network becomes a build, which is a float graph and its integers:

- `compile` compiles a PyTorch network, `compile_file` a file of another framework, `compile_run` a run
  folder.
- `Quantization` holds the options of the compiler.
- `repair` trains a build on with its integers; `RepairOptions` says how.
- `load` reads a build from its folder.

What a build does:

- `check_import` says whether a network from a file is what its own framework computed.
- `compare` says how far the integers are the network that was trained.
- `check_gates` and `check_baseline` raise where a comparison is worse than it may be; `write_baseline` writes
  its figures as the bound of tomorrow.
- `predict` says the class of every sample, as a `Prediction`.
- `run` runs a build on a target, and `record` does so into a file.
- `check` says whether a build fits a chip, and what a step takes there; `check_firmware` says it of
  microcontrollers, and `check_fpga` of the FPGAs of boards.
- `export` writes a build so that it runs elsewhere.
- `targets` lists the places where a network can run, `load_target` returns one of them.

What these calls take and return:

- `Stimulus` holds samples with their labels, `Trace` what every population did on them.
- `Graph` is a network as operations, `Build` a compiled one.
- `Comparison`, `Judgement`, `Resources`, `Firmware`, `Fpga` and `ImportCheck` hold what `compare`, `check`,
  `check_firmware`, `check_fpga` and `check_import` measured.

Models, training and pruning:

- `Network`, `Connection`, `CubaLif` and `Readout` make a model of named layers, which may be recurrent;
  `Spiking` is a layer of a convolutional `nn.Sequential`; `as_model` gives the layers of an `nn.Sequential`
  names.
- `fit` trains such a model, and `FitOptions` says how; `trainable` makes one of a module with a forward of
  its own.
- `load_experiment` reads an `Experiment` from its file, `prune` and `train` carry it out in a run folder;
  `prune_to_fit` prunes the network of a run until it fits a chip, a memory or a number of operations.
- `run_sweep` carries many of them out, on all cores or on many machines.
- `models`, `data`, `training` and `pruning` are the modules with everything else of that kind.

And `errors` holds every error that is raised on purpose, `__version__` the version that is installed.

Importing this package imports nothing else of Pumice: each name is fetched on first use.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from toolchain import *  # noqa: F403 - its `__all__` is the public API
    from toolchain import __version__ as __version__


def __getattr__(name: str) -> Any:  # noqa: ANN401 - a module's attribute
    """Fetch a public name on first use.

    Raises:
        AttributeError: There is no such name.
        ShadowedError: Another package called `toolchain` stands in the way.
    """
    if not name.startswith("_") or name in {"__all__", "__version__"}:
        toolchain = _import_toolchain()
        if name == "__all__" or name in toolchain.__all__:
            globals()[name] = value = getattr(toolchain, name)
            return value
    raise AttributeError(f"module 'pumice' has no attribute '{name}'")


def __dir__() -> list[str]:
    """List the public names, fetched or not."""
    return list(_import_toolchain().__all__)


def _import_toolchain() -> Any:  # noqa: ANN401 - a module
    import_module("pumice.shadow").check_packages("toolchain")
    return import_module("toolchain")
