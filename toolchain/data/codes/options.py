"""The keys of `[encoding]`: each code has its own, and `name` says which."""

from typing import Annotated, Literal

from pydantic import Field

from toolchain.data.events.binning import Slicing
from toolchain.files.documents import Document, later
from toolchain.models.input_code import MOST_BITS
from toolchain.options import LARGEST_FACTOR, SMALLEST_FACTOR

Positive = Annotated[int, Field(gt=0, lt=2**31)]
Fraction = Annotated[float, Field(gt=0, le=1)]
Reach = Annotated[float, Field(ge=SMALLEST_FACTOR, le=LARGEST_FACTOR)]
Hertz = Annotated[float, Field(gt=0, le=10**6)]


class IntensityCode(Document):
    """`[encoding]`: how intensities become spikes."""

    name: Literal["rate", "poisson", "latency", "direct"] = Field(
        default="rate", description="rate, poisson, latency or direct"
    )
    steps: Positive = Field(default=16, description="time steps per sample, or per frame of a sequence")
    max_rate: Fraction = Field(
        default=1.0, description="spikes per step of the brightest pixel (rate and poisson)"
    )
    rows: bool = later(default=False, description="show a picture row by row, each for all steps")


class DeltaCode(Document):
    """`[encoding]`: a spike up or down for every unit that a value of a sequence or a series moves."""

    name: Literal["delta"] = Field(description="code")
    steps: Positive = Field(default=4, description="time steps per frame, or per value of a series")
    unit: Annotated[float, Field(ge=SMALLEST_FACTOR, le=LARGEST_FACTOR)] = Field(
        default=0.05, description="movement per spike"
    )
    rows: bool = Field(default=False, description="show a picture row by row, each for all steps")


class FilterBankCode(Document):
    """`[encoding]`: bands of sound like those of a cochlea, as spikes or as graded values."""

    name: Literal["filter_bank"] = Field(description="code")
    steps: Positive = Field(default=64, description="time steps per recording: pieces of equal length")
    bands: Positive = Field(default=32, description="bands, evenly spaced as an ear hears them")
    low_hz: Hertz = Field(default=100.0, description="centre of the lowest band")
    high_hz: Hertz | None = Field(
        default=None, description="centre of the highest band; by default 0.4 of the sampling rate"
    )
    range_db: Annotated[float, Field(gt=0, le=200)] = Field(
        default=50.0, description="how far below the loudest a band is still heard"
    )
    max_rate: Fraction = Field(default=1.0, description="spikes per step of the loudest band")
    graded: bool = Field(default=False, description="hand on the levels themselves instead of spikes")


class BinsCode(Document):
    """`[encoding]`: events in frames, one for each step."""

    name: Literal["bins"] = Field(description="code")
    steps: Positive = Field(default=20, description="frames per recording, one for each step")
    slicing: Slicing = Field(
        default=Slicing.TIME, description="where a frame ends: after equal times (time) or events (count)"
    )
    graded: bool = Field(default=False, description="how many events there were instead of whether any")
    shrink: Positive = Field(default=1, description="rows and columns that are joined to one")


class AsIsCode(Document):
    """`[encoding]`: what was stored is what enters, `[steps, channels]`."""

    name: Literal["as_is"] = Field(description="code")


class ValuesCode(Document):
    """`[encoding]`: the values of a series themselves, as graded input, each for some steps."""

    name: Literal["values"] = Field(description="code")
    steps: Positive = Field(default=2, description="time steps per value")
    reach: Reach = Field(default=4.0, description="standard deviations from the mean that are covered")
    bits: Annotated[int, Field(ge=1, le=MOST_BITS)] = Field(
        default=8, description="bits of the integer that stands for a value, its sign apart"
    )


class FieldsCode(Document):
    """`[encoding]`: the values of a series as spikes of receptive fields, at even distances or at random."""

    name: Literal["fields", "poisson_fields"] = Field(description="spikes at even distances, or at random")
    steps: Positive = Field(default=10, description="time steps per value")
    fields: Annotated[int, Field(ge=1, le=2**20)] = Field(
        default=16, description="receptive fields for each dimension, evenly spaced"
    )
    reach: Reach = Field(default=4.0, description="standard deviations from the mean that are covered")
    max_rate: Fraction = Field(default=1.0, description="spikes per step at the centre of a field")


CodeOptions = Annotated[
    IntensityCode | DeltaCode | FilterBankCode | BinsCode | AsIsCode | ValuesCode | FieldsCode,
    Field(discriminator="name"),
]
"""What may stand under `[encoding]`."""
WindowCode = ValuesCode | FieldsCode | DeltaCode
"""Codes that suit windows of a series."""
WindowCodeOptions = Annotated[WindowCode, Field(discriminator="name")]
"""One of these, by its name."""
