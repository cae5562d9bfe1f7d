"""What a pass is: a named, configured function from one valid graph to another."""

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from typing import ClassVar, final

from toolchain.errors import PreconditionError
from toolchain.ir import Delay, Graph, verify


@dataclass(frozen=True, kw_only=True)
class Pass(ABC):
    """A function from one valid graph to another: a frozen dataclass whose fields are its options.

    The graph that it is given is never modified. Where there is nothing to do, that graph itself is returned.
    """

    name: ClassVar[str]

    def requires(self, graph: Graph) -> None:
        """Raise `PreconditionError` if the pass cannot accept `graph`."""

    @abstractmethod
    def rewrite(self, graph: Graph) -> Graph:
        """Return the new graph, or `graph` itself if there was nothing to do."""

    def ensures(self, graph: Graph) -> None:
        """Raise `PostconditionError` if the result breaks what the pass promises."""

    @final
    def __call__(self, graph: Graph) -> Graph:
        """Check the input, rewrite it, check the result. An error says which pass it came from."""
        try:
            self.requires(graph)
            result = self.rewrite(graph)
            if result is not graph:
                verify(result)
            self.ensures(result)
        except Exception as error:
            error.add_note(f"in pass '{self.name}' on graph '{graph.name}'")
            raise
        return result


def require_folded_delays(graph: Graph) -> None:
    """Raise `PreconditionError` if a delay differs between the neurons that it holds."""
    for node in graph:
        if isinstance(node, Delay) and not isinstance(node.steps, int):
            raise PreconditionError(f"delay '{node.name}' differs per neuron; run 'fold-delays' first")


@final
@dataclass(frozen=True)
class Pipeline:
    """Passes in the order they run.

    Attributes:
        passes: The passes, the first one first.
        after: A function that is called with every pass that has run, and the graph that it returned.
    """

    passes: tuple[Pass, ...]
    after: Callable[[Pass, Graph], None] | None = None

    def __call__(self, graph: Graph) -> Graph:
        """Verify the graph and run every pass on it."""
        verify(graph)
        for step in self.passes:
            graph = step(graph)
            if self.after is not None:
                self.after(step, graph)
        return graph
