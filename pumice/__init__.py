"""Pumice: sparse spiking networks from PyTorch to integers, and the proof that they are the same network.

>>> import pumice  # doctest: +SKIP
>>> build = pumice.compile(model, example, target="lava")  # doctest: +SKIP
>>> pumice.compare(build).comparison.spike_f1  # doctest: +SKIP

What a user needs stands here, under a name that nobody else has:

- `compile` and `compile_file` make a build of a trained PyTorch network, or of a file of another framework.
- `load` reads a build from its folder.
- `compare` says how far the integers are the network that was trained.
- `check` says whether a build fits a chip, and what a step takes there.
- `export` writes a build so that it runs elsewhere.
- `repair` trains a build on with its integers.
- `Quantization` holds the options of the compiler.
- `Stimulus` holds samples with their labels.
- `Network`, `Connection`, `CubaLif` and `Readout` make a model of named layers, which may be recurrent;
  `Spiking` is a layer of a convolutional `nn.Sequential`; `as_model` gives its layers names.
- `fit` trains such a model, and `FitOptions` says how.
- `load_target` returns a place where a graph can run.
- `__version__` is the version that is installed.

Importing this package imports neither PyTorch nor anything else of Pumice: each name is fetched on first use.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from toolchain import Quantization, check, compare, compile, compile_file, export, load, repair  # noqa: A004
    from toolchain.execution.stimulus import Stimulus
    from toolchain.frontends import as_model
    from toolchain.models import Connection, CubaLif, Network, Readout, Spiking
    from toolchain.target.registry import load_target
    from toolchain.training import FitOptions, fit

    __version__: str

__all__ = [
    "Connection",
    "CubaLif",
    "FitOptions",
    "Network",
    "Quantization",
    "Readout",
    "Spiking",
    "Stimulus",
    "__version__",
    "as_model",
    "check",
    "compare",
    "compile",
    "compile_file",
    "export",
    "fit",
    "load",
    "load_target",
    "repair",
]

_HOMES = {
    "Connection": "toolchain.models",
    "CubaLif": "toolchain.models",
    "FitOptions": "toolchain.training",
    "Network": "toolchain.models",
    "Readout": "toolchain.models",
    "Spiking": "toolchain.models",
    "Stimulus": "toolchain.execution.stimulus",
    "as_model": "toolchain.frontends",
    "fit": "toolchain.training",
    "load_target": "toolchain.target.registry",
}
"""Where a name stands that `toolchain` itself does not offer."""


def __getattr__(name: str) -> Any:  # noqa: ANN401 - a module's attribute
    """Fetch a public name on first use.

    Raises:
        AttributeError: There is no such name.
        ShadowedError: Another package called `toolchain` stands in the way.
    """
    if name not in __all__:
        raise AttributeError(f"module 'pumice' has no attribute '{name}'")
    value = _version() if name == "__version__" else _of_toolchain(name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    """List the public names, fetched or not."""
    return list(__all__)


def _of_toolchain(name: str) -> object:
    import_module("pumice.shadow").check_packages("toolchain")
    return getattr(import_module(_HOMES.get(name, "toolchain")), name)


def _version() -> str:
    """Return the installed version; a copy that nobody installed has none."""
    metadata = import_module("importlib.metadata")
    try:
        return metadata.version("pumice")
    except metadata.PackageNotFoundError:
        return "unknown"
