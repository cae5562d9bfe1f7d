"""What the tables of a report say of figures."""

from toolchain.fidelity.change import Change
from toolchain.fidelity.report_tables import sizes_table


def test_an_accuracy_is_told_by_the_points_it_moved_and_never_as_a_share_of_itself() -> None:
    rows = sizes_table(
        [
            ("all synapses", Change(before=400, after=20)),
            ("float accuracy, %", Change(before=76.11, after=61.11)),
            ("spikes per sample", Change(before=0, after=0)),
        ]
    ).rows
    assert [row[3] for row in rows] == ["5.0 %", "-15.00 points", "–"]  # noqa: RUF001 - an empty cell
