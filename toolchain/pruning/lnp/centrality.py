"""Step II: remove the neurons that the fewest shortest paths run through."""

import numpy as np
import rustworkx as rx
from numpy.typing import NDArray


def betweenness(weights: NDArray[np.float64]) -> NDArray[np.float64]:
    r"""Return the exact betweenness centrality of every neuron.

    .. math:: BC(v) = \sum_{s \ne v \ne t} \sigma_{st}(v) / \sigma_{st}

    on the directed graph of synapses, each of length one, not normalised (the paper's
    algorithm 3).

    Args:
        weights: `[target, source]`.
    """
    graph = rx.PyDiGraph()
    graph.add_nodes_from(range(len(weights)))
    targets, sources = np.nonzero(weights)
    graph.add_edges_from_no_data(list(zip(sources.tolist(), targets.tolist(), strict=True)))
    centrality = rx.digraph_betweenness_centrality(graph, normalized=False)
    return np.array([centrality[node] for node in range(len(weights))])


def most_central(weights: NDArray[np.float64], count: int, rng: np.random.Generator) -> NDArray[np.int64]:
    """Return the sorted indices of the `count` most central neurons; ties are broken at random."""
    tie_break = rng.permutation(len(weights))
    order = np.lexsort((tie_break, betweenness(weights)))
    return np.sort(order[len(weights) - count :])
