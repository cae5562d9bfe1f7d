"""The neurons that are known, of all frameworks, by the names of their types: nothing is imported for it."""

from collections.abc import Mapping
from typing import Final

from torch import nn

from toolchain.errors import FrontendError, UnsupportedModuleError
from toolchain.frontends.modules import norse, own, sinabs, snntorch, spikingjelly
from toolchain.frontends.modules.neuron_kinds import NeuronKind, type_names
from toolchain.models import CubaLif, FeedForward, Network, Spiking

_FRAMEWORKS: Final = {
    "snntorch": snntorch,
    "spikingjelly": spikingjelly,
    "sinabs": sinabs,
    "norse": norse,
    "toolchain": own,
}
_KINDS: Final[Mapping[str, NeuronKind]] = {
    name: kind for table in _FRAMEWORKS.values() for name, kind in table.KINDS.items()
}
_REFUSED: Final[Mapping[str, str]] = {
    name: why for table in _FRAMEWORKS.values() for name, why in table.REFUSED.items()
}
"""Why a type has no counterpart, by its name, or by the beginning of it where that ends in a point."""
_RESETS: Final = {name: reset for table in _FRAMEWORKS.values() for name, reset in table.RESETS.items()}
_READ: Final = (Network, FeedForward, CubaLif, Spiking, nn.Sequential)
MODULES: Final = ", ".join(
    f"{name} ({', '.join(sorted({kind.rpartition('.')[2] for kind in table.KINDS}))})"
    for name, table in _FRAMEWORKS.items()
    if name != "toolchain"
)
"""What is known, for errors."""


def kind_of(module: nn.Module) -> NeuronKind | None:
    """Return what is known of a module of neurons; None for a module that is none."""
    return next((_KINDS[name] for name in type_names(module) if name in _KINDS), None)


def neurons_of(module: nn.Module) -> dict[str, tuple[nn.Module, NeuronKind]]:
    """Return the modules of neurons in a module by their paths; those inside of others are left out.

    Raises:
        UnsupportedModuleError: A module is of neurons that have no counterpart.
        FrontendError: Neurons have options that have none.
    """
    known: dict[str, tuple[nn.Module, NeuronKind]] = {}
    for path, child in module.named_modules():
        if any(path.startswith(f"{outer}.") for outer in known):
            continue
        kind = kind_of(child)
        name = type(child).__name__
        if kind is None:
            why = _why_not(child)
            if why:
                raise UnsupportedModuleError(path or "(model)", name, (MODULES,), why)
            continue
        why = kind.refusal(child)
        if why:
            raise FrontendError(f"module '{path or '(model)'}', a {name}, cannot be compiled: {why}")
        known[path] = (child, kind)
    return known


def is_recorded(module: object) -> bool:
    """Return whether a module is compiled by running its own forward: it holds neurons of another framework.

    So is one that holds Pumice's neurons, if it is none of the networks that are read without being run.
    """
    if not isinstance(module, nn.Module):
        return False
    names = {name for child in module.modules() for name in type_names(child)}
    others = any(
        (name in _KINDS and name not in own.KINDS) or any(_matches(name, refused) for refused in _REFUSED)
        for name in names
    )
    return others or (not names.isdisjoint(own.KINDS) and not isinstance(module, _READ))


def reset_containers(module: nn.Module) -> None:
    """Put modules at rest that are no neurons and have states."""
    for child in module.modules():
        for name in type_names(child):
            if name in _RESETS:
                _RESETS[name](child)


def _why_not(module: nn.Module) -> str:
    """Return why a module that is not known has no counterpart; empty if nothing is known of it."""
    names = type_names(module)
    return next((why for name in names for refused, why in _REFUSED.items() if _matches(name, refused)), "")


def _matches(name: str, refused: str) -> bool:
    return name.startswith(refused) if refused.endswith(".") else name == refused
