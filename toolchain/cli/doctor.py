"""`pumice doctor`: is everything here, and which command mends what is not."""

import typer

from toolchain.cli.console import answer, out, print_table
from toolchain.cli.options import AsJson


def doctor(*, as_json: AsJson = False) -> None:
    """Check that all is here that Pumice needs, and say how to get what is missing (exit code 3)."""
    from toolchain.workflow.doctor import diagnose

    diagnosis = diagnose()
    if as_json:
        answer(diagnosis.model_dump(mode="json"))
    else:
        print_table("versions", ("package", "version"), list(diagnosis.versions.items()))
        print_table(
            "checks",
            ("check", "result"),
            [
                (check.name, check.finding if check.ok else f"{check.finding}; run: {check.command}")
                for check in diagnosis.checks
            ],
        )
        out.print("everything is in place" if diagnosis.ok else "something is missing: see above")
    if not diagnosis.ok:
        raise typer.Exit(3)
