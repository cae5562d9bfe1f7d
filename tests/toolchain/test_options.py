"""Options hold numbers that mean something, whoever gives them."""

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from targets.loihi.profile import load_profile
from toolchain.errors import ArgumentError, ProfileError, ToolchainError
from toolchain.fidelity import parse_gates
from toolchain.models import CubaLif, HrsnnShape, InputCode, Network, Spiking
from toolchain.models.vgg import NeuronShape
from toolchain.pruning import LnpOptions
from toolchain.pruning.lnp.noise import NoiseDrive
from toolchain.training import FitOptions, StdpOptions
from toolchain.workflow.forecast import ForecastOptions
from toolchain.workflow.quantization import Quantization, RepairOptions

_NO_STEPS = (0, -1, math.nan, math.inf, 1e308, 1e-300, True, "1", None, 10**400, 1j, [1.0])


def _network(**parts: object) -> Network:
    usual = {"inputs": {"input": 2}, "layers": {"a": CubaLif(2)}, "connections": {}, "output": "a"}
    return Network(**(usual | parts))  # pyright: ignore[reportArgumentType]


@pytest.mark.parametrize("value", _NO_STEPS, ids=lambda value: repr(value)[:12])
@pytest.mark.parametrize(
    "make",
    [
        lambda value: _network(dt_ms=value),
        lambda value: HrsnnShape(channels=2, classes=2, dt_ms=value),
        lambda value: HrsnnShape(channels=2, classes=2, tau_mean_ms=value),
        lambda value: HrsnnShape(channels=2, classes=2, cluster_tau_ms=(value,)),
        lambda value: NoiseDrive(window_ms=value),
        lambda value: StdpOptions(tau_source_ms=value),
        lambda value: CubaLif(2, slope=value),
        lambda value: Spiking(vth=value),
        lambda value: RepairOptions(slope=value),
        lambda value: ForecastOptions("hidden", windows=(value,)),
    ],
)
def test_a_step_or_a_scale_that_means_nothing_is_refused(
    make: Callable[[object], object], value: object
) -> None:
    with pytest.raises(ArgumentError):
        make(value)


@pytest.mark.parametrize(
    "value", [-1, math.nan, math.inf, 1.5, True, "3", 10**400], ids=lambda value: str(value)[:8]
)
@pytest.mark.parametrize(
    "make",
    [
        lambda value: HrsnnShape(channels=2, classes=2, neurons=value),
        lambda value: LnpOptions(value, 0.5),
        lambda value: LnpOptions(5, 0.5, iterations=value),
        lambda value: FitOptions(value, 1, 0.1),
        CubaLif,
        lambda value: _network(inputs={"input": value}),
        lambda value: InputCode(1.0, value),
        lambda value: ForecastOptions("hidden", segments=value),
        lambda value: Quantization(threshold_profiles=value),
    ],
)
def test_a_count_that_counts_nothing_is_refused(make: Callable[[object], object], value: object) -> None:
    with pytest.raises(ArgumentError):
        make(value)


def test_numbers_come_out_in_one_form() -> None:
    given: dict[str, Any] = {"channels": np.int64(3), "dt_ms": np.float32(2), "cluster_tau_ms": [5, 10]}
    shape = HrsnnShape(classes=2, **given)
    assert type(shape.channels) is int
    assert type(shape.dt_ms) is float
    assert shape.cluster_tau_ms == (5.0, 10.0)


@pytest.mark.parametrize("flag", [0, 1, "no", None])
def test_a_switch_is_on_or_off(flag: object) -> None:
    with pytest.raises(ArgumentError, match="split_signs: expected True or False"):
        Quantization(split_signs=flag)  # pyright: ignore[reportArgumentType]


@pytest.mark.parametrize(
    ("name", "value"),
    [("du", 2.0), ("dv", -0.5), ("vth", 0.0), ("vth", math.nan), ("bias", math.inf), ("du", [0.5] * 3)],
)
def test_parameters_of_neurons_lie_within_their_limits(name: str, value: object) -> None:
    with pytest.raises(ArgumentError, match=name):
        CubaLif(2, **{name: value})  # pyright: ignore[reportArgumentType]


def test_a_time_constant_of_less_than_a_step_is_refused() -> None:
    with pytest.raises(ArgumentError, match="tau"):
        NeuronShape(tau=0.5)


@pytest.mark.parametrize(
    "text", ["accuracy_drop=nan", "accuracy_drop=1e999", "accuracy_drop=", "x=1", "", "="]
)
def test_a_gate_that_guards_nothing_is_refused(text: str) -> None:
    with pytest.raises(ToolchainError):
        parse_gates([text])


def test_a_profile_is_a_path() -> None:
    with pytest.raises((ArgumentError, ProfileError)):
        load_profile("a\0b")
