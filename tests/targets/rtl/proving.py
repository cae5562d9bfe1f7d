"""Proofs of Verilog: Yosys writes what a module does as equations, z3 looks for a counterexample."""

import shutil
import subprocess
from collections.abc import Mapping
from pathlib import Path

import pytest

from tests.targets.rtl.icarus import BENCHES, VERILOG

_TOOLS = ("yosys", "yosys-smtbmc", "z3")


def prove_neuron(folder: Path, parameters: Mapping[str, int], spoil: tuple[str, str] | None = None) -> bool:
    """Return whether the properties of a neuron hold after every cycle from every state.

    Args:
        folder: Folder for the files.
        parameters: Parameters of the module.
        spoil: A text of the module, and what is put in its place.
    """
    for tool in _TOOLS:
        if shutil.which(tool) is None:
            pytest.skip(f"{tool} is not installed")
    text = (VERILOG / "neuron.v").read_text()
    if spoil is not None:
        assert spoil[0] in text
        text = text.replace(*spoil)
    properties = (BENCHES / "neuron_properties.vh").read_text().replace("`RISE", "ruled.next_rise")
    body, end, _ = text.rpartition("endmodule")
    (folder / "neuron.v").write_text(f"{body}{properties}\n{end}\n")
    plain = "" if parameters["RULES"] else "-DPLAIN"
    chosen = " ".join(f"-set {name} {value}" for name, value in parameters.items())
    script = (
        f"read_verilog -sv -formal {plain} neuron.v",
        f"read_verilog -sv -formal {(BENCHES / 'free_parts.vh').resolve()}",
        f"chparam {chosen} -set STATE_DEPTH 2 -set PARAMETER_DEPTH 2 neuron",
        "prep -top neuron; flatten; opt_clean",
        "setundef -undriven -anyseq; write_smt2 -wires neuron.smt2",
    )
    command = ["yosys", "-q", "-p", "; ".join(script)]
    subprocess.run(command, cwd=folder, check=True, capture_output=True, text=True)
    solve = ["yosys-smtbmc", "--noprogress", "-s", "z3", "-i", "-t", "1", "neuron.smt2"]
    said = subprocess.run(solve, cwd=folder, capture_output=True, text=True, check=False, timeout=600).stdout
    assert ("Status: PASSED" in said) != ("Status: FAILED" in said), said
    return "Status: PASSED" in said
