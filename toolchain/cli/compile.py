"""`pumice compile`: from a trained network to integers for a target."""

from pathlib import Path
from typing import Annotated, Final

import typer

from toolchain.cli.console import out, print_json, print_table, stages
from toolchain.cli.options import AsJson, OutFolder, TargetName

_SIGNS: Final = {"mixed": "+-", "excitatory": "+", "inhibitory": "-"}


def compile_model(
    model: Annotated[Path, typer.Argument(help="run folder, as written by 'pumice train'")],
    output: OutFolder,
    *,
    target: TargetName = "emulator",
    weight_bits: Annotated[int, typer.Option(min=2, max=8, help="bits of a weight, sign included")] = 8,
    split_signs: Annotated[
        bool, typer.Option(help="excitatory and inhibitory connections apart: half the rounding error")
    ] = True,
    as_json: AsJson = False,
) -> None:
    """Quantize a trained network for a target and write a build folder with its report."""
    from toolchain.driver import compile_run
    from toolchain.judge import compare_build, save_build

    with stages(quiet=as_json) as progress:
        build = compile_run(model, target=target, weight_bits=weight_bits, split_signs=split_signs)
        judgement = compare_build(build, progress=progress)
        save_build(build, output, judgement)
    if as_json:
        print_json({"build": str(output), "target": target, "quantization": build.quantization})
        return
    print_quantization(dict(build.quantization))
    out.print(f"report: {output / 'report.html'}", markup=False, soft_wrap=True)


def print_quantization(document: dict[str, dict[str, dict[str, object]]]) -> None:
    """Print what quantization did to every connection and population."""
    connections, populations = document["connections"], document["populations"]
    columns = ("synapses", "weight_bits", "exponent", "clipped", "rounded_to_zero")
    print_table(
        "connections",
        ("name", "signs", "synapses", "bits", "exp", "clipped", "zeroed", "RMS"),
        [
            (
                name,
                _SIGNS[str(row["sign_mode"])],
                *(row[column] for column in columns),
                f"{100 * float(str(row['relative_rms_error'])):.2f} %",
            )
            for name, row in connections.items()
        ],
    )
    print_table(
        "populations",
        ("name", "neurons", "threshold error", "tau error", "range", "never fire"),
        [
            (
                name,
                row["neurons"],
                f"{100 * float(str(row['largest_threshold_error'])):.3f} %",
                f"{100 * float(str(row['largest_tau_error'])):.2f} %",
                row["range"],
                row["never_fire"],
            )
            for name, row in populations.items()
        ],
    )
