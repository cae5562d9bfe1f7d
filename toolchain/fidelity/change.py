"""A figure of a network before it was pruned and after."""

from collections.abc import Iterable
from typing import Self

from toolchain.files.documents import Count, Document


class Change(Document):
    """A figure before pruning and after it.

    Attributes:
        before: The figure before.
        after: The figure after.
    """

    before: Count | float
    after: Count | float

    @classmethod
    def of(cls, figures: Iterable[float]) -> Self:
        """Return the change of two figures."""
        before, after = figures
        return cls(before=before, after=after)
