"""The schema of a board: its FPGA with what that holds, its clock and its pins, each with its source."""

from enum import Enum
from importlib.resources import files
from pathlib import Path
from typing import Annotated, Final

from pydantic import Field

from toolchain.files.documents import Document
from toolchain.target.profile_files import Sourced, read_profile

Amount = Annotated[int, Field(ge=0, le=2**32)]
Hertz = Annotated[int, Field(ge=1_000_000, le=1_000_000_000)]
Baud = Annotated[int, Field(ge=9600, le=12_000_000)]
Pin = Annotated[str, Field(pattern=r"^[A-Z]?[A-Z]?[0-9]{1,3}$")]
Package = Annotated[str, Field(pattern=r"^[A-Za-z]{2,8}[0-9]{2,3}$")]
Word = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]{0,99}$")]
Line = Annotated[str, Field(pattern=r"^[^\x00-\x1f\x7f-\x9f\u2028\u2029]{1,200}$")]

BUILT_IN: Final = ("icebreaker", "ulx3s-25f", "ulx3s-85f")
ALIASES: Final = {"ulx3s": "ulx3s-85f"}
"""Boards that are sold with several FPGAs, and the one that a name alone means."""
GUIDE: Final = "targets/README.md"


class FpgaDevice(Enum):
    """FPGAs whose tools are known: what nextpnr calls them."""

    UP5K = "up5k"
    ECP5_25K = "25k"
    ECP5_45K = "45k"
    ECP5_85K = "85k"

    @property
    def is_ice40(self) -> bool:
        """Whether it is an iCE40; otherwise it is an ECP5."""
        return self is FpgaDevice.UP5K

    @property
    def family(self) -> str:
        """Its family, as Yosys and nextpnr call it."""
        return "ice40" if self.is_ice40 else "ecp5"


class BoardPins(Document):
    """Where the top level meets the board.

    Attributes:
        clock: Pin of the clock.
        receive: Pin of the serial line from the host.
        transmit: Pin of the serial line to the host.
    """

    clock: Sourced[Pin]
    receive: Sourced[Pin]
    transmit: Sourced[Pin]


class BoardProfile(Document):
    """A board, as read from its TOML file.

    Attributes:
        name: Name of the board.
        title: Its name for people.
    """

    name: Word
    title: Line
    device: Sourced[FpgaDevice] = Field(description="the FPGA")
    package: Sourced[Package] = Field(description="its package, as nextpnr calls it")
    luts: Sourced[Amount] = Field(description="look-up tables of four inputs")
    registers: Sourced[Amount] = Field(description="flip-flops")
    block_rams: Sourced[Amount] = Field(description="block memories")
    large_rams: Sourced[Amount] = Field(description="large memories with one port; 0 where there are none")
    multipliers: Sourced[Amount] = Field(description="multipliers")
    clock: Sourced[Hertz] = Field(description="frequency of the clock that the board has")
    baud: Sourced[Baud] = Field(description="bits a second of the serial line")
    pins: BoardPins = Field(description="pins of the top level")
    references: dict[str, str] = Field(default={}, description="what the short codes in sources stand for")

    @property
    def divisor(self) -> int:
        """Cycles of a bit of the serial line."""
        return round(self.clock.value / self.baud.value)

    def constraints(self) -> tuple[str, str]:
        """Return the file of pins and clock that nextpnr reads: its name and its text."""
        pins = {"clock": self.pins.clock, "rx": self.pins.receive, "tx": self.pins.transmit}
        if self.device.value.is_ice40:
            lines = [f"set_io {port} {pin.value}" for port, pin in pins.items()]
            return "board.pcf", "\n".join(lines) + "\n"
        lines = [
            f'LOCATE COMP "{port}" SITE "{pin.value}";\nIOBUF PORT "{port}" IO_TYPE=LVCMOS33;'
            for port, pin in pins.items()
        ]
        lines.append(f'FREQUENCY PORT "clock" {self.clock.value / 1e6:g} MHZ;')
        return "board.lpf", "\n".join(lines) + "\n"


def load_board(source: str | Path) -> BoardProfile:
    """Return a board of ours by name, or read one from a file.

    Args:
        source: A name of `BUILT_IN` or `ALIASES`, or the path of a TOML file of the same schema.

    Raises:
        MissingFileError: There is no such file.
        ProfileError: A value is missing or impossible: names file and key.
    """
    named = ALIASES.get(str(source), source) if not Path(source).exists() else source
    return read_profile(BoardProfile, named, files("targets.rtl.fpga").joinpath("boards"), BUILT_IN, GUIDE)
