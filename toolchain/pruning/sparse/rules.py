"""The rules of sparse training on numbers alone: how many synapses each connection has, and which."""

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from toolchain.errors import PruningError
from toolchain.pruning.sparse.options import Allocation


def allocate(
    synapses: Sequence[int], ends: Sequence[tuple[int, ...]], total: int, how: Allocation
) -> tuple[int, ...]:
    """Return how many synapses each connection gets; none more than it has, together `total`.

    What one connection cannot take goes to the others in the same proportion. Parts of a synapse go to those
    that lack most of one, of equal ones to the first.

    Args:
        synapses: Synapses that each has.
        ends: Neurons of each one's source and target; of a convolution channels, and rows and columns.
        total: Synapses of all together.
        how: In which proportion.

    Raises:
        PruningError: There are fewer, or fewer than connections are wanted.
    """
    most = np.array(synapses, np.int64)
    if not len(most) <= total <= most.sum():
        raise PruningError(
            f"expected at least one synapse for each of {len(most)} connections and at most the {most.sum()} "
            f"that there are, got {total}"
        )
    shares = most if how is Allocation.UNIFORM else np.array([sum(each) for each in ends])
    weights = np.where(most > 0, shares, 0).astype(np.float64)
    wanted, full = np.zeros(len(most)), most == 0
    while not full.all():
        left = total - most[full].sum()
        wanted = np.where(full, most, left * weights / weights[~full].sum())
        over = ~full & (wanted >= most)
        if not over.any():
            break
        full |= over
    return _whole(np.minimum(wanted, most), most, total)


def _whole(wanted: NDArray[np.float64], most: NDArray[np.int64], total: int) -> tuple[int, ...]:
    counts = np.maximum(np.floor(wanted + 1e-9).astype(np.int64), np.minimum(most, 1))
    while counts.sum() != total:
        step = 1 if counts.sum() < total else -1
        room = counts < most if step > 0 else counts > 1
        lack = np.where(room, step * (wanted - counts), -np.inf)
        counts[np.argmax(lack)] += step
    return tuple(int(count) for count in counts)


def weakest(size: Tensor, mask: Tensor, count: int) -> Tensor:
    """Return the places of the present synapses of smallest size, flat and ascending.

    Of equal ones, those that stand first.

    Args:
        size: Size of every synapse, not negative.
        mask: Whether each is present, of the same shape.
        count: How many, at most as many as are present.
    """
    flat = torch.where(mask, size, torch.inf).reshape(-1)
    return torch.sort(torch.sort(flat, stable=True).indices[:count]).values


def strongest_absent(gain: Tensor, possible: Tensor, count: int) -> Tensor:
    """Return the places that gain most, flat and ascending; fewer than `count` if no more are possible.

    Of equal ones, those that stand first.

    Args:
        gain: What each place would gain, not negative.
        possible: Where a synapse may come, of the same shape.
        count: How many.
    """
    flat = torch.where(possible, gain, -1.0).reshape(-1)
    count = min(count, int(possible.sum()))
    return torch.sort(torch.sort(flat, descending=True, stable=True).indices[:count]).values


def drawn_absent(possible: Tensor, count: int, chance: torch.Generator) -> Tensor:
    """Return places drawn at random, flat and ascending; fewer than `count` if no more are possible.

    Args:
        possible: Where a synapse may come.
        count: How many.
        chance: Where random numbers come from; on the CPU, so that every device draws the same.
    """
    places = torch.nonzero(possible.reshape(-1)).reshape(-1)
    order = torch.randperm(len(places), generator=chance)[:count].to(places.device)
    return torch.sort(places[order]).values


def fixed_signs(weight: Tensor, mask: Tensor, chance: torch.Generator) -> Tensor:
    """Return the sign of every place, 1 or -1: of a present synapse its own.

    An absent one has the sign of its source where that is one of all its synapses (Dale's law), and one
    drawn at random elsewhere.

    Args:
        weight: Weights, targets first.
        mask: Whether each is present.
        chance: Where random numbers come from.
    """
    present = torch.where(mask, torch.sign(weight), 0.0)
    low, high = present.amin(dim=0), present.amax(dim=0)
    column = torch.where(low * high < 0, 0.0, low + high).clamp(-1, 1)
    drawn = 1.0 - 2.0 * torch.randint(2, weight.shape, generator=chance).to(weight.device, weight.dtype)
    absent = torch.where(column != 0, column.expand_as(weight), drawn)
    return torch.where(present != 0, present, absent)
