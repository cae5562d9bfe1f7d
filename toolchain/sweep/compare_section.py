"""`[compare]`: what is measured of every point beside what a comparison always says."""

from pydantic import Field

from toolchain.files.documents import Document
from toolchain.workflow.sections.numbers import Positive


class CompareSection(Document):
    """`[compare]`: targets that must be exact, and the chip on which a point is spread."""

    exact: tuple[str, ...] = Field(
        default=(), description="targets whose integers must be equal bit for bit, such as lava"
    )
    samples: Positive = Field(default=32, description="samples that those targets run")
    chip: str | None = Field(
        default=None,
        description="target whose cores and energy are told; by default that of the point, if it is a chip",
    )
    chips: Positive = Field(default=1, description="largest number of such chips")
