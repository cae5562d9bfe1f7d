"""`pumice targets`: where a network can run on this machine."""

from toolchain.cli.console import print_json, print_table
from toolchain.cli.options import AsJson


def targets(*, as_json: AsJson = False) -> None:
    """List the installed targets and whether each is usable here."""
    from toolchain.workflow.targets import target_statuses

    found = target_statuses()
    if as_json:
        print_json({item.name: {"stages": item.stages, "problem": item.problem} for item in found})
        return
    print_table(
        "targets",
        ("name", "stages", "usable"),
        [
            (item.name, ", ".join(item.stages), "yes" if item.problem is None else item.problem)
            for item in found
        ],
    )
