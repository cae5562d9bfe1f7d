"""A module of one's own while it is trained: it runs as it is, and what it returns is read as scores."""

from collections.abc import Callable, Collection, Mapping
from typing import Any, final

from torch import Tensor, nn

from toolchain.intake import Axes
from toolchain.models import NetworkRecord


@final
class OwnModule(nn.Module):
    """Any module beside the way in which it is run, for `fit`.

    Gradients are those of the module's own surrogates, batch-norms and dropout do what they do in PyTorch,
    and nothing goes through compiled loops.

    Args:
        module: The module, which is trained in place.
        scores_of: From a batch and the lengths of its samples to scores `[batch, outputs]`, by running the
            module from rest.
        forms: Shapes that a batch may have.
        scores: Number of scores.
        states: Names of its buffers that are states of neurons, which no checkpoint holds.
    """

    def __init__(
        self,
        module: nn.Module,
        scores_of: Callable[[Tensor, Tensor | None], Tensor],
        *,
        forms: tuple[Axes, ...],
        scores: int,
        states: Collection[str] = (),
    ) -> None:
        super().__init__()
        self.module = module
        self.forms, self.scores = forms, scores
        self._scores_of = scores_of
        self._states = frozenset(f"module.{name}" for name in states)

    def forward(self, x: Tensor, *, lengths: Tensor | None = None) -> NetworkRecord:
        """Run a batch from rest; only scores are recorded.

        Args:
            x: The samples.
            lengths: Number of valid steps of each; later ones are not read. None if all are valid.
        """
        return NetworkRecord(self._scores_of(x, lengths), {}, {}, {})

    def obstacle(self) -> str:
        """Return why it does not go through compiled loops."""
        return "its own forward runs"

    def state_dict(self, *args: Any, **kwargs: Any) -> dict[str, Any]:  # noqa: ANN401 - torch's signature
        """Return its numbers, without the states of neurons, whose shape is that of a batch."""
        numbers: dict[str, Any] = super().state_dict(*args, **kwargs)
        return {name: value for name, value in numbers.items() if name not in self._states}

    def load_state_dict(self, state_dict: Mapping[str, Any], *_: Any, **__: Any) -> Any:  # noqa: ANN401
        """Take back what `state_dict` returned; the states of neurons stay, which every batch starts anew."""
        return super().load_state_dict(state_dict, strict=False)
