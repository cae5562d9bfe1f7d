"""How far PyTorch's forward pass agrees with a float graph."""

import torch

from tests.networks import images
from toolchain.execution.stimulus import Stimulus
from toolchain.models import POOL, VggShape, build_vgg
from toolchain.workflow.compile import compile_module


def test_a_network_without_neurons_that_fire_has_no_spike_that_differs() -> None:
    shape = VggShape(plan=(POOL,), image=(1, 6, 6), hidden=(), classes=3, steps=2, input_code=None)
    network = build_vgg(shape, torch.Generator().manual_seed(0))
    build = compile_module(network, Stimulus({"input": images(network, 4).numpy() > 0.5}))
    assert build.facts.float_agreement is not None
    assert "4 samples: every spike equal, potentials to 0.0e+00" in build.facts.float_agreement
