"""The search for the largest network that fits: candidates are pruned, and the place is asked about each."""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Final, final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from toolchain.errors import PruningError
from toolchain.models import FeedForward, Network
from toolchain.progress import Progress, no_progress
from toolchain.pruning.compact import compact
from toolchain.pruning.fit.budget import Saliency, SizeBudget
from toolchain.pruning.fit.record import FitStep
from toolchain.pruning.fit.shares import PricedChoice, prices_of
from toolchain.pruning.fit.weighted_parts import is_dead, parts_of, thinned

_COARSE: Final = 0.1
_FINE: Final = 0.02
"""Relative width at which a bisection ends."""
_PROBED: Final = 0.25
"""Share of the synapses of a connection that are left out to see what they are charged."""
_SPARE: Final = 0.05
"""Share of their synapses that neurons have at least where some neurons go."""
_LEANEST: Final = "the fewest synapses that join all neurons"
_NEARLY: Final = 0.97
"""Share of its synapses with which a trained network that does not fit is tried next."""
_ASKED: Final = 30
"""About how often the place is asked."""


@final
@dataclass(frozen=True)
class SizeAnswer:
    """What a place says of a network.

    Attributes:
        amount: How much of the limit it takes; None if a part of it is too large for any core.
        charge: The same in fractions, so that a few synapses make a difference.
        operations: Synaptic operations of a sample by connection, where they are what is charged.
        refusal: What is too large, and for what, in words; empty where an amount is known.
        note: What the amount rests on, in words, where it is not exact.
    """

    amount: float | None
    charge: float
    operations: Mapping[str, float] = field(default_factory=dict[str, float])
    refusal: str = ""
    note: str = ""


Ask = Callable[[Network | FeedForward], SizeAnswer]


@final
@dataclass(frozen=True)
class FitPlan:
    """The largest network that fits, before it is trained.

    Attributes:
        neurons: Neurons that stay, by layer; layers that are not named stay whole.
        counts: Synapses of each connection.
        prices: Price of a synapse in each connection, in prices of the dearest.
    """

    neurons: Mapping[str, NDArray[np.int64]]
    counts: Mapping[str, int]
    prices: Mapping[str, float]

    def of(self, network: Network | FeedForward) -> Network | FeedForward:
        """Return a network without the neurons that go, with all of their synapses."""
        return compact(network, self.neurons) if self.neurons and isinstance(network, Network) else network


@final
class FitSearch:
    """Asks a place about networks, and remembers what it said.

    Args:
        budget: What a network may take.
        ask: Compiles a network and asks its place.
        names: Names of the connections that may be pruned; empty for all.
        gradients: Gradients of the weights by connection, where the saliency needs some.
        bits: Bits of a weight, where they are chosen.
        progress: Callback after every answer.
    """

    def __init__(
        self,
        budget: SizeBudget,
        ask: Ask,
        *,
        names: tuple[str, ...] = (),
        gradients: Mapping[str, Tensor] | None = None,
        bits: int | None = None,
        progress: Progress = no_progress,
    ) -> None:
        self.budget, self.bits, self._ask, self._names = budget, bits, ask, names
        self._gradients, self._progress = gradients or {}, progress
        self.steps: list[FitStep] = []

    def asked(self, what: str, network: Network | FeedForward) -> SizeAnswer:
        """Ask the place about a network.

        Args:
            what: What is tried, in words.
            network: The network.
        """
        return self.noted(what, network, self._ask(network))

    def noted(
        self, what: str, network: Network | FeedForward, answer: SizeAnswer, accuracy: float | None = None
    ) -> SizeAnswer:
        """Remember an answer about a network, and the accuracy of its integers."""
        synapses = sum(part.count for part in parts_of(network))
        fits, bits = self.fits(answer), self.bits
        self.steps.append(
            FitStep(what, neurons_of(network), synapses, answer.amount, fits, accuracy, weight_bits=bits)
        )
        self._progress(min(len(self.steps), _ASKED - 1), _ASKED)
        return answer

    def fits(self, answer: SizeAnswer) -> bool:
        """Return whether an answer is within the budget."""
        return answer.amount is not None and answer.amount <= self.budget.amount

    def require_possible(self, network: Network | FeedForward) -> None:
        """Raise if even the smallest network that a network could become does not fit.

        Raises:
            PruningError: Says the nearest budget that is possible.
        """
        answer = self._leanest(network, self._choice(network))
        if not self.fits(answer):
            self._require_smaller(network, answer)

    def keeps_neurons(self, network: Network | FeedForward) -> bool:
        """Return whether a network fits with all of its neurons, if with the fewest synapses."""
        return self.fits(self._leanest(network, self._choice(network)))

    def _leanest(self, network: Network | FeedForward, choice: PricedChoice) -> SizeAnswer:
        return self._dearer(_LEANEST, network, choice.leanest)

    def _dearer(self, what: str, network: Network | FeedForward, counts: Mapping[str, int]) -> SizeAnswer:
        """Return what so many synapses take that join all neurons, or the strongest ones if these do not fit.

        A training leaves the strongest, wherever they are.
        """
        answer = self.asked(what, thinned(network, counts, alive=True))
        if not self.fits(answer) or not isinstance(network, Network):
            return answer
        strongest = self.asked(f"{what}, the strongest", thinned(network, counts))
        return answer if self.fits(strongest) else strongest

    def _require_smaller(self, network: Network | FeedForward, answer: SizeAnswer) -> None:
        """Raise if fewer neurons do not help either where the fewest synapses do not fit, by their answer."""
        words = f"of {_LEANEST} ({self.steps[-1].synapses:,})"
        if isinstance(network, Network):
            small = self._smaller(network, 1)
            lean = thinned(small, self._choice_of(small).leanest, alive=True)
            answer = self.asked("one neuron a layer", lean)
            words = "of one neuron in each layer before the last, and one synapse for each neuron"
        if not self.fits(answer):
            raise self._impossible(answer, words, network)

    def _impossible(self, answer: SizeAnswer, words: str, network: Network | FeedForward) -> PruningError:
        refused = f"more than a core holds: {answer.refusal}" if answer.refusal else "more than a core holds"
        least = refused if answer.amount is None else self.budget.measured(answer.amount)
        remedy = "" if answer.amount is None else f"; the nearest budget that is possible is {least}"
        if isinstance(network, FeedForward):
            remedy += (
                ", or fewer channels: single weights of a convolution that are zero save little, "
                "`method = 'sca'` prunes channels"
            )
        return PruningError(
            f"a budget of {self.budget.sentence()} cannot be met: even the network {words} takes {least}"
            f"{remedy}"
        )

    def plan(self, network: Network | FeedForward) -> FitPlan:
        """Return the largest network that fits.

        Raises:
            PruningError: None does, or none that joins an input with an output.
        """
        choice = self._choice(network)
        plan = FitPlan({}, choice.whole, dict.fromkeys(choice.names, 1.0))
        whole = self.asked("all synapses", network)
        if self.fits(whole):
            return plan
        lean = self._leanest(network, choice)
        if not self.fits(lean):
            self._require_smaller(network, lean)
            if isinstance(network, Network):
                plan = replace(plan, neurons=self._fewer_neurons(network))
                network = compact(network, plan.neurons)
                choice = self._choice_among_few(network)
                whole = self.asked("all synapses of fewer neurons", network)
                if self.fits(whole):
                    return replace(plan, counts=choice.whole)
                lean = self._leanest(network, choice)
        guess = self._guess(choice, lean, whole)
        total, answer = self._largest(network, choice, None, guess, _COARSE)
        prices = self._prices(network, choice, total, answer)
        total, _ = self._largest(network, choice, prices, total, _FINE)
        counts = choice.counts(total, prices)
        if is_dead(thinned(network, counts)):
            if is_dead(network):
                raise PruningError(
                    "none of the network's outputs is joined with an input, before anything is pruned",
                    "no budget mends it; train another network",
                )
            raise PruningError(
                f"the largest network that fits {self.budget.sentence()} has {total:,} synapses, and none of "
                "its outputs is joined with an input; give a larger budget"
            )
        return replace(plan, counts=counts, prices=prices)

    def _guess(self, choice: PricedChoice, lean: SizeAnswer, whole: SizeAnswer) -> int:
        """Return how many synapses would fit if each were charged the same."""
        least, most = sum(choice.least), sum(choice.before)
        room = self.budget.amount * (whole.charge / whole.amount if whole.amount else 1.0)
        if whole.charge <= lean.charge:
            return 0
        return round(least + (most - least) * (room - lean.charge) / (whole.charge - lean.charge))

    def shrunk(
        self, network: Network | FeedForward, prices: Mapping[str, float], share: float
    ) -> dict[str, int]:
        """Return how many synapses each connection of a trained network may have.

        Args:
            network: A network that does not fit.
            prices: Price of a synapse in each connection.
            share: Share of the largest number that is taken.
        """
        choice = self._choice(network)
        near = round(_NEARLY * sum(choice.before))
        total, _ = self._largest(network, choice, prices, near, _FINE)
        return choice.counts(math.floor(total * share), prices)

    def _choice(self, network: Network | FeedForward) -> PricedChoice:
        """Return the choice among the synapses of a network.

        Raises:
            PruningError: It has none that may be pruned.
        """
        parts_of(network, self._names)
        return self._choice_of(network)

    def _choice_among_few(self, network: Network) -> PricedChoice:
        """Return the choice among the synapses of a network of so few neurons that it fits.

        Raises:
            PruningError: None of those that may be pruned are left.
        """
        choice = self._choice_of(network)
        if choice.names:
            return choice
        raise PruningError(
            f"only a network of so few neurons is within {self.budget.sentence()} that no synapses of "
            f"{', '.join(self._names)} are left",
            "name more connections under `connections`, or give a larger budget",
        )

    def _choice_of(self, network: Network | FeedForward) -> PricedChoice:
        """Return the choice among the synapses of a network; of a small one none may be left."""
        parts = [part for part in parts_of(network) if not self._names or part.name in self._names]
        gradients, saliency = self._gradients, self.budget.saliency
        if saliency is Saliency.GRADIENT and any(
            part.name not in gradients or gradients[part.name].shape != part.weight.shape for part in parts
        ):
            # They are those of the network before neurons went.
            saliency = Saliency.LAMP
        return PricedChoice(parts, saliency, gradients)

    def _largest(
        self,
        network: Network | FeedForward,
        choice: PricedChoice,
        prices: Mapping[str, float] | None,
        guess: int,
        width: float,
    ) -> tuple[int, SizeAnswer | None]:
        """Return the largest number of synapses with which a network fits, up to a relative width.

        With it comes what it takes; nothing where it is the fewest that there can be.

        The search begins with a guess and walks, in longer and longer steps, until it has gone too far.
        """
        low, high = sum(choice.least), sum(choice.before)
        tried, reach, way = guess, 1 + 3 * width, None
        best: SizeAnswer | None = None
        while high - low > max(1, width * low):
            if not low < tried < high:
                tried = _between(low, high)
            counts = choice.counts(tried, prices)
            answer = self.asked("fewer synapses", thinned(network, counts))
            fits = self.fits(answer)
            low, high, best = (tried, high, answer) if fits else (low, tried, best)
            way = fits if way is None else way
            tried = 0 if fits != way else round(tried * reach if fits else tried / reach)
            reach *= reach
        return low, best

    def _prices(
        self, network: Network | FeedForward, choice: PricedChoice, total: int, answer: SizeAnswer | None
    ) -> dict[str, float]:
        """Return what a synapse costs in each connection: with some fewer the place is asked again."""
        counts = choice.counts(total)
        if answer is None:
            answer = self.asked("as priced", thinned(network, counts))
        if answer.operations:
            return prices_of(
                {name: answer.operations.get(name, 0.0) / max(count, 1) for name, count in counts.items()}
            )
        charges = dict[str, float]()
        for name, least in choice.leanest.items():
            fewer = max(least, round((1 - _PROBED) * counts[name]))
            if fewer == counts[name]:
                charges[name] = math.nan
                continue
            without = self.asked(f"fewer synapses in '{name}'", thinned(network, counts | {name: fewer}))
            charges[name] = (answer.charge - without.charge) / (counts[name] - fewer)
        return prices_of(charges)

    def _fewer_neurons(self, network: Network) -> dict[str, NDArray[np.int64]]:
        """Return the most neurons that fit, with a few synapses each, by bisection."""
        low, high = 1, max(network.layer(name).size for name in _inner(network))
        while high - low > max(1, _FINE * low):
            middle = (low + high) // 2
            small = self._smaller(network, middle)
            choice = self._choice_of(small)
            total = max(sum(choice.least), math.ceil(_SPARE * sum(choice.before)))
            if self.fits(self._dearer("fewer neurons", small, choice.counts(total))):
                low = middle
            else:
                high = middle
        return _most_heard(network, low)

    def _smaller(self, network: Network, largest: int) -> Network:
        return compact(network, _most_heard(network, largest))


def _between(low: int, high: int) -> int:
    """Return a number between two: in proportion where they are far apart."""
    middle = math.sqrt(low * high) if high > 2 * low else (low + high) / 2
    return min(max(round(middle), low + 1), high - 1)


def neurons_of(network: Network | FeedForward) -> int:
    """Return the neurons of a recurrent network, or the channels of a convolutional one."""
    if isinstance(network, Network):
        return sum(network.layer(name).size for name in network.layers)
    return sum(len(part.weight) for part in parts_of(network))


def _inner(network: Network) -> list[str]:
    """Return the layers that are not read, which can lose neurons."""
    return [name for name in network.layers if name != network.output]


def _most_heard(network: Network, largest: int) -> dict[str, NDArray[np.int64]]:
    """Return the neurons of each inner layer whose outgoing weights say most.

    Args:
        network: The network.
        largest: Neurons of its largest inner layer that stay; others keep the same share.
    """
    inner = _inner(network)
    most = max((network.layer(name).size for name in inner), default=1)
    stay: dict[str, NDArray[np.int64]] = {}
    for name in inner:
        size = network.layer(name).size
        heard = torch.zeros(size, dtype=torch.float64)
        for part in parts_of(network):
            if part.source == name:
                squares = part.weight.double().square() * part.mask
                heard += squares.sum(0) / squares.sum().clamp(min=torch.finfo(squares.dtype).tiny)
        count = max(1, round(size * largest / most))
        order = torch.sort(heard, descending=True, stable=True).indices[:count]
        stay[name] = np.sort(order.numpy().astype(np.int64))
    return stay
