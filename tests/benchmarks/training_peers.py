"""One update of the same network and weights by Pumice, by PyTorch alone, and by other libraries.

Each at its best: what enters is multiplied in one product over all steps and taken apart at once, masks are
multiplied once an update, what is read out is one product over all steps, and the time stands first, so that
a step is a piece of memory. Only the neurons belong to the library. All spikes have one surrogate, and no
reset is differentiated through, so that gradients can be compared; but Norse's surrogate has no slope.
"""

import importlib
import importlib.util
from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from tests.benchmarks.training_problem import KEEP, KEEP_READOUT, SLOPE, Problem
from toolchain.models import Connection, CubaLif, MaskedSynapses, Network

PARTS = ("encode", "recur", "decode")
_RATE = 1e-4


class FastSigmoid(torch.autograd.Function):
    """A step whose derivative is `1 / (1 + slope |x|)^2`."""

    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        ctx.save_for_backward(x)
        return (x > 0).to(x.dtype)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> Tensor:
        (x,) = ctx.saved_tensors
        return gradients[0] / (SLOPE * x.abs() + 1).square()


def fast_sigmoid(x: Tensor) -> Tensor:
    spikes: Any = FastSigmoid.apply(x)
    return spikes


class Learner(ABC):
    """A network that is trained.

    Attributes:
        module: What holds its parameters.
        own_surrogate: Whether its gradients are those of another surrogate.
    """

    module: nn.Module
    own_surrogate = False

    @abstractmethod
    def scores(self) -> Tensor:
        """Return the class scores `[batch, classes]`."""

    @abstractmethod
    def gradients(self) -> dict[str, Tensor]:
        """Return the gradients of the synapses that exist, dense, in the units of the problem."""

    def start(self, labels: Tensor) -> None:
        """Get ready to learn."""
        self.labels = labels
        self.optimizer = torch.optim.AdamW(self.module.parameters(), lr=_RATE, fused=True)

    def backward(self) -> Tensor:
        """Compute the gradients, and return the class scores `[batch, classes]`."""
        self.optimizer.zero_grad()
        scores = self.scores()
        functional.cross_entropy(scores, self.labels).backward()
        return scores.detach()

    def update(self) -> None:
        """Learn once."""
        self.backward()
        self.optimizer.step()


class Ours(Learner):
    """Pumice, through its compiled loops or step by step."""

    def __init__(self, problem: Problem, *, compiled: bool, recompute: bool = False) -> None:
        weights = {name: getattr(problem, name) for name in PARTS}
        synapses = {
            name: MaskedSynapses(each.clone(), None if (each != 0).all() else each != 0)
            for name, each in weights.items()
        }
        arrows = (
            Connection("encode", "input", "hidden"),
            Connection("recur", "hidden", "hidden", delay=1),
            Connection("decode", "hidden", "readout"),
        )
        hidden = CubaLif(len(problem.recur), dv=1 - KEEP, vth=1.0, slope=SLOPE)
        readout = CubaLif(len(problem.decode), dv=1 - KEEP_READOUT, vth=float("inf"))
        self.x = problem.x
        self.module = self.network = Network(
            inputs={"input": problem.x.shape[2]},
            layers={"hidden": hidden, "readout": readout},
            connections={arrow: synapses[arrow.name] for arrow in arrows},
            output="readout",
        )
        self.network.to(problem.x.device)
        self.network.compiled, self.network.recompute = compiled, recompute
        self.start(problem.labels)

    def scores(self) -> Tensor:
        return self.network.scores(self.x)

    def gradients(self) -> dict[str, Tensor]:
        found: dict[str, Tensor] = {}
        for name in PARTS:
            synapses: Any = self.network.synapses[name]
            mask = 1 if synapses.mask is None else synapses.mask
            found[name] = synapses.weight.grad * mask
        return found


class Neurons(ABC):
    """The neurons of a library.

    Attributes:
        gain: By how much weights are larger in the library's units.
        own_surrogate: Whether the library has none of the slope that all others have.
    """

    gain = 1.0
    own_surrogate = False

    @abstractmethod
    def rest(self, zero: Tensor) -> Any:
        """Return the state at rest."""

    @abstractmethod
    def step(self, a: Tensor, state: Any) -> tuple[Tensor, Any]:
        """Return the spikes of one step `[batch, neurons]`, and the state after it."""


class PlainNeurons(Neurons):
    """PyTorch alone."""

    def rest(self, zero: Tensor) -> Any:
        return zero

    def step(self, a: Tensor, state: Any) -> tuple[Tensor, Any]:
        v = torch.add(a, state, alpha=KEEP)
        spikes = fast_sigmoid(v - 1)
        return spikes, v * (1 - spikes.detach())


class SnnTorchNeurons(Neurons):
    def __init__(self) -> None:
        library = importlib.import_module("snntorch")
        surrogate = importlib.import_module("snntorch.surrogate")
        # Its own delay of the reset sets to zero before the next step: the spikes are the same.
        self.cell = library.Leaky(
            beta=KEEP, spike_grad=surrogate.fast_sigmoid(slope=SLOPE), reset_mechanism="zero"
        )

    def rest(self, zero: Tensor) -> Any:
        self.cell.to(zero.device)
        return zero

    def step(self, a: Tensor, state: Any) -> tuple[Tensor, Any]:
        return self.cell(a, state)


class SpikingJellyNeurons(Neurons):
    def __init__(self) -> None:
        neuron: Any = importlib.import_module("spikingjelly.activation_based.neuron")
        self.cell = neuron.LIFNode(
            tau=1 / (1 - KEEP),
            decay_input=False,
            detach_reset=True,
            surrogate_function=fast_sigmoid,
            step_mode="s",
        )

    def rest(self, zero: Tensor) -> Any:
        del zero
        self.cell.reset()

    def step(self, a: Tensor, state: Any) -> tuple[Tensor, Any]:
        return self.cell(a), state


class NorseNeurons(Neurons):
    own_surrogate = True

    def __init__(self) -> None:
        self.box: Any = importlib.import_module("norse.torch.functional.lif_box")
        # Norse scales what comes in by the leak.
        self.gain = 1 / (1 - KEEP)

    def rest(self, zero: Tensor) -> Any:
        self.parameters = self.box.LIFBoxParameters(
            tau_mem_inv=zero.new_tensor(1 - KEEP),
            v_leak=zero.new_zeros(()),
            v_th=zero.new_ones(()),
            v_reset=zero.new_zeros(()),
            # Its own differentiates through the spike.
            reset_method=lambda spikes, v, *_: v * (1 - spikes.detach()),
        )
        return self.box.LIFBoxFeedForwardState(v=zero)

    def step(self, a: Tensor, state: Any) -> tuple[Tensor, Any]:
        return self.box.lif_box_feed_forward_step(a, state, self.parameters, dt=1.0)


class SinabsNeurons(Neurons):
    def __init__(self) -> None:
        functions: Any = importlib.import_module("sinabs.layers.functional.lif")
        activation: Any = importlib.import_module("sinabs.activation")
        self.forward = functions.lif_forward_single
        self.settings = {
            "alpha_mem": KEEP,
            "alpha_syn": None,
            "spike_threshold": 1.0,
            "spike_fn": activation.SingleSpike,
            "reset_fn": activation.MembraneReset(),
            "surrogate_grad_fn": lambda v, vth: 1 / (SLOPE * (v - vth).abs() + 1).square(),
            "min_v_mem": None,
            "norm_input": False,
        }

    def rest(self, zero: Tensor) -> Any:
        return {"v_mem": zero}

    def step(self, a: Tensor, state: Any) -> tuple[Tensor, Any]:
        return self.forward(input_data=a, state=state, **self.settings)


class StepByStep(Learner):
    """A loop over steps around the neurons of a library.

    Args:
        problem: The problem.
        neurons: The neurons.
        sparse: Whether input and recurrence are multiplied as CSR, where they are sparse.
    """

    def __init__(self, problem: Problem, neurons: Neurons, *, sparse: bool = False) -> None:
        self.neurons, self.own_surrogate = neurons, neurons.own_surrogate
        self.x = problem.x.transpose(0, 1).contiguous()
        steps, batch, _ = self.x.shape
        self.module = self.values = nn.ParameterDict()
        self.masks: dict[str, Tensor] = {}
        self.places: dict[str, Tensor] = {}
        for name in PARTS:
            weights = getattr(problem, name) * (1.0 if name == "decode" else neurons.gain)
            if (weights != 0).all():
                self.values[name] = nn.Parameter(weights.clone())
            elif sparse:
                self.places[name] = weights.to_sparse_csr()
                self.values[name] = nn.Parameter(self.places[name].values().clone())
            else:
                self.masks[name] = (weights != 0).to(weights.dtype)
                self.values[name] = nn.Parameter(weights.clone())
        self.zero = self.x.new_zeros(batch, len(problem.recur))
        # The mean over time of a potential that leaks is a weighted sum of what came in.
        left = torch.arange(steps, 0, -1, device=self.x.device)
        self.kernel = (1 - KEEP_READOUT**left) / ((1 - KEEP_READOUT) * steps)
        self.start(problem.labels)

    def scores(self) -> Tensor:
        weights = {name: self._weights(name) for name in PARTS}
        ahead = self._product(weights["encode"], self.x.flatten(0, 1))
        recur = weights["recur"]
        spikes, state, fired = self.zero, self.neurons.rest(self.zero), []
        for i, a in enumerate(ahead.unflatten(0, self.x.shape[:2]).unbind(0)):
            spikes, state = self.neurons.step(a + self._product(recur, spikes) if i else a, state)
            fired.append(spikes)
        current = functional.linear(torch.stack(fired), weights["decode"])
        return torch.einsum("tbk,t->bk", current, self.kernel)

    def gradients(self) -> dict[str, Tensor]:
        found: dict[str, Tensor] = {}
        for name in PARTS:
            gradient: Any = self.values[name].grad
            if name in self.masks:
                gradient = gradient * self.masks[name]
            elif name in self.places:
                place = self.places[name]
                gradient = _csr(place, gradient).to_dense()
            found[name] = gradient * (1.0 if name == "decode" else self.neurons.gain)
        return found

    def _weights(self, name: str) -> Tensor:
        values: Any = self.values[name]
        if name in self.places:
            return _csr(self.places[name], values)
        return values * self.masks[name] if name in self.masks else values

    @staticmethod
    def _product(weights: Tensor, x: Tensor) -> Tensor:
        if weights.layout is torch.sparse_csr:
            return torch.sparse.mm(weights, x.T).T
        return functional.linear(x, weights)


def _csr(place: Tensor, values: Tensor) -> Tensor:
    """Return a CSR matrix with other values, through which these get gradients."""
    return torch.sparse_csr_tensor(
        place.crow_indices(), place.col_indices(), values, place.shape, check_invariants=False
    )


STEPWISE, COMPILED, RECOMPUTED = "Pumice, step by step", "Pumice", "Pumice, recomputing"
LEARNERS: dict[str, Callable[[Problem], Learner]] = {
    COMPILED: lambda problem: Ours(problem, compiled=True),
    RECOMPUTED: lambda problem: Ours(problem, compiled=True, recompute=True),
    STEPWISE: lambda problem: Ours(problem, compiled=False),
    "PyTorch": lambda problem: StepByStep(problem, PlainNeurons()),
    "PyTorch, CSR": lambda problem: StepByStep(problem, PlainNeurons(), sparse=True),
    "snnTorch": lambda problem: StepByStep(problem, SnnTorchNeurons()),
    "SpikingJelly": lambda problem: StepByStep(problem, SpikingJellyNeurons()),
    "Norse": lambda problem: StepByStep(problem, NorseNeurons()),
    "sinabs": lambda problem: StepByStep(problem, SinabsNeurons()),
}
OURS = (COMPILED, RECOMPUTED, STEPWISE)
_MODULES = {"snnTorch": "snntorch", "SpikingJelly": "spikingjelly", "Norse": "norse", "sinabs": "sinabs"}


def installed_learners() -> list[str]:
    """Return the names of those whose libraries are installed."""
    return [name for name in LEARNERS if name not in _MODULES or importlib.util.find_spec(_MODULES[name])]
