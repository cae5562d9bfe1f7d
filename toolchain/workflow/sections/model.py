"""`[model]`: the untrained network, of a kind that its `name` says."""

from typing import Annotated, Any, Final, Literal

from pydantic import Discriminator, Field, Tag

from toolchain.files.documents import Document, later
from toolchain.models import POOL, Readout, Surrogate
from toolchain.models.delays import LONGEST_LEARNT
from toolchain.models.hrsnn import LearntDelays
from toolchain.options import LONGEST_MS
from toolchain.reset import Reset
from toolchain.workflow.sections.numbers import Amount, Factor, Fraction, Milliseconds, Positive, Real, Share

CLUSTERS: Final = (5.0, 10.0, 20.0, 40.0, 80.0)
"""Mean time constants of the clusters of a `chrsnn` that names none: the reference choice."""


class RecurrentModel(Document):
    """`[model]`: a heterogeneous recurrent network, in one pool (hrsnn) or in clusters (chrsnn)."""

    name: Literal["hrsnn", "chrsnn"] = later(
        default="hrsnn",
        description="hrsnn: one recurrent pool; chrsnn: clusters, whose time constants differ",
    )

    neurons: Positive = Field(default=512, description="neurons of the recurrent pool")
    density: Fraction = Field(default=0.6, description="share of possible recurrent synapses")
    rewiring: Share = Field(default=0.1, description="small-world rewiring")
    input_density: Fraction = Field(default=0.2, description="share of possible input synapses")
    tau_mean_ms: Milliseconds = Field(
        default=20.0, description="mean membrane time constant (gamma-distributed)"
    )
    tau_shape: Factor = Field(default=3.0, description="shape of that gamma distribution")
    cluster_tau_ms: tuple[Milliseconds, ...] = Field(
        default=(),
        description="mean time constant of each cluster; empty for one pool (hrsnn), or for "
        "5, 10, 20, 40 and 80 (chrsnn)",
    )
    between: Share = Field(default=0.1, description="density between clusters over the density inside")
    inhibitory: Share = Field(default=0.2, description="share of inhibitory neurons")
    inhibition: Factor = Field(default=4.0, description="inhibitory against excitatory strength")
    gain: Factor = Field(default=0.8, description="spectral radius of the recurrent weights")
    input_gain: Factor = Field(
        default=8.0, description="standard deviation of the summed input, in thresholds"
    )
    bias: Real = Field(default=0.0, description="constant input, in thresholds")
    readout: Readout = Field(default=Readout.LAST_V, description="spike_count, last_v, mean_v or max_v")
    readout_tau_ms: Milliseconds = Field(default=100.0, description="membrane time constant of the read-out")
    dt_ms: Milliseconds = Field(default=1.0, description="length of a step")
    reset: Reset = Field(
        default=Reset.ZERO, description="what a spike does to the potential: zero, value, subtract or none"
    )
    reset_amount: Real | None = Field(
        default=None,
        description="value that is set or taken away, in thresholds; subtract takes 1 unless it is given",
    )
    refractory_ms: Annotated[float, Field(ge=0, le=LONGEST_MS)] = Field(
        default=0.0, description="time after a spike in which a neuron is silent"
    )
    adaptation: Amount = Field(
        default=0.0, description="rise of the threshold at a spike, in thresholds; 0 for none"
    )
    adaptation_tau_ms: Milliseconds = Field(
        default=200.0, description="time constant with which that rise decays"
    )
    train: tuple[str, ...] = Field(
        default=(),
        description="what neurons learn: dv (membrane time constants), vth, reset_amount, adaptation or "
        "adaptation_decay",
    )
    delays: LearntDelays = Field(
        default=LearntDelays.NONE, description="which delays are learnt: none, connection or synapse"
    )
    longest_delay: Annotated[int, Field(gt=0, le=LONGEST_LEARNT)] = Field(
        default=10, description="longest delay that is learnt, in steps"
    )

    @property
    def clusters(self) -> tuple[float, ...]:
        """Mean time constant of each cluster; empty for one pool."""
        return self.cluster_tau_ms or (CLUSTERS if self.name == "chrsnn" else ())


class ConvolutionalModel(Document):
    """What convolutional networks have in common: they take pictures or frames of events."""

    threshold: Factor = Field(default=1.0, description="threshold of all neurons")
    tau_steps: Annotated[float, Field(ge=1, le=LONGEST_MS)] | None = Field(
        default=None, description="membrane time constant in steps; without it nothing leaks"
    )
    reset: Literal["zero", "subtract", "none"] = Field(
        default="zero", description="what a spike does to the potential: zero, subtract or none"
    )
    surrogate: Surrogate = Field(default=Surrogate.SIGMOID, description="shape of the spike derivative")


class VggModel(ConvolutionalModel):
    """`[model]`: 3 x 3 convolutions, each with a batch-norm and neurons, and poolings between them."""

    name: Literal["vgg"] = Field(description="kind of network")
    layers: Literal["vgg5", "vgg9", "vgg11", "vgg16"] | tuple[Positive | Literal["pool"], ...] = Field(
        default="vgg5",
        description="vgg5, vgg9, vgg11 or vgg16, or a list: channels of a convolution, or 'pool'",
    )
    width: Factor = Field(default=1.0, description="factor on the numbers of channels")
    hidden: tuple[Positive, ...] | None = Field(
        default=None,
        description="neurons of fully connected layers before the classifier; by default 512 in each of the "
        "layers that a named network has, and none for a list",
    )

    @property
    def plan(self) -> tuple[int, ...] | None:
        """Channels of the convolutions in order, `POOL` for a pooling; None for a network with a name."""
        if isinstance(self.layers, str):
            return None
        return tuple(
            POOL if item == "pool" else max(1, round(int(item) * self.width)) for item in self.layers
        )


class PreResNetModel(ConvolutionalModel):
    """`[model]`: a residual network with neurons in front of every convolution."""

    name: Literal["preresnet"] = Field(description="kind of network")
    widths: Annotated[tuple[Positive, ...], Field(min_length=1)] = Field(
        default=(64, 128, 256, 512),
        description="channels of the stages; each but the first halves the picture",
    )
    blocks: Annotated[tuple[Positive, ...], Field(min_length=1)] = Field(
        default=(2, 2, 2, 2), description="residual blocks of each stage"
    )
    gamma: Share = Field(default=0.5, description="initial scale of the batch-norms")
    spiking_shortcut: bool = Field(
        default=True, description="whether a shortcut with a convolution reads spikes, as chips need it"
    )


class OwnModel(Document):
    """`[model]`: a network that your own Python file builds. Training runs that file's code."""

    name: Literal["module"] = Field(
        default="module", description="kind of network; may be left out beside `module`"
    )
    module: Annotated[str, Field(min_length=1)] = Field(
        description="'FILE.py:NAME', a function or class that returns a torch.nn.Module; it is given those "
        "of shape, channels, steps and classes that it asks for. The code in that file is run"
    )
    flat: bool = Field(default=False, description="whether the channels of a step stand in one row")
    time_first: bool = Field(
        default=False, description="whether forward takes [time, batch, ...] instead of [batch, time, ...]"
    )


def _kind_of(section: Any) -> str:  # noqa: ANN401 - anything may stand in a file
    """Return the name of the kind of a section; one without a name is what there was at first."""
    name = section.get("name", "hrsnn") if isinstance(section, dict) else getattr(section, "name", "hrsnn")
    return "hrsnn" if name == "chrsnn" else name if isinstance(name, str) else str(name)


ModelOptions = Annotated[
    Annotated[RecurrentModel, Tag("hrsnn")]
    | Annotated[VggModel, Tag("vgg")]
    | Annotated[PreResNetModel, Tag("preresnet")]
    | Annotated[OwnModel, Tag("module")],
    Discriminator(_kind_of),
]
"""What may stand under `[model]`."""
MODEL_KINDS: Final[tuple[type[Document], ...]] = (RecurrentModel, VggModel, PreResNetModel, OwnModel)
"""All of that, kind by kind."""
CONVOLUTIONAL: Final = ("vgg", "preresnet")
"""Names of the networks that take pictures or frames as they are."""
