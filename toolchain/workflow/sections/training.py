"""`[training]`: how the network learns."""

from enum import Enum
from typing import Annotated

from pydantic import Field

from toolchain.files.documents import Document, later
from toolchain.training import Autocast, LearningRateSchedule, Optimizer
from toolchain.workflow.sections.numbers import Amount, Factor, Positive


class Device(Enum):
    """Where to train."""

    AUTO = "auto"
    CPU = "cpu"
    CUDA = "cuda"


class TrainingSection(Document):
    """`[training]`: surrogate-gradient training."""

    epochs: Positive = Field(default=40, description="passes over the training split")
    batch_size: Positive = Field(default=32, description="samples per step")
    learning_rate: Factor = Field(default=0.005, description="peak of the cycle")
    optimizer: Optimizer = later(default=Optimizer.ADAMW, description="adamw, or sgd (with momentum 0.9)")
    schedule: LearningRateSchedule = later(
        default=LearningRateSchedule.ONE_CYCLE,
        description="course of the learning rate: one_cycle, or thirds (a tenth after each third)",
    )
    weight_decay: Amount = Field(default=0.0, description="decoupled weight decay")
    gradient_clip: Factor = Field(default=1.0, description="largest norm of a gradient")
    surrogate_slope: Factor | None = Field(
        default=None,
        description="sharpness of the spike derivative; by default 2, in convolutional networks 4",
    )
    label_smoothing: Annotated[float, Field(ge=0, lt=1)] = Field(
        default=0.1, description="of the cross-entropy"
    )
    rate_penalty: Amount = later(
        default=0.0, description="weight of the mean rate of neurons, in spikes per step, in the loss"
    )
    operation_penalty: Amount = later(
        default=0.0,
        description="weight of a synaptic operation per sample in the loss, such as 1e-6 (20,000: 0.02)",
    )
    neuron_rate: Amount = Field(
        default=0.2, description="learning rate of what neurons learn, as a share of that of the weights"
    )
    delay_rate: Amount = Field(
        default=20.0, description="learning rate of delays, as a multiple of that of the weights"
    )
    recompute: bool = Field(
        default=False, description="compute what gradients need again instead of storing it: less memory"
    )
    autocast: Autocast = Field(
        default=Autocast.OFF,
        description="off, or bfloat16 for convolutions and products, by PyTorch's autocast",
    )
    device: Device = Field(default=Device.AUTO, description="auto, cpu or cuda")
    calibration_samples: Positive = Field(default=256, description="training samples kept for quantization")
