"""Kernels of Triton compute what autograd does; without a GPU they are run by Triton's interpreter."""

import os
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from torch import Tensor

from tests.toolchain.models.loops.random_cases import Case, cases
from tests.toolchain.models.loops.test_network import check_equal
from toolchain.models.loops import network as loops
from toolchain.models.loops import run, triton_passes
from toolchain.models.loops.compiled_passes import compiled_passes
from toolchain.models.loops.products import MatrixProduct
from toolchain.models.loops.tensor_passes import tensor_passes

if not torch.cuda.is_available():
    # Triton asks when it is imported, and whoever imports it first does so after this module is collected.
    os.environ["TRITON_INTERPRET"] = "1"
BATCHES, LENGTHS, LARGEST = (1, 2), (1, 2, 5), 33
"""The interpreter takes milliseconds for what a GPU does in nanoseconds."""


PHASES = (Phase.explicit, Phase.reuse, Phase.generate)
"""No case is made smaller: that would take minutes."""


TILES = {
    "_NEURONS": (32,),
    "_SERVED": (16,),
    "_FOLLOWED": 16,
    "_LEARNING": 8,
    "_RECALLED": 64,
    "_SEARCHED": 8,
}
"""Fewer at once than small layers have, so that there are rests, and several turns."""


def product(x: Tensor, weight: Tensor, delay: int, target: int) -> MatrixProduct:
    """What a network takes on a GPU, where no loops are compiled."""
    return MatrixProduct(x.contiguous(), weight.detach(), delay, target)


@pytest.fixture(scope="class")
def interpreted() -> Iterator[None]:
    """Networks on the CPU take the kernels, and Triton interprets them."""
    pytest.importorskip("triton", reason="Triton is made for Linux alone")
    if torch.cuda.is_available():
        pytest.skip("kernels run on the GPU, see test_network")

    def everywhere(_: torch.device) -> Any:
        return triton_passes.triton_passes

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(loops, "passes_on", everywhere)
        patch.setattr(loops, "product_of", product)
        for name, few in TILES.items():
            patch.setattr(triton_passes, name, few)
        yield


@pytest.mark.filterwarnings("ignore:Conversion of an array with ndim > 0:DeprecationWarning")
@pytest.mark.usefixtures("interpreted")
class TestInterpretedKernels:
    """What the kernels compute; places of a layer that are no neurons compute nonsense, as on a GPU."""

    @pytest.mark.slow
    @settings(max_examples=6, phases=PHASES, suppress_health_check=[HealthCheck.too_slow])
    @given(
        case=cases(largest=LARGEST, batches=BATCHES, lengths=LENGTHS),
        small=st.booleans(),
        recompute=st.booleans(),
    )
    def test_they_equal_autograd_in_float64(self, case: Case, *, small: bool, recompute: bool) -> None:
        case.network.recompute = recompute
        with pytest.MonkeyPatch.context() as patch, np.errstate(all="ignore"):
            if small:
                patch.setattr(run, "_BLOCK", 1)
                patch.setattr(run, "_FEWEST", 2)
            check_equal(case, 1e-10, each=True)

    @settings(max_examples=3, phases=PHASES, suppress_health_check=[HealthCheck.too_slow])
    @given(case=cases(torch.float32, largest=LARGEST, batches=BATCHES, lengths=LENGTHS))
    def test_they_equal_autograd_in_float32(self, case: Case) -> None:
        with np.errstate(all="ignore"):
            check_equal(case, 1e-5, each=False)


class TestChoice:
    """Which passes a device gets."""

    def test_the_cpu_takes_compiled_loops(self) -> None:
        assert loops.passes_on(torch.device("cpu")) is compiled_passes

    def test_a_gpu_takes_operations_of_pytorch_where_triton_is_not_installed(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(torch.cuda, "get_device_capability", lambda _: (9, 0))
        monkeypatch.setattr(triton_passes, "find_spec", lambda _: None)
        assert loops.passes_on(torch.device("cuda")) is tensor_passes

    @pytest.mark.parametrize(("capability", "runs"), [((7, 5), False), ((8, 0), True), ((12, 0), True)])
    def test_a_gpu_takes_kernels_if_it_is_not_too_old(
        self, monkeypatch: pytest.MonkeyPatch, capability: tuple[int, int], *, runs: bool
    ) -> None:
        monkeypatch.setattr(torch.cuda, "get_device_capability", lambda _: capability)
        monkeypatch.setattr(triton_passes, "find_spec", lambda _: object())
        expected = triton_passes.triton_passes if runs else tensor_passes
        assert loops.passes_on(torch.device("cuda")) is expected

    def test_other_devices_take_operations_of_pytorch(self) -> None:
        assert loops.passes_on(torch.device("mps")) is tensor_passes
