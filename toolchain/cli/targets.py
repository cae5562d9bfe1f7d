"""`pumice targets`: where a network can run on this machine, and what each of these places can."""

from typing import Annotated

import typer

from toolchain.cli.console import answer, print_table
from toolchain.cli.options import AsJson


def targets(
    name: Annotated[
        str | None, typer.Argument(metavar="NAME", help="Show what this one can; by default all are listed.")
    ] = None,
    *,
    as_json: AsJson = False,
) -> None:
    """List the places where a network can run, whether each is usable on this machine, and what it can."""
    from toolchain.workflow.targets import target_status, target_statuses

    statuses = target_statuses() if name is None else (target_status(name),)
    if as_json:
        answer(
            {
                each.name: {
                    "place": each.place,
                    "stages": each.stages,
                    "problem": each.problem,
                    "budgets": each.budgets,
                    "can": dict(each.can),
                }
                for each in statuses
            }
        )
        return
    if name is not None:
        (status,) = statuses
        budgets = {"pruned to fit": ", ".join(status.budgets)} if status.budgets else {}
        print_table(
            f"target {name}: {status.place}", ("what", "can"), [*(dict(status.can) | budgets).items()]
        )
        return
    print_table(
        "targets",
        ("name", "what it is", "stages", "pruned to fit", "usable"),
        [
            (
                each.name,
                each.place,
                ", ".join(each.stages),
                ", ".join(each.budgets),
                "yes" if each.problem is None else each.problem,
            )
            for each in statuses
        ],
    )
