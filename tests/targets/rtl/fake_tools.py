"""Stand-ins for Yosys, nextpnr and the packers, so that what is around them is tested in no time."""

import json
from pathlib import Path

import pytest

_CELLS = {
    "SB_LUT4": 2000,
    "SB_DFF": 700,
    "SB_DFFESR": 300,
    "SB_RAM40_4K": 17,
    "SB_SPRAM256KA": 2,
    "SB_MAC16": 2,
}


def put_fake_tools(
    folder: Path,
    monkeypatch: pytest.MonkeyPatch,
    *,
    megahertz: float = 20.0,
    luts: int = 2100,
    fails: str = "",
) -> Path:
    """Put stand-ins on the path, before the real ones; return the folder where they note their calls.

    Args:
        folder: Folder for them.
        monkeypatch: For the path.
        megahertz: Highest clock that the placer claims.
        luts: LUTs that the placer counts.
        fails: Name of the tool that fails.
    """
    places = folder / "bin"
    places.mkdir()
    cells = json.dumps({"design": {"num_cells_by_type": _CELLS}})
    used = {"ICESTORM_LC": luts, "ICESTORM_RAM": 17, "ICESTORM_SPRAM": 2, "ICESTORM_DSP": 2}
    counted = {name: {"used": number, "available": 9999} for name, number in used.items()}
    report = json.dumps({"fmax": {"clock": {"achieved": megahertz}}, "utilization": counted})
    writes = {
        "yosys": f"printf '%s' '{cells}' > cells.json; : > netlist.json",
        "nextpnr-ice40": f"printf '%s' '{report}' > report.json; : > placed.txt",
        "icepack": "printf bits > board.bit",
    }
    for name, work in writes.items():
        failure = "echo 'ERROR: no room for it'; exit 1" if name == fails else work
        version = f'case "$1" in -V|--version) echo "{name} version 1.2"; exit 0;; esac'
        tool = places / f"yowasp-{name}"
        tool.write_text(f'#!/bin/sh\n{version}\necho "{name} $*" >> {folder}/calls.txt\n{failure}\n')
        tool.chmod(0o755)
    monkeypatch.setenv("PATH", str(places), prepend=":")
    return folder
