"""PyTorch modules whose float semantics are the graph's."""

from toolchain.models.hrsnn import HrsnnShape, build_hrsnn
from toolchain.models.network import Activity, Connection, Network, Readout
from toolchain.models.neurons import CubaLif, Synapses
from toolchain.models.surrogates import Surrogate

__all__ = [
    "Activity",
    "Connection",
    "CubaLif",
    "HrsnnShape",
    "Network",
    "Readout",
    "Surrogate",
    "Synapses",
    "build_hrsnn",
]
