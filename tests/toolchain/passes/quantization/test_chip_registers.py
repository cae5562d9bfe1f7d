"""Registers as Lava counts and as Loihi 1 does: they differ by one in the decay of the current."""

import numpy as np

from tests.graphs import Registers, fixed_lif, rest_with
from toolchain import fixedpoint
from toolchain.passes.quantization.chip_registers import chip_registers, current_decay


def _range(least: int, most: int) -> dict[str, int]:
    return {"least": least, "most": most}


def test_only_the_current_decay_differs_and_by_one() -> None:
    node = fixed_lif(
        "p",
        (),
        3,
        du=[0, 1023, 9],
        dv=[128, 0, 7],
        vth=[80, 1, 9],
        bias_mantissa=[-4, 5, 0],
        bias_exponent=[2, 0, 7],
    )
    assert chip_registers(node).model_dump() == {
        "lava": {
            "du": _range(0, 1023),
            "dv": _range(0, 128),
            "vth": _range(1, 80),
            "bias_mant": _range(-4, 5),
            "bias_exp": _range(0, 7),
        },
        "loihi1": {
            "iDecay": _range(1, 1024),
            "vDecay": _range(0, 128),
            "vThMant": _range(1, 80),
            "biasMant": _range(-4, 5),
            "biasExp": _range(0, 7),
        },
        "beyond_12_bits": 0,
    }


def test_a_current_that_is_forgotten_at_once_has_a_decay_that_12_bits_do_not_hold() -> None:
    registers = chip_registers(fixed_lif("p", (), 3, du=[4095, 4094, 4095]))
    assert registers.loihi1.iDecay.model_dump() == _range(4095, 4096)
    assert registers.beyond_12_bits == 2


def test_the_chips_decay_is_what_a_step_loses() -> None:
    """Without any hidden one: `u' = tz(u (4096 - iDecay) / 4096)`."""
    node = fixed_lif("p", (), 4096, du=np.arange(4096))
    u = np.random.default_rng(0).integers(-(2**23) + 1, 2**23, 4096).astype(np.int32)
    still = np.zeros_like(u)
    after, _ = fixedpoint.lif_step(rest_with(u, still), still, Registers(node.du, still, still, still))
    assert np.array_equal(after.u, fixedpoint.decay(u, current_decay(node)))
