"""Who keeps messages, for how long, and what cannot be laid out."""

import pytest

from targets.c.layout import Way, lay_out
from tests.graphs import fixed_lif
from toolchain import ir
from toolchain.fixedpoint import SignMode
from toolchain.ir import Decode, Graph


def _chain(steps: int, place: str) -> Graph:
    """Two populations; `place` reads the first population, so many steps later."""
    late = ir.Delay(name="late", inputs=("p0",), shape=(2,), steps=steps)
    names = (
        {"p0": ("in", "again"), "p1": ("on",)} if place == "p0" else {"p0": ("in",), "p1": ("on", "again")}
    )

    def dense(name: str, source: str) -> ir.FixedDense:
        weights = [[2, 4], [6, 8]]
        return ir.FixedDense(
            name=name,
            inputs=(source,),
            weights=weights,  # pyright: ignore[reportArgumentType] - frozen as an array
            exponent=0,
            sign_mode=SignMode.MIXED,
        )

    return Graph(
        (
            ir.Input(name="x", shape=(2,)),
            late,
            dense("in", "x"),
            dense("again", "late"),
            fixed_lif("p0", names["p0"], 2),
            dense("on", "p0"),
            fixed_lif("p1", names["p1"], 2),
            ir.Output(name="o", inputs=("p1",), decode=Decode.NONE),
        )
    )


@pytest.mark.parametrize(
    ("steps", "reader", "way", "slots"),
    [
        (1, "p0", Way.LISTED, 0),
        (2, "p0", Way.RECALLED, 3),
        (0, "p1", Way.LISTED, 0),
        (1, "p1", Way.RECALLED, 2),
        (5, "p1", Way.RECALLED, 6),
    ],
)
def test_messages_are_kept_no_longer_than_somebody_reads_them(
    steps: int, reader: str, way: Way, slots: int
) -> None:
    layout = lay_out(_chain(steps, reader))
    (arrival,) = (each for each in layout.arrivals[reader] if each.node.name == "again")
    assert (arrival.way, arrival.steps) == (way, steps)
    assert layout.senders["p0"].slots == slots
    assert layout.senders["p0"].slot_size == 1
