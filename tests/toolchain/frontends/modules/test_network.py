"""Any module is run, followed and folded to a graph whose spikes are its own, or refused by the line."""

import random
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn
from torch.nn import functional

from tests.frameworks.random_modules import RandomNet
from tests.toolchain.frontends.modules.stand_ins import Leaky
from toolchain import ir
from toolchain.arrays import Array
from toolchain.errors import FrontendError
from toolchain.execution.stimulus import Stimulus
from toolchain.frontends.modules import Recorded, recorded
from toolchain.models import CubaLif, Spiking
from toolchain.workflow.import_check import check_graph

Step = Callable[["Net", Tensor, dict[str, Any]], Tensor]


class Net(nn.Module):
    """A loop over the steps around a function of one step."""

    def __init__(self, step: Step, **parts: nn.Module) -> None:
        super().__init__()
        torch.manual_seed(2)
        self.fc = nn.Linear(5, 6)
        self.rec, self.out = nn.Linear(6, 6), nn.Linear(6, 6)
        self.one, self.two = Leaky(init_hidden=True), Leaky(0.5, init_hidden=True)
        for name, part in parts.items():
            self.add_module(name, part)
        self.step = step
        self.double()
        with torch.no_grad():
            for weight in self.parameters():
                weight.mul_(2)

    def forward(self, x: Tensor) -> Tensor:
        state: dict[str, Any] = {}
        return torch.stack([self.step(self, frame, state) for frame in x.unbind(1)])


def spikes(*shape: int) -> Array:
    return (np.random.default_rng(1).random(shape or (3, 9, 5)) < 0.4).astype(np.float64)


def proved(module: nn.Module, x: Array) -> Recorded:
    """Return a module as a graph, after its spikes were compared."""
    record = recorded(module, {"x": x})
    stimulus = Stimulus(record.arranged({"x": x}))
    check = check_graph(record.imported.graph, record.outputs, stimulus, record.imported.rests, partly=True)
    assert check.equal, check.sentences()
    assert any(values.any() for key, values in record.outputs.items() if key.endswith(".spikes"))
    return record


def deep(net: Net, x: Tensor, _: dict[str, Any]) -> Tensor:
    return net.two(net.out(net.one(net.fc(x))))


def residual(net: Net, x: Tensor, _: dict[str, Any]) -> Tensor:
    sent = net.one(net.fc(x))
    return net.two(net.out(sent) + sent)


def joined(net: Net, x: Tensor, _: dict[str, Any]) -> Tensor:
    return net.two(net.get_submodule("wide")(torch.cat([x, net.one(net.fc(x))], 1)))


def from_zero(net: Net, x: Tensor, state: dict[str, Any]) -> Tensor:
    before = state.get("sent", torch.zeros(len(x), 6, dtype=x.dtype))
    state["sent"] = net.one(net.fc(x) + net.rec(before))
    return net.two(net.out(state["sent"]))


def from_nothing(net: Net, x: Tensor, state: dict[str, Any]) -> Tensor:
    current = net.fc(x)
    if "sent" in state:
        current = current + state["sent"] @ net.rec.weight
    state["sent"] = net.one(current)
    return state["sent"]


def two_steps_late(net: Net, x: Tensor, state: dict[str, Any]) -> Tensor:
    line = state.setdefault("line", [torch.zeros_like(x)] * 2)
    line.append(x)
    return net.one(net.fc(line[-1]) - 0.5 * net.fc(line[-3]))


def in_place(net: Net, x: Tensor, _: dict[str, Any]) -> Tensor:
    current = net.fc(x)
    current += 0.25
    current *= 1.5
    current[:, 2:4] = 0
    return net.one(current)


@pytest.mark.parametrize(
    "step",
    [deep, residual, joined, from_zero, from_nothing, two_steps_late, in_place],
    ids=lambda step: step.__name__,
)
def test_a_loop_is_one_graph_whose_spikes_are_those_of_the_module(step: Step) -> None:
    record = proved(Net(step, wide=nn.Linear(11, 6)), spikes())
    assert record.steps == 9
    assert str(record.layout) == "[batch, time, ...]"


def test_recurrence_waits_one_step_and_nothing_else_does() -> None:
    graph = proved(Net(from_zero), spikes()).imported.graph
    delays = [node for node in graph if isinstance(node, ir.Delay)]
    assert [(node.inputs, node.steps) for node in delays] == [(("one",), 1)]


def test_steps_may_come_first_and_a_module_may_take_one_step() -> None:
    class TimeFirst(Net):
        def forward(self, x: Tensor) -> Tensor:
            return super().forward(x.transpose(0, 1))

    x = spikes()
    first, second = proved(TimeFirst(deep), np.moveaxis(x, 0, 1)), proved(Net(deep), x)
    assert str(first.layout) == "[time, batch, ...]"
    assert all(np.array_equal(first.outputs[key], second.outputs[key]) for key in second.outputs)
    net = Net(deep)
    layers = nn.Sequential(net.fc, net.one, nn.Dropout(), net.out, net.two)
    stepped = proved(layers, x)
    assert str(stepped.layout).endswith("one step at a time")
    assert np.array_equal(stepped.outputs["4.spikes"], second.outputs["two.spikes"])


def test_one_picture_is_shown_at_every_step() -> None:
    class Still(Net):
        def forward(self, x: Tensor) -> Tensor:
            current = self.fc(x)
            return torch.stack([self.two(self.out(self.one(current))) for _ in range(7)]).mean(0)

    x = np.random.default_rng(3).random((4, 5))
    record = proved(Still(deep), x)
    assert record.steps == 7
    assert record.arranged({"x": x})["input"].shape == (4, 7, 5)
    assert record.imported.graph.inputs[0].edge is ir.EdgeKind.GRADED


LAYERS: dict[str, tuple[nn.Module, int]] = {
    "norm": (nn.BatchNorm2d(4), 4 * 36),
    "average": (nn.AvgPool2d(2), 4 * 9),
    "average of uneven windows": (nn.AvgPool2d(4, 3, 1, ceil_mode=True), 4 * 9),
    "adaptive": (nn.AdaptiveAvgPool2d(3), 4 * 9),
    "grouped": (nn.Conv2d(4, 8, 3, groups=2, dilation=2), 8 * 4),
    "same": (nn.Conv2d(4, 2, 3, padding="same"), 2 * 36),
    "same, even": (nn.Conv2d(4, 2, 2, padding="same"), 2 * 36),
    "transposed": (nn.ConvTranspose2d(4, 2, 2, stride=2), 2 * 144),
    "larger": (nn.Upsample(scale_factor=2), 4 * 144),
    "shuffled": (nn.PixelShuffle(2), 144),
    "turned": (nn.Flatten(), 144),
}


@pytest.mark.filterwarnings("ignore:Using padding")
@pytest.mark.parametrize("before", [True, False], ids=["before neurons", "behind neurons"])
@pytest.mark.parametrize("name", LAYERS)
def test_every_layer_of_maps_is_exact(name: str, *, before: bool) -> None:
    layer, size = LAYERS[name]
    torch.manual_seed(4)
    if isinstance(layer, nn.BatchNorm2d) and layer.running_mean is not None:
        layer.running_mean.uniform_(-0.2, 0.2)
    neurons = Leaky(0.5, 0.2, init_hidden=True)
    middle = (layer, neurons) if before else (neurons, layer)
    last = Leaky(0.5, 0.05, init_hidden=True)
    net = nn.Sequential(
        nn.Conv2d(2, 4, 3, bias=True), *middle, nn.Flatten(), nn.Linear(size, 3), last
    ).double()
    proved(net, spikes(2, 5, 2, 8, 8))


def test_the_maximum_of_spikes_is_exact_and_that_of_currents_is_refused() -> None:
    torch.manual_seed(5)
    parts = nn.Conv2d(2, 4, 3), Leaky(0.5, 0.2, init_hidden=True), nn.MaxPool2d(2)
    head = nn.Flatten(), nn.Linear(36, 3), Leaky(init_hidden=True)
    proved(nn.Sequential(*parts, *head).double(), spikes(2, 5, 2, 8, 8))
    swapped = nn.Sequential(parts[0], parts[2], parts[1], *head).double()
    with pytest.raises(FrontendError, match="'1' takes the largest of what is not spikes"):
        recorded(swapped, {"x": spikes(2, 5, 2, 8, 8)})


class Read(Net):
    """Ways to return what the neurons did."""

    def __init__(self, how: str) -> None:
        super().__init__(deep)
        self.how, self.last = how, Leaky(0.5, 1e3).double()

    def forward(self, x: Tensor) -> Any:
        mem, kept, sent, total = None, [], [], 0
        buffer = torch.zeros(x.shape[1], len(x), 6, dtype=x.dtype)
        for step, frame in enumerate(x.unbind(1)):
            spk = self.one(self.fc(frame))
            _, mem = self.last(self.out(spk), mem)
            kept.append(mem)
            sent.append(spk)
            buffer[step] = spk
            total = total + spk
        ways: dict[str, Callable[[], Any]] = {
            "count": lambda: torch.stack(sent).sum(0),
            "mean": lambda: torch.stack(sent, 1).mean(1),
            "total": lambda: total / 3,
            "buffer": lambda: buffer,
            "weights": lambda: self.rec(torch.stack(sent).mean(0)),
            "last": lambda: mem,
            "potentials": lambda: functional.softmax(torch.stack(kept), -1),
            "largest": lambda: torch.stack(kept).amax(0),
        }
        return ways[self.how]()


@pytest.mark.parametrize(
    ("how", "decode"),
    [
        ("count", ir.Decode.SPIKE_COUNT),
        ("mean", ir.Decode.SPIKE_COUNT),
        ("total", ir.Decode.SPIKE_COUNT),
        ("buffer", ir.Decode.SPIKE_COUNT),
        ("weights", ir.Decode.SPIKE_RATE),
        ("last", ir.Decode.LAST_V),
        ("potentials", ir.Decode.MEAN_V),
        ("largest", ir.Decode.MAX_V),
    ],
)
def test_what_is_returned_is_how_the_graph_is_read_out(how: str, decode: ir.Decode) -> None:
    net = Read(how)
    output = proved(net, spikes()).imported.graph.outputs[0]
    assert output.decode is decode
    if how == "weights":
        assert output.weights is not None
        assert np.allclose(output.weights, net.rec.weight.detach().numpy())


def no_branch(net: Net, x: Tensor, _: dict[str, Any]) -> Tensor:
    current = net.fc(x)
    if current.mean() > 0:
        current = current + 1
    return net.one(current)


def no_chance(net: Net, x: Tensor, _: dict[str, Any]) -> Tensor:
    return net.one(net.fc(x) + torch.randn_like(x[:, :1]))


def no_norm(net: Net, x: Tensor, _: dict[str, Any]) -> Tensor:
    return net.one(functional.layer_norm(net.fc(x), (6,)))


def no_product(net: Net, x: Tensor, _: dict[str, Any]) -> Tensor:
    return net.one(net.fc(x) * net.rec(net.two(net.fc(x))))


def no_clock(net: Net, x: Tensor, state: dict[str, Any]) -> Tensor:
    state["step"] = state.get("step", 0) + 1
    return net.one(net.fc(x) + state["step"])


def no_sharing(net: Net, x: Tensor, _: dict[str, Any]) -> Tensor:
    return net.one(net.out(net.one(net.fc(x))))


def no_view(net: Net, x: Tensor, _: dict[str, Any]) -> Tensor:
    current = net.fc(x)
    current[:, :2].mul_(2)
    return net.one(current)


@pytest.mark.parametrize(
    ("step", "message"),
    [
        (no_branch, r"test_network.py:\d+ `if current.mean\(\) > 0:` looks at values of the data"),
        (
            no_chance,
            r"`return net.one\(net.fc\(x\) \+ torch.randn_like\(x\[:, :1\]\)\)` draws random numbers",
        ),
        (no_norm, "computes `layer_norm`: it divides by what each sample holds"),
        (no_product, "mul of two values that depend on the data"),
        (no_clock, "what reaches 'one' in step 0 is not computed as in step 8"),
        (no_sharing, "'one' was called 18 times in 9 steps"),
        (no_view, "reads a tensor that was changed in place through another one"),
    ],
)
def test_what_is_no_graph_is_refused_by_the_line_of_the_user(step: Step, message: str) -> None:
    with pytest.raises(FrontendError, match=message):
        recorded(Net(step), {"x": spikes()})


class ByHand(nn.Module):
    """States that the user changes."""

    def __init__(self) -> None:
        super().__init__()
        self.fc, self.one = nn.Linear(5, 6).double(), Leaky()

    def forward(self, x: Tensor) -> Tensor:
        mem, sent = None, []
        for frame in x.unbind(1):
            spk, mem = self.one(self.fc(frame), mem)
            mem = mem * (1 - spk)
            sent.append(spk)
        return torch.stack(sent)


def test_a_state_that_is_changed_by_hand_is_refused() -> None:
    with pytest.raises(
        FrontendError, match="'one' gets, as state 1 of step 1, something else than it returned"
    ):
        recorded(ByHand(), {"x": spikes()})


def test_modules_that_are_spread_or_halved_are_refused() -> None:
    with pytest.raises(FrontendError, match="compile what it wraps: `module.module`"):
        recorded(nn.DataParallel(Net(deep)), {"x": spikes()})
    with pytest.raises(FrontendError, match=r"is float16.*compile `module.float\(\)`"):
        recorded(Net(deep).half(), {"x": spikes()})


def test_an_example_that_does_not_fit_is_refused_with_what_pytorch_says() -> None:
    with pytest.raises(FrontendError, match="does not run on the example of shape .*cannot be multiplied"):
        recorded(Net(deep), {"x": spikes(3, 9, 4)})


def test_a_module_is_left_as_it_was() -> None:
    net = Net(deep).train()
    before = {name: value.clone() for name, value in net.state_dict().items()}
    recorded(net, {"x": spikes()})
    assert net.training
    assert all(torch.equal(value, before[name]) for name, value in net.state_dict().items())
    assert not net._forward_hooks
    assert not any(child._forward_hooks or child._forward_pre_hooks for child in net.modules())


def test_neurons_of_ours_are_compiled_inside_of_any_module() -> None:
    class Own(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            torch.manual_seed(6)
            self.fc, self.out = nn.Linear(5, 8), nn.Linear(13, 3)
            self.one = CubaLif(8, du=0.5, dv=0.25, vth=0.3, reset="subtract", refractory=2)
            self.last = CubaLif(3, vth=np.inf)

        def forward(self, x: Tensor) -> Tensor:
            return self.last(self.out(torch.cat([self.one(self.fc(x)), x], -1))).mean(1)

    record = proved(Own().double(), spikes())
    assert record.imported.graph.outputs[0].decode is ir.Decode.MEAN_V


@pytest.mark.parametrize("reset", ["zero", "subtract", "value", "none"])
def test_neurons_of_maps_are_compiled_in_a_loop(reset: str) -> None:
    class Maps(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            torch.manual_seed(7)
            amount = -0.1 if reset == "value" else None
            self.conv, self.fc = nn.Conv2d(2, 4, 3), nn.Linear(36, 3)
            self.one = Spiking(vth=0.4, dv=0.25, reset=reset, reset_amount=amount)
            self.two = Spiking(vth=0.2)

        def forward(self, x: Tensor) -> Tensor:
            pooled = [functional.max_pool2d(self.one(self.conv(frame)), 2) for frame in x.unbind(1)]
            return torch.stack([self.two(self.fc(frame.flatten(1))) for frame in pooled])

    proved(Maps().double(), spikes(2, 6, 2, 8, 8))


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 2**32 - 1))
def test_random_modules_have_the_spikes_of_their_graphs(seed: int) -> None:
    def neurons(draw: random.Random, _: int) -> nn.Module:
        how = draw.choice(["subtract", "zero", "none"])
        delay = how != "zero" or draw.random() < 0.5
        beta = draw.choice([0.0, 0.5, 0.75, draw.uniform(0, 1)])
        return Leaky(beta, draw.uniform(0.2, 1), reset_mechanism=how, reset_delay=delay, init_hidden=True)

    x = spikes(2, 8, 6)
    record = recorded(RandomNet(neurons, seed).double(), {"x": x})
    stimulus = Stimulus(record.arranged({"x": x}))
    check = check_graph(record.imported.graph, record.outputs, stimulus, record.imported.rests, partly=True)
    assert check.equal, check.sentences()
