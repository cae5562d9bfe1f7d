"""PyTorch modules whose float semantics are the graph's."""

from toolchain.models.delays import SynapticDelays
from toolchain.models.dynamics import LayerState, NeuronDynamics
from toolchain.models.feed_forward import INPUT, Add, FeedForward, NetworkBlock, Select
from toolchain.models.gated_norm import GatedNorm
from toolchain.models.hrsnn import HrsnnShape, LearntDelays, build_hrsnn
from toolchain.models.input_code import InputCode
from toolchain.models.network import Connection, Network, NetworkRecord, Readout
from toolchain.models.neurons import CubaLif, MaskedSynapses, learnt_parameters
from toolchain.models.preresnet import PreResNetShape, build_preresnet
from toolchain.models.spiking import ActivityMeter, Meter, Spiking, begin
from toolchain.models.surrogates import Surrogate
from toolchain.models.vgg import POOL, NeuronShape, VggShape, build_vgg

__all__ = [
    "INPUT",
    "POOL",
    "ActivityMeter",
    "Add",
    "Connection",
    "CubaLif",
    "FeedForward",
    "GatedNorm",
    "HrsnnShape",
    "InputCode",
    "LayerState",
    "LearntDelays",
    "MaskedSynapses",
    "Meter",
    "Network",
    "NetworkBlock",
    "NetworkRecord",
    "NeuronDynamics",
    "NeuronShape",
    "PreResNetShape",
    "Readout",
    "Select",
    "Spiking",
    "Surrogate",
    "SynapticDelays",
    "VggShape",
    "begin",
    "build_hrsnn",
    "build_preresnet",
    "build_vgg",
    "learnt_parameters",
]
