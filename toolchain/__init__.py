"""Pumice: sparse spiking networks from PyTorch to integers, and the proof that they are the same network.

>>> import toolchain  # doctest: +SKIP
>>> build = toolchain.compile(model, example, target="lava")  # doctest: +SKIP
>>> toolchain.compare(build).comparison.spike_f1  # doctest: +SKIP
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from toolchain.driver import compile_module as compile  # noqa: A004 - the word users expect
    from toolchain.driver import load
    from toolchain.exchange import compile_file
    from toolchain.exchange import export_build as export
    from toolchain.judge import compare_build as compare
    from toolchain.quantization import Quantization
    from toolchain.quantization import repair_build as repair
    from toolchain.resources import check_build as check

__all__ = ["Quantization", "check", "compare", "compile", "compile_file", "export", "load", "repair"]

_PUBLIC = {
    "Quantization": ("toolchain.quantization", "Quantization"),
    "check": ("toolchain.resources", "check_build"),
    "compare": ("toolchain.judge", "compare_build"),
    "compile": ("toolchain.driver", "compile_module"),
    "compile_file": ("toolchain.exchange", "compile_file"),
    "export": ("toolchain.exchange", "export_build"),
    "load": ("toolchain.driver", "load"),
    "repair": ("toolchain.quantization", "repair_build"),
}


def __getattr__(name: str) -> Any:  # noqa: ANN401 - a module's attribute
    """Import on first use: a plain `import toolchain` loads neither torch nor Lava."""
    if name not in _PUBLIC:
        raise AttributeError(f"module 'toolchain' has no attribute '{name}'")
    module, attribute = _PUBLIC[name]
    return getattr(import_module(module), attribute)
