"""`pumice demo`: the whole path on real digits."""

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from toolchain.cli.console import answer, out, print_table, stages
from toolchain.cli.options import AsJson, OutFolder

if TYPE_CHECKING:
    from toolchain.workflow.demo import DemoResult


def demo(
    output: OutFolder = Path("pumice-demo"),
    *,
    seed: Annotated[
        int, typer.Option(min=0, metavar="N", help="Seed of weights, pruning and the order of samples.")
    ] = 0,
    samples: Annotated[int, typer.Option(min=1, metavar="N", help="Number of samples that Lava runs.")] = 32,
    as_json: AsJson = False,
) -> None:
    """Prune and train a network on handwritten digits, make it integers, run it on Lava, compare."""
    from toolchain.cli.compare import print_comparison
    from toolchain.workflow.demo import check_demo_output, demo_experiment, run_demo

    check_demo_output(output)
    experiment = demo_experiment(seed)
    with stages(quiet=as_json) as progress:
        result, _, judgement = run_demo(output, experiment=experiment, lava_images=samples, progress=progress)
    if as_json:
        answer(asdict(result))
    else:
        print_result(result)
        print_comparison(judgement.comparison)
        for sentence in judgement.sentences(outcome=False):
            out.tell(sentence)
        out.print(f"report: {output / 'report.html'} ({result.seconds:.0f} s)", soft_wrap=True)
    judgement.require_exact()


def print_result(result: "DemoResult") -> None:
    """Print the figures of a demo."""
    print_table(
        f"handwritten digits, {result.test_images} held-out images",
        ("", "unpruned", "pruned", "integers"),
        [
            (
                "accuracy",
                f"{result.float_accuracy:.2f} %",
                f"{result.pruned_accuracy:.2f} %",
                f"{result.fixed_accuracy:.2f} %",
            ),
            ("neurons", result.neurons_before, result.neurons_after, result.neurons_after),
            ("recurrent synapses", f"{result.synapses_before:,}", f"{result.synapses_after:,}", ""),
            ("synaptic operations", f"{result.synops_before:,.0f}", f"{result.synops_after:,.0f}", ""),
        ],
    )
