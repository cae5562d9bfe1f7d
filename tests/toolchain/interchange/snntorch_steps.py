"""What snnTorch computes in a step, written from its sources."""

import nir
import numpy as np

from tests.toolchain.interchange.framework_layer import Cell, Draw, State
from toolchain.arrays import Floats


def snntorch_leaky(draw: Draw) -> Cell:
    """snnTorch 1.0, `Leaky` with `reset_mechanism="zero"`, `reset_delay=False`."""
    beta, threshold = 1 - draw.lost(), draw.threshold()

    def step(state: State, x: Floats) -> Floats:
        mem = beta * state["v"] + x
        spikes = mem - threshold > 0
        state["v"] = mem - mem * spikes
        return spikes

    tau = 1e-4 / (1 - beta)
    return Cell(nir.LIF(tau, tau / 1e-4, draw.zeros(), threshold, draw.zeros()), step)


def snntorch_synaptic(draw: Draw) -> Cell:
    """snnTorch 1.0, `Synaptic` with `reset_mechanism="zero"`, `reset_delay=False`."""
    alpha, beta, threshold = 1 - draw.lost(), 1 - draw.lost(), draw.threshold()

    def step(state: State, x: Floats) -> Floats:
        syn = alpha * state.get("syn", 0.0) + x
        mem = beta * state["v"] + syn
        spikes = mem - threshold > 0
        state |= {"v": mem - mem * spikes, "syn": syn}
        return spikes

    syn, mem = 1e-4 / (1 - alpha), 1e-4 / (1 - beta)
    zero = draw.zeros()
    return Cell(nir.CubaLIF(syn, mem, mem / 1e-4, zero, threshold, zero, syn / 1e-4), step)


def snntorch_leaky_subtract_delayed(draw: Draw) -> Cell:
    """snnTorch 1.0, `Leaky` with its defaults: `mem_t = beta mem_{t-1} + x_t - s_{t-1} threshold`.

    Potentials are held against `mem - s threshold / beta`: what is left of the threshold once it decays.
    """
    beta, threshold = 1 - draw.lost(), draw.threshold()

    def step(state: State, x: Floats) -> Floats:
        before = state.get("mem", draw.zeros())
        mem = beta * before + x - (before > threshold) * threshold
        spikes = mem > threshold
        left = np.divide(threshold, beta, out=draw.zeros(), where=beta > 0)
        state |= {"mem": mem, "v": mem - spikes * left}
        return spikes

    tau = 1e-4 / (1 - beta)
    return Cell(nir.LIF(tau, tau / 1e-4, draw.zeros(), threshold, draw.zeros()), step)


def snntorch_synaptic_subtract_delayed(draw: Draw) -> Cell:
    """snnTorch 1.0, `Synaptic` with its defaults; potentials as of Leaky."""
    alpha, beta, threshold = 1 - draw.lost(), 1 - draw.lost(), draw.threshold()

    def step(state: State, x: Floats) -> Floats:
        before, syn = state.get("mem", draw.zeros()), alpha * state.get("syn", 0.0) + x
        mem = beta * before + syn - (before > threshold) * threshold
        spikes = mem > threshold
        left = np.divide(threshold, beta, out=draw.zeros(), where=beta > 0)
        state |= {"mem": mem, "syn": syn, "v": mem - spikes * left}
        return spikes

    return Cell(_snntorch_cuba(alpha, beta, threshold), step)


def snntorch_synaptic_zero_delayed(draw: Draw) -> Cell:
    """snnTorch 1.0, `Synaptic` with `reset_mechanism="zero"`: a reset takes the next step's input along."""
    alpha, beta, threshold = 1 - draw.lost(), 1 - draw.lost(), draw.threshold()

    def step(state: State, x: Floats) -> Floats:
        before, syn = state.get("mem", draw.zeros()), alpha * state.get("syn", 0.0) + x
        mem = (beta * before + syn) * (before <= threshold)
        spikes = mem > threshold
        state |= {"mem": mem, "syn": syn, "v": mem * ~spikes}
        return spikes

    return Cell(_snntorch_cuba(alpha, beta, threshold), step)


def snntorch_leaky_zero_delayed(draw: Draw) -> Cell:
    """snnTorch 1.0, `Leaky` with `reset_mechanism="zero"`: what comes in the next step stays."""
    beta, threshold = 1 - draw.lost(), draw.threshold()

    def step(state: State, x: Floats) -> Floats:
        before = state.get("mem", draw.zeros())
        mem = beta * before * (before <= threshold) + x
        spikes = mem > threshold
        state |= {"mem": mem, "v": mem * ~spikes}
        return spikes

    tau = 1e-4 / (1 - beta)
    return Cell(nir.LIF(tau, tau / 1e-4, draw.zeros(), threshold, draw.zeros()), step)


def snntorch_synaptic_subtract(draw: Draw) -> Cell:
    """snnTorch 1.0, `Synaptic` with `reset_delay=False`.

    A potential that is above the threshold at the end of a step loses it before it is compared again; the
    potential that is compared with ours is the one in which that has happened.
    """
    alpha, beta, threshold = 1 - draw.lost(), 1 - draw.lost(), draw.threshold()

    def step(state: State, x: Floats) -> Floats:
        before, syn = state.get("mem", draw.zeros()), alpha * state.get("syn", 0.0) + x
        reset = before > threshold
        mem = beta * before + syn - reset * threshold
        spikes = mem > threshold
        state |= {"mem": mem - (1.0 * spikes - reset) * threshold, "syn": syn, "v": mem - spikes * threshold}
        return spikes

    return Cell(_snntorch_cuba(alpha, beta, threshold), step)


def snntorch_leaky_none(draw: Draw) -> Cell:
    """snnTorch 1.0, `Leaky` with `reset_mechanism="none"`."""
    beta, threshold = 1 - draw.lost(), draw.threshold()

    def step(state: State, x: Floats) -> Floats:
        state["v"] = beta * state["v"] + x
        return state["v"] > threshold

    tau = 1e-4 / (1 - beta)
    return Cell(nir.LIF(tau, tau / 1e-4, draw.zeros(), threshold, draw.zeros()), step)


def _snntorch_cuba(alpha: Floats, beta: Floats, threshold: Floats) -> nir.CubaLIF:
    syn, mem, zero = 1e-4 / (1 - alpha), 1e-4 / (1 - beta), np.zeros_like(threshold)
    return nir.CubaLIF(syn, mem, mem / 1e-4, zero, threshold, zero, syn / 1e-4)
