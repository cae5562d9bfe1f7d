"""The schema of a microcontroller: its memories, its clock and its core, each with its source."""

from enum import Enum
from importlib.resources import files
from pathlib import Path
from typing import Annotated, Final

from pydantic import Field

from toolchain.files.documents import Document
from toolchain.target.profile_files import Sourced, read_profile

Size = Annotated[int, Field(ge=1, le=2**40)]
Factor = Annotated[float, Field(gt=0, le=100)]

BUILT_IN: Final = ("stm32f411", "stm32h743", "rp2040", "nrf52840", "esp32c3")
GUIDE: Final = "targets/README.md"


class Core(Enum):
    """Cores whose compilers are known. A file names one of these, never a command."""

    CORTEX_M0PLUS = "cortex-m0plus"
    CORTEX_M4 = "cortex-m4"
    CORTEX_M7 = "cortex-m7"
    RV32IMC = "rv32imc"

    @property
    def compiler(self) -> tuple[str, ...]:
        """The cross compiler for it, as Debian calls it."""
        if self is Core.RV32IMC:
            return ("riscv64-unknown-elf-gcc", "-march=rv32imc", "-mabi=ilp32")
        return ("arm-none-eabi-gcc", f"-mcpu={self.value}", "-mthumb")

    @property
    def package(self) -> str:
        """The package of Debian that holds its compiler."""
        return "gcc-riscv64-unknown-elf" if self is Core.RV32IMC else "gcc-arm-none-eabi"


class ProcessorProfile(Document):
    """A microcontroller, as read from its TOML file.

    Attributes:
        name: Name of the microcontroller.
        title: Its name for people.
    """

    name: Annotated[str, Field(min_length=1)]
    title: Annotated[str, Field(min_length=1)]
    core: Sourced[Core] = Field(description="the core that runs the network")
    flash: Sourced[Size] = Field(description="memory for code and constant tables")
    ram: Sourced[Size] = Field(description="memory for the state, in one piece")
    clock: Sourced[Size] = Field(description="highest frequency of the core")
    instructions: Sourced[Factor] = Field(
        description="instructions that the core takes where a Cortex-M4 takes one"
    )
    cycles: Sourced[Factor] = Field(description="cycles of an instruction, the mean over a step")
    references: dict[str, str] = Field(default={}, description="what the short codes in sources stand for")


def load_processor(source: str | Path) -> ProcessorProfile:
    """Return a microcontroller of ours by name, or read one from a file.

    Args:
        source: A name of `BUILT_IN`, or the path of a TOML file of the same schema.

    Raises:
        MissingFileError: There is no such file.
        ProfileError: A value is missing or impossible: names file and key.
    """
    return read_profile(ProcessorProfile, source, files("targets.c").joinpath("profiles"), BUILT_IN, GUIDE)
