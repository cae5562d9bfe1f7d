"""`pumice targets`: where a network can run on this machine."""

from toolchain.cli.console import answer, print_table
from toolchain.cli.options import AsJson


def targets(*, as_json: AsJson = False) -> None:
    """List the places where a network can run, and whether each is usable on this machine."""
    from toolchain.workflow.targets import target_statuses

    statuses = target_statuses()
    if as_json:
        answer({each.name: {"stages": each.stages, "problem": each.problem} for each in statuses})
        return
    print_table(
        "targets",
        ("name", "stages", "usable"),
        [
            (each.name, ", ".join(each.stages), "yes" if each.problem is None else each.problem)
            for each in statuses
        ],
    )
