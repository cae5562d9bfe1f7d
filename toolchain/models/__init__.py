"""PyTorch modules whose float semantics are the graph's."""

from toolchain.models.feed_forward import INPUT, Add, Block, FeedForward, Select
from toolchain.models.gated_norm import GatedNorm
from toolchain.models.hrsnn import HrsnnShape, build_hrsnn
from toolchain.models.network import Activity, Connection, Network, Readout
from toolchain.models.neurons import CubaLif, Synapses
from toolchain.models.preresnet import PreResNetShape, build_preresnet
from toolchain.models.spiking import ActivityMeter, Spiking
from toolchain.models.surrogates import Surrogate
from toolchain.models.vgg import POOL, NeuronShape, VggShape, build_vgg

__all__ = [
    "INPUT",
    "POOL",
    "Activity",
    "ActivityMeter",
    "Add",
    "Block",
    "Connection",
    "CubaLif",
    "FeedForward",
    "GatedNorm",
    "HrsnnShape",
    "Network",
    "NeuronShape",
    "PreResNetShape",
    "Readout",
    "Select",
    "Spiking",
    "Surrogate",
    "Synapses",
    "VggShape",
    "build_hrsnn",
    "build_preresnet",
    "build_vgg",
]
