"""Steps that do the same are one graph, however they come to their weights; others are refused."""

from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn.utils import prune

from tests.toolchain.frontends.modules.stand_ins import Leaky
from tests.toolchain.frontends.modules.test_network import Net, deep, proved, spikes
from toolchain.arrays import Array
from toolchain.errors import FrontendError
from toolchain.frontends.modules import recorded
from toolchain.models import CubaLif


class TimeFirst(nn.Module):
    """A loop over the first axis, whose layers can be cut in as many parts as there are steps."""

    def __init__(self) -> None:
        super().__init__()
        self.fc, self.one = nn.Linear(5, 8).double(), Leaky(init_hidden=True)

    def forward(self, x: Tensor) -> Tensor:
        self.one.reset_mem()
        return torch.stack([self.one(self.fc(frame)) for frame in x])


def test_one_sample_whose_steps_come_first_is_no_batch_of_single_steps() -> None:
    torch.manual_seed(0)
    record = proved(TimeFirst(), 4 * spikes(4, 1, 5))
    assert str(record.layout) == "[time, batch, ...]"
    assert record.steps == 4


@pytest.mark.parametrize(
    "x", [spikes()[:0], spikes()[:, :0], np.full((2, 3, 5), np.nan), np.full((2, 3, 5), np.inf)]
)
def test_an_example_of_nothing_or_of_what_is_no_number_is_refused_by_its_name(x: Array) -> None:
    with pytest.raises(FrontendError, match="the example 'x'"):
        recorded(Net(deep), {"x": x})


def test_weights_that_are_computed_anew_at_each_step_are_those_of_one_graph() -> None:
    net = Net(deep)
    prune.l1_unstructured(net.fc, "weight", 0.5)
    nn.utils.parametrizations.weight_norm(net.out)
    proved(net, spikes())


def test_a_matrix_and_its_transpose_are_two() -> None:
    def turned(net: Net, x: Tensor, state: dict[str, Any]) -> Tensor:
        state["step"] = state.get("step", 0) + 1
        weight = net.out.weight
        return net.two(net.one(net.fc(x)) @ (weight if state["step"] % 2 else weight.t()))

    with pytest.raises(FrontendError, match="'two' in step 1"):
        recorded(Net(turned), {"x": spikes()})


def test_an_assignment_where_the_data_say_so_is_refused_by_its_line() -> None:
    def cut(net: Net, x: Tensor, _: dict[str, Any]) -> Tensor:
        current = net.fc(x)
        current[current > 1] = 0
        return net.one(current)

    with pytest.raises(FrontendError, match="an assignment at places that depend on the data"):
        recorded(Net(cut), {"x": spikes()})


def test_neurons_that_forget_between_calls_are_refused_in_a_loop() -> None:
    class Loop(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.one = CubaLif(4, dv=0.25)

        def forward(self, x: Tensor) -> Tensor:
            return torch.cat([self.one(x[:, t : t + 1]) for t in range(x.shape[1])], 1)

    with pytest.raises(FrontendError, match="'one' is a CubaLif .* forgets at each call what came before"):
        recorded(Loop(), {"x": spikes(3, 9, 4)})
