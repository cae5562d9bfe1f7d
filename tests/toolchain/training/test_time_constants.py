"""What is said of learnt time constants follows from the network alone."""

from dataclasses import replace

import numpy as np
import pytest

from toolchain.models import HrsnnShape, build_hrsnn, learnt_parameters
from toolchain.training import TimeConstantSpread, learnt_time_constants, load_network, save_network

_SHAPE = HrsnnShape(channels=4, classes=2, neurons=200, dt_ms=2.0, adaptation=0.1)


def test_the_spread_is_that_of_the_time_constants() -> None:
    tau = np.array([2.0, 4.0, 10.0, 40.0, 100.0])
    spread = TimeConstantSpread.of(1 - np.exp(-2.0 / tau), 2.0)
    assert spread.tau_ms == pytest.approx(tau)
    assert (spread.mean, spread.deviation) == pytest.approx((tau.mean(), tau.std()))
    assert spread.quantiles == pytest.approx(np.quantile(tau, [0.05, 0.25, 0.5, 0.75, 0.95]))


def test_a_network_knows_where_its_time_constants_began(tmp_path) -> None:
    network = build_hrsnn(replace(_SHAPE, train=("dv", "adaptation_decay")), np.random.default_rng(0))
    start = TimeConstantSpread.of(network.layer("hidden").dv.detach().numpy(), 2.0)
    for offset in learnt_parameters(network)[0]:
        offset.data -= 0.5
    save_network(network, tmp_path)
    rows = learnt_time_constants(load_network(tmp_path))
    assert [(row.layer, row.name) for row in rows] == [("hidden", "dv"), ("hidden", "adaptation_decay")]
    assert rows[0].before.tau_ms == pytest.approx(start.tau_ms, rel=1e-4)
    assert rows[0].after.mean > 1.2 * start.mean
    assert rows[1].before.deviation == pytest.approx(0, abs=1e-3)
    assert str(rows[0]).startswith("membrane time constants of hidden, before and after training: mean")
    assert learnt_time_constants(build_hrsnn(_SHAPE, np.random.default_rng(0))) == ()
