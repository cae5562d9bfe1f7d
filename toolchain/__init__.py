"""Pumice: sparse spiking networks from PyTorch to integers, and the proof that they are the same network.

>>> import toolchain  # doctest: +SKIP
>>> build = toolchain.compile(model, example, target="lava")  # doctest: +SKIP
>>> toolchain.compare(build).comparison.spike_f1  # doctest: +SKIP
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from toolchain.workflow.check import check_build as check
    from toolchain.workflow.compare import compare_build as compare
    from toolchain.workflow.compile import compile_module as compile  # noqa: A004 - the word users expect
    from toolchain.workflow.compile_file import compile_file
    from toolchain.workflow.export import export_build as export
    from toolchain.workflow.load import load
    from toolchain.workflow.quantization import Quantization
    from toolchain.workflow.quantization import repair_build as repair

__all__ = ["Quantization", "check", "compare", "compile", "compile_file", "export", "load", "repair"]

_PUBLIC = {
    "Quantization": ("toolchain.workflow.quantization", "Quantization"),
    "check": ("toolchain.workflow.check", "check_build"),
    "compare": ("toolchain.workflow.compare", "compare_build"),
    "compile": ("toolchain.workflow.compile", "compile_module"),
    "compile_file": ("toolchain.workflow.compile_file", "compile_file"),
    "export": ("toolchain.workflow.export", "export_build"),
    "load": ("toolchain.workflow.load", "load"),
    "repair": ("toolchain.workflow.quantization", "repair_build"),
}


def __getattr__(name: str) -> Any:  # noqa: ANN401 - a module's attribute
    """Import on first use: a plain `import toolchain` loads neither torch nor Lava."""
    if name not in _PUBLIC:
        raise AttributeError(f"module 'toolchain' has no attribute '{name}'")
    module, attribute = _PUBLIC[name]
    return getattr(import_module(module), attribute)
