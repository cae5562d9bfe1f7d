"""A network for a synthesis: the core, a module that gives it its size, and what it is loaded with."""

import re
import shutil
from pathlib import Path
from typing import Final

from targets.rtl.image import MemoryImage
from targets.rtl.layout import MessageSender
from targets.rtl.simulator import CORE_FILES, VERILOG
from toolchain.ir import EdgeKind

LOAD_FILE: Final = "load.hex"
_LONGEST: Final = 60
"""Characters of a module's name."""


def module_name(name: str) -> str:
    """Return the name of a network's module: no keyword of Verilog begins like it."""
    return f"net_{re.sub(r'[^0-9a-z]+', '_', name.lower()).strip('_')[:_LONGEST]}".rstrip("_")


def export_core(image: MemoryImage, folder: Path) -> None:
    """Write a network as Verilog and its load stream, a word of 16 bits a line, as `$readmemh` reads it.

    Args:
        image: The memories of the core.
        folder: Folder for the files.
    """
    for name in CORE_FILES:
        shutil.copyfile(VERILOG / name, folder / name)
    words = image.load_words(image.size)
    (folder / LOAD_FILE).write_text("".join(f"{word:04x}\n" for word in words.tolist()), encoding="ascii")
    name = module_name(image.graph.name)
    (folder / f"{name}.v").write_text(top_module(image), encoding="ascii")


def top_module(image: MemoryImage) -> str:
    """Return a module that is the core for a network; its comment says what the streams mean."""
    size = image.size
    address, value = 16 * size.table_columns, max(size.value_bits, 1)
    ports = [
        ("input", "", "clock"),
        ("input", "", "reset"),
        ("input", "", "load_valid"),
        ("output", "", "load_ready"),
        ("input", "[15:0]", "load_data"),
        ("input", "", "in_valid"),
        ("output", "", "in_ready"),
        ("input", "[1:0]", "in_kind"),
        ("input", f"[{address - 1}:0]", "in_index"),
        ("input", f"signed [{value - 1}:0]", "in_value"),
        ("output", "", "out_valid"),
        ("input", "", "out_ready"),
        ("output", "[1:0]", "out_kind"),
        ("output", f"[{address - 1}:0]", "out_source"),
        ("output", f"[{address - 1}:0]", "out_index"),
        ("output", "signed [31:0]", "out_value"),
        ("output", "", "fault"),
    ]
    declared = ",\n".join(f"    {way:6} wire {width:14} {name}" for way, width, name in ports)
    parameters = ",\n".join(f"        .{name}({value})" for name, value in size.parameters.items())
    joined = ",\n".join(f"        .{name}({name})" for _, _, name in ports)
    traces = "".join(f",\n        .trace_{name}()" for name in ("valid", "group", "u", "v", "spikes"))
    return (
        "\n".join(f"// {line}".rstrip() for line in _description(image))
        + f"\nmodule {module_name(image.graph.name)} (\n{declared}\n);\n\n"
        + f"    core #(\n{parameters}\n    ) the_core (\n{joined}{traces}\n    );\n\nendmodule\n"
    )


def _description(image: MemoryImage) -> list[str]:
    graph, senders = image.graph, image.layout.senders
    load = len(image.load_words(image.size))
    lines = [
        f"The network '{printable(graph.name)}' on the core of Pumice's target 'rtl'.",
        "",
        f"After a reset it takes the {load} words of {LOAD_FILE}, then steps. In each, one input after the",
        "other is given its events, and an end:",
        "",
    ]
    for node in graph.inputs:
        kind = f"values of {node.bits} bits and a sign" if node.edge is EdgeKind.GRADED else "spikes"
        lines.append(f"    {node.name}: {kind}, {_coded(senders[node.name])}")
    lines += ["", "What goes out, by the number of its source:", ""]
    for number, name in enumerate(dict.fromkeys(output.inputs[0] for output in graph.outputs)):
        shown = any(each.reads_potential for each in graph.outputs if name in each.inputs)
        what = "spikes and potentials" if shown else "spikes"
        lines.append(f"    {number}: '{name}', {what}, {_coded(senders[name])}")
    return lines


def _coded(sender: MessageSender) -> str:
    extent = "x".join(map(str, sender.shape))
    if sender.windowed:
        channel, column = sender.channel_bits, sender.column_bits
        return f"{extent}; an index is channel + (column << {channel}) + (row << {channel + column})"
    if len(sender.shape) == 1:
        return f"{extent}; an index is the element"
    pixel = sender.channel_groups * sender.lanes
    return f"{extent}; an index is channel + {pixel} (column + {sender.shape[-1]} row)"


def printable(text: str) -> str:
    """Return a text as a comment of one line holds it, whatever it says."""
    return "".join(each if each.isascii() and each.isprintable() else "?" for each in text)
