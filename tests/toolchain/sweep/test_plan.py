"""A grid gives out every point once, networks that differ first."""

from toolchain.sweep.plan import GridPlan
from toolchain.sweep.point import SharedSettings

_VALUES = {"quantization.weight_bits": (4, 8), "seed": (0, 1, 2), "target": ("emulator",)}


def test_points_come_a_few_at_a_time_and_each_once() -> None:
    plan = GridPlan(SharedSettings(), _VALUES)
    names: list[str] = []
    while not plan.finished:
        points = plan.next(4)
        assert len(points) <= 4
        names += [point.name for point in points]
    assert len(names) == len(set(names)) == plan.size == 6
    assert list(plan.next(4)) == []


def test_different_networks_come_first() -> None:
    points = GridPlan(SharedSettings(), _VALUES).next(6)
    assert len({point.run_name for point in points[:3]}) == 3
    assert [point.run_name for point in points[:3]] == [point.run_name for point in points[3:]]


def test_settings_stand_in_the_order_of_the_file() -> None:
    (point,) = GridPlan(SharedSettings(), _VALUES).next(1)
    assert list(point.settings) == list(_VALUES)


def test_equal_points_are_given_out_once() -> None:
    plan = GridPlan(SharedSettings(), {"training.gradient_clip": (1, 1.0)}, 1)
    assert len(plan.next(9)) == plan.size == 1
    assert plan.finished


def test_nobody_need_be_free() -> None:
    plan = GridPlan(SharedSettings(), _VALUES)
    assert list(plan.next(0)) == []
    assert not plan.finished
