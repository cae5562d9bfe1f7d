"""What the numbers of an experiment file may be."""

from typing import Annotated

from pydantic import Field

from toolchain.options import LARGEST_FACTOR, LONGEST_MS, SHORTEST_MS, SMALLEST_FACTOR

Positive = Annotated[int, Field(gt=0, lt=2**31)]
Whole = Annotated[int, Field(ge=0, lt=2**31)]
Seed = Annotated[int, Field(ge=0, lt=2**32)]
Fraction = Annotated[float, Field(gt=0, le=1)]
Share = Annotated[float, Field(ge=0, le=1)]
Factor = Annotated[float, Field(ge=SMALLEST_FACTOR, le=LARGEST_FACTOR)]
Milliseconds = Annotated[float, Field(ge=SHORTEST_MS, le=LONGEST_MS)]
Amount = Annotated[float, Field(ge=0, le=LARGEST_FACTOR)]
Real = Annotated[float, Field(ge=-LARGEST_FACTOR, le=LARGEST_FACTOR)]
