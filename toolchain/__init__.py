"""Pumice: sparse spiking networks from PyTorch to integers, and the proof that they are the same network.

>>> import toolchain  # doctest: +SKIP
>>> build = toolchain.compile(model, example, target="lava")  # doctest: +SKIP
>>> toolchain.compare(build).comparison.spike_f1  # doctest: +SKIP
"""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from toolchain.driver import compare_build as compare
    from toolchain.driver import compile_module as compile  # noqa: A004 - the word users expect
    from toolchain.driver import load

__all__ = ["compare", "compile", "load"]

_PUBLIC = {"compare": "compare_build", "compile": "compile_module", "load": "load"}


def __getattr__(name: str) -> Any:  # noqa: ANN401 - a module's attribute
    """Import on first use: a plain `import toolchain` loads neither torch nor Lava."""
    if name not in _PUBLIC:
        raise AttributeError(f"module 'toolchain' has no attribute '{name}'")
    from toolchain import driver  # noqa: PLC0415 - this is the point

    return getattr(driver, _PUBLIC[name])
