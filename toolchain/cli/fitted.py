"""What is printed of a network that was pruned to fit."""

from typing import TYPE_CHECKING

from toolchain.cli.console import out, print_table

if TYPE_CHECKING:
    from toolchain.pruning.fit import FitRecord


def print_fit_record(record: "FitRecord") -> None:
    """Print how a network came to fit."""
    out.print(record.sentence(), soft_wrap=True)
    print_table(
        f"asked of {record.target}: {len(record.steps)} networks",
        ("connection", "synapses", "left", "price of a synapse"),
        [
            (
                each.name,
                f"{each.before:,}",
                f"{each.after:,}",
                "-" if each.price is None else f"{each.price:.2f}",
            )
            for each in record.connections
        ],
    )
    gone = [each for each in record.layers if each.after < each.before]
    for each in gone:
        out.print(f"neurons of '{each.name}': {each.after:,} of {each.before:,}")
    for step in record.candidates:
        right = "-" if step.accuracy is None else f"{step.accuracy:.2f} %"
        out.print(f"{step.weight_bits} bits: {step.synapses:,} synapses, validation {right}")
