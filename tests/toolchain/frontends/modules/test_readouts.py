"""What a module returns is read out as it is: its order, its sign, its steps and its constants count."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from tests.toolchain.frontends.modules.stand_ins import Leaky
from toolchain.arrays import Array
from toolchain.errors import FrontendError
from toolchain.ir import Stage
from toolchain.workflow.compile import compile_module
from toolchain.workflow.predict import predict_build

End = Callable[[Tensor, Tensor], Any]
ORDER = [5, 0, 4, 1, 3, 2]


class EndingNet(nn.Module):
    """Two layers, and a function of the spikes and potentials of the last one in all steps."""

    def __init__(self, end: End) -> None:
        super().__init__()
        torch.manual_seed(2)
        self.fc, self.out, self.scores = nn.Linear(5, 8), nn.Linear(8, 6), nn.Linear(6, 6)
        self.one, self.two = Leaky(init_hidden=True), Leaky(0.5, init_hidden=True)
        self.double()
        with torch.no_grad():
            for weight in self.parameters():
                weight.mul_(2)
        self.end = end

    def forward(self, x: Tensor) -> Any:
        self.one.reset_mem()
        self.two.reset_mem()
        sent, potentials = list[Tensor](), list[Tensor]()
        for frame in x.unbind(1):
            sent.append(self.two(self.out(self.one(self.fc(frame)))))
            potentials.append(self.two.mem)
        return self.end(torch.stack(sent), torch.stack(potentials))


def _samples() -> Array:
    return (np.random.default_rng(1).random((20, 9, 5)) < 0.4).astype(np.float64)


def _constants() -> Tensor:
    return 3 * torch.arange(6, dtype=torch.float64)


@pytest.mark.parametrize(
    "end",
    [
        pytest.param(lambda sent, _: sent.sum(0), id="sum"),
        pytest.param(lambda sent, _: sent.sum(0)[:, ORDER], id="another order"),
        pytest.param(lambda sent, _: sent.flip(-1).mean(0), id="flipped before the mean"),
        pytest.param(lambda sent, _: sent.sum(0)[:, 2:5], id="a part"),
        pytest.param(lambda sent, _: sent[..., :3].sum(0), id="a part before the sum"),
        pytest.param(lambda sent, _: sent.sum(0)[:, [0, 0, 1, 2, 3, 4]], id="one twice"),
        pytest.param(
            lambda sent, _: sum(sent.unbind(0), torch.zeros(1))[:, ORDER], id="another order of a running sum"
        ),
    ],
)
def test_spikes_are_summed_in_the_order_in_which_they_are_returned(end: End) -> None:
    net, x = EndingNet(end).eval(), _samples()
    (got,) = predict_build(compile_module(net, x), stage=Stage.FLOAT).scores.values()
    with torch.no_grad():
        expected = net(torch.from_numpy(x)).numpy()
    assert got.shape == expected.shape
    factor = got.sum() / expected.sum()
    assert factor > 0
    assert got == pytest.approx(factor * expected)


def test_the_spikes_of_the_last_step_are_not_those_of_all_steps() -> None:
    net, x = EndingNet(lambda sent, _: sent[-1]).eval(), _samples()
    (got,) = predict_build(compile_module(net, x), stage=Stage.FLOAT).scores.values()
    with torch.no_grad():
        expected = net(torch.from_numpy(x)).numpy()
    assert np.array_equal(got, expected)
    assert expected.any()


@pytest.mark.parametrize(
    "end",
    [
        pytest.param(lambda sent, _: sent[0], id="spikes of the first step"),
        pytest.param(lambda sent, _: sent[::2], id="spikes of every other step"),
        pytest.param(lambda sent, _: -sent.sum(0), id="negative sum"),
        pytest.param(lambda sent, _: sent.sum(0) + _constants(), id="sum and constants"),
        pytest.param(lambda _, v: -v[-1], id="negative potentials"),
        pytest.param(lambda _, v: 1 - v[-1], id="one less potentials"),
        pytest.param(lambda _, v: v[-1] + _constants(), id="potentials and constants"),
        pytest.param(lambda _, v: v.mean(0) + _constants(), id="mean and constants"),
        pytest.param(lambda _, v: v[-1][:, ORDER], id="potentials in another order"),
        pytest.param(lambda _, v: v.mean(0)[:, ORDER], id="mean in another order"),
        pytest.param(lambda _, v: v.max(0).values[:, ORDER], id="largest in another order"),
        pytest.param(lambda _, v: v[3], id="potentials of a step between"),
        pytest.param(lambda sent, _: sent.sum(1).sum(0), id="sum over the samples"),
        pytest.param(lambda _, v: torch.softmax(v, 0)[-1], id="softmax over the steps"),
    ],
)
def test_a_result_that_no_read_out_has_is_refused(end: End) -> None:
    with pytest.raises(FrontendError):
        compile_module(EndingNet(end), _samples())


def test_a_second_result_that_cannot_be_read_is_named_in_the_notes() -> None:
    build = compile_module(EndingNet(lambda sent, _: (sent.sum(0), -sent.sum(0))), _samples())
    (note,) = [note for note in build.notes if "left out" in note]
    assert "'output1'" in note
    assert "negative" in note
