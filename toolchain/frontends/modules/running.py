"""Runs the forward of a module on samples that lie in any of the known ways."""

import inspect
from collections.abc import Mapping

import torch
from torch import Tensor, nn

from toolchain.frontends.modules.layouts import Layout
from toolchain.frontends.modules.ledger import Untyped


def run_forward(module: nn.Module, tensors: Mapping[str, Tensor], layout: Layout) -> Untyped:
    """Return what a module returns for samples; of one that takes a step, the results of all steps stacked.

    Args:
        module: The module, at rest.
        tensors: What its forward takes, by name of the argument; a single one may have any name.
        layout: How they lie.
    """
    if not layout.by_step:
        return module(next(iter(tensors.values()))) if len(tensors) == 1 else module(**tensors)
    results: list[Untyped] = []
    state: Untyped = None
    carries = len(tensors) == 1 and takes_state(module)
    for step in zip(*(tensor.unbind(1) for tensor in tensors.values()), strict=True):
        if carries:
            result, state = module(*step) if state is None else module(*step, state)
        elif len(step) == 1:
            result = module(*step)
        else:
            result = module(**dict(zip(tensors, step, strict=True)))
        results.append(result)
    return stacked(results)


def takes_state(module: nn.Module) -> bool:
    """Return whether forward takes a state beside a step, and hands it back, as in Norse."""
    given = list(inspect.signature(module.forward).parameters.values())
    wanted = [each for each in given if each.name in {"state", "states", "hidden"}]
    return len(given) >= 2 and bool(wanted) and given[1] is wanted[0]


def stacked(results: list[Untyped]) -> Untyped:
    """Return the results of all steps as one, with the steps first."""
    first = results[0]
    if isinstance(first, Tensor):
        return torch.stack(results)
    if isinstance(first, tuple | list):
        return tuple(stacked(list(parts)) for parts in zip(*results, strict=True))
    if isinstance(first, Mapping):
        return {key: stacked([result[key] for result in results]) for key in first}
    return first
