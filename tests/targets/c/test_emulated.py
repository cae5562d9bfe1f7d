"""Networks on emulated processors give the integers of the reference, and the emulation can fail."""

from pathlib import Path

import numpy as np
import pytest

from targets.c.compiler import write_source
from targets.c.source import NetworkCode
from tests.targets import conformance
from tests.targets.c.emulated import MACHINES, Machine, check_equal_on, emulate, link, require
from tests.targets.c.strict import drawn

_ALL = pytest.mark.parametrize("machine", MACHINES.values(), ids=list(MACHINES))


@_ALL
@pytest.mark.slow
@pytest.mark.parametrize("kind", ["networks", "images"])
def test_random_networks_on_an_emulated_processor_equal_the_reference(machine: Machine, kind: str) -> None:
    require(machine)
    for seed in range(6):
        check_equal_on(machine, *drawn(kind, seed))


@_ALL
def test_a_network_that_differs_is_noticed(machine: Machine, monkeypatch: pytest.MonkeyPatch) -> None:
    require(machine)
    graph, x = conformance.graph(), conformance.stimulus()
    check_equal_on(machine, graph, x)
    written = NetworkCode.source
    monkeypatch.setattr(NetworkCode, "source", lambda code: written(code).replace("<< 6)", "<< 5)"))
    with pytest.raises(AssertionError, match=machine.name):
        check_equal_on(machine, graph, x)


@_ALL
def test_a_program_that_fails_or_says_nothing_is_noticed(machine: Machine, tmp_path: Path) -> None:
    require(machine)
    code = NetworkCode(conformance.graph())
    sources = [path.name for path in write_source(code, tmp_path, driver=True)]
    link(machine, sources, tmp_path, [f"-D{code.prefix.upper()}_TRACE"])
    assert emulate(machine, tmp_path, b"", ("1", "1", "1")) == b""
    with pytest.raises(AssertionError, match="status 2"):
        emulate(machine, tmp_path, b"")
    with pytest.raises(AssertionError, match="status 4"):
        emulate(machine, tmp_path, b"R", ("1", "1", "1"))


@_ALL
def test_numbers_have_the_same_bytes_on_every_processor(machine: Machine, tmp_path: Path) -> None:
    require(machine)
    main = """
        #include <stdint.h>
        #include <stdio.h>
        int main(void)
        {
            const int32_t number = -2147483647 - 1 + 0x020304;
            return getchar() == 7 && fwrite(&number, sizeof number, 1, stdout) == 1 ? 0 : 1;
        }
        """
    (tmp_path / "main.c").write_text(main)
    link(machine, ["main.c"], tmp_path)
    assert np.frombuffer(emulate(machine, tmp_path, b"\x07"), np.int32).tolist() == [-(2**31) + 0x020304]


@_ALL
def test_instructions_are_counted_one_by_one(machine: Machine, tmp_path: Path) -> None:
    require(machine)
    main = """
        #include <stdio.h>
        #include "counter.h"
        static uint32_t loop(uint32_t turns)
        {
            const uint32_t before = counter_now();
            __asm__ volatile(
        #if defined(__arm__)
                "1: subs %0, %0, #1\\n nop\\n bne 1b"
        #else
                "1: addi %0, %0, -1\\n nop\\n bnez %0, 1b"
        #endif
                : "+r"(turns) : : "cc");
            return counter_between(before, counter_now());
        }
        int main(void)
        {
            uint32_t turns[2];
            counter_begin();
            turns[0] = loop(1000);
            turns[1] = loop(101000);
            return fwrite(turns, sizeof turns, 1, stdout) == 1 ? 0 : 1;
        }
        """
    (tmp_path / "main.c").write_text(main)
    link(machine, ["main.c"], tmp_path)
    few, many = np.frombuffer(emulate(machine, tmp_path, b""), np.uint32)
    assert abs(int(few) - 3_000) < 20
    # The timer of Cortex-M tells 1.25 instructions apart.
    assert abs(int(many) - int(few) - 300_000) <= 3
