"""One layer of neurons of every framework: a step as its sources say it, and what its exporter writes.

Nothing here comes from `toolchain`: a cell is written from the source of the framework that its docstring
names, in that framework's own parameters.
"""

from collections.abc import Callable
from typing import Any

import nir
import numpy as np

from tests.toolchain.interchange.framework_layer import Cell, Draw, State
from tests.toolchain.interchange.norse_cells import (
    norse_iaf,
    norse_li_box,
    norse_lif,
    norse_lif_box,
    norse_lif_reset_below,
    norse_seconds_li_box,
    norse_seconds_lif,
    norse_seconds_lif_box,
)
from tests.toolchain.interchange.snntorch_steps import (
    snntorch_leaky,
    snntorch_leaky_none,
    snntorch_leaky_subtract_delayed,
    snntorch_leaky_zero_delayed,
    snntorch_synaptic,
    snntorch_synaptic_subtract,
    snntorch_synaptic_subtract_delayed,
    snntorch_synaptic_zero_delayed,
)
from toolchain.arrays import Floats


def nir_lif(draw: Draw) -> Cell:
    """NIR's own equation, `tau dv/dt = v_leak - v + r i`, by Euler's method with a step of 0.1 ms."""
    tau, r, leak, threshold = 1e-4 / draw.lost(), draw.gain(), draw.offset(), draw.threshold()

    def step(state: State, x: Floats) -> Floats:
        v = state["v"] + 1e-4 / tau * (leak - state["v"] + r * x)
        spikes = v > threshold
        state["v"] = np.where(spikes, 0.0, v)
        return spikes

    return Cell(nir.LIF(tau, r, leak, threshold, draw.zeros()), step)


def nir_cuba_lif(draw: Draw) -> Cell:
    """NIR's own equations of CubaLIF by Euler's method: the current first, then the potential."""
    tau_syn, tau_mem, r, w_in = 1e-4 / draw.lost(), 1e-4 / draw.lost(), draw.gain(), draw.gain()
    leak, threshold = draw.offset(), draw.threshold()

    def step(state: State, x: Floats) -> Floats:
        i = state.get("i", 0.0)
        i = i + 1e-4 / tau_syn * (w_in * x - i)
        v = state["v"] + 1e-4 / tau_mem * (leak - state["v"] + r * i)
        spikes = v > threshold
        state |= {"v": np.where(spikes, 0.0, v), "i": i}
        return spikes

    return Cell(nir.CubaLIF(tau_syn, tau_mem, r, leak, threshold, draw.zeros(), w_in), step)


def nir_if(draw: Draw) -> Cell:
    """NIR's own equation, `dv/dt = r i`."""
    r, threshold = draw.gain() / 1e-4, draw.threshold()

    def step(state: State, x: Floats) -> Floats:
        v = state["v"] + r * 1e-4 * x
        spikes = v > threshold
        state["v"] = np.where(spikes, 0.0, v)
        return spikes

    return Cell(nir.IF(r, threshold, draw.zeros()), step)


def nir_cuba_li(draw: Draw) -> Cell:
    """NIR's own equations of CubaLI, which never fires."""
    tau_syn, tau_mem, r, w_in = 1e-4 / draw.lost(), 1e-4 / draw.lost(), draw.gain(), draw.gain()
    leak = draw.offset()

    def step(state: State, x: Floats) -> Floats:
        i = state.get("i", 0.0)
        i = i + 1e-4 / tau_syn * (w_in * x - i)
        state |= {"v": state["v"] + 1e-4 / tau_mem * (leak - state["v"] + r * i), "i": i}
        return draw.zeros()

    return Cell(nir.CubaLI(tau_syn, tau_mem, r, leak, w_in), step, silent=True)


def nir_threshold(draw: Draw) -> Cell:
    """NIR's Threshold: a step function of what comes."""
    threshold = draw.threshold()

    def step(state: State, x: Floats) -> Any:
        state["v"] = np.where(x > threshold, 0.0, x)
        return x > threshold

    return Cell(nir.Threshold(threshold), step)


def _sinabs_lif(draw: Draw, *, normalised: bool, silent: bool) -> Cell:
    tau, threshold = draw.tau(), draw.threshold()
    alpha = np.exp(-1 / tau)

    def step(state: State, x: Floats) -> Floats:
        v = alpha * state["v"] + (x * (1 - alpha) if normalised else x)
        spikes = np.zeros_like(v) if silent else (v >= threshold).astype(float)
        state["v"] = v * (spikes == 0)
        return spikes

    zero, one = draw.zeros(), draw.ones()
    node = nir.LI(tau, one, zero) if silent else nir.LIF(tau, one, zero, threshold, zero)
    return Cell(node, step, silent=silent)


def sinabs_lif(draw: Draw) -> Cell:
    """sinabs 3.1, `LIF` with `SingleSpike`, `MembraneReset`, `norm_input=False`, `min_v_mem=None`."""
    return _sinabs_lif(draw, normalised=False, silent=False)


def sinabs_normalised_lif(draw: Draw) -> Cell:
    """sinabs 3.1, `LIF` with `SingleSpike`, `MembraneReset`, `norm_input=True`, `min_v_mem=None`."""
    return _sinabs_lif(draw, normalised=True, silent=False)


def sinabs_exp_leak(draw: Draw) -> Cell:
    """sinabs 3.1, `ExpLeak` with `norm_input=False`."""
    return _sinabs_lif(draw, normalised=False, silent=True)


def sinabs_iaf(draw: Draw) -> Cell:
    """sinabs 3.1, `IAF` with `SingleSpike`, `MembraneReset`, `min_v_mem=None`."""
    threshold = draw.threshold()

    def step(state: State, x: Floats) -> Floats:
        v = state["v"] + x
        spikes = v >= threshold
        state["v"] = v * ~spikes
        return spikes

    return Cell(nir.IF(draw.ones(), threshold, draw.zeros()), step)


def sinabs_multi_lif(draw: Draw) -> Cell:
    """sinabs 3.1, `LIF` with `MultiSpike` and `MembraneSubtract`, `norm_input=False`, `min_v_mem=None`."""
    tau, threshold = draw.tau(), draw.threshold()
    alpha = np.exp(-1 / tau)

    def step(state: State, x: Floats) -> Floats:
        v = alpha * state["v"] + x
        spikes = (v > 0) * np.trunc(v / threshold)
        state["v"] = v - spikes * threshold
        return spikes

    zero = draw.zeros()
    return Cell(nir.LIF(tau, draw.ones(), zero, threshold, zero), step)


def sinabs_multi_iaf(draw: Draw) -> Cell:
    """sinabs 3.1, `IAF` with its defaults, `MultiSpike` and `MembraneSubtract`."""
    threshold = draw.threshold()

    def step(state: State, x: Floats) -> Floats:
        v = state["v"] + x
        spikes = (v > 0) * np.trunc(v / threshold)
        state["v"] = v - spikes * threshold
        return spikes

    return Cell(nir.IF(draw.ones(), threshold, draw.zeros()), step)


def sinabs_subtracting_iaf(draw: Draw) -> Cell:
    """sinabs 3.1, `IAF` with `SingleSpike` and `MembraneSubtract`."""
    threshold = draw.threshold()

    def step(state: State, x: Floats) -> Floats:
        v = state["v"] + x
        spikes = v - threshold >= 0
        state["v"] = v - spikes * threshold
        return spikes

    return Cell(nir.IF(draw.ones(), threshold, draw.zeros()), step)


def spikingjelly_lif(draw: Draw) -> Cell:
    """SpikingJelly 2.0, `LIFNode`, with and without `decay_input`; it begins at `v_reset`."""
    tau, decays = 1 / draw.lost(), bool(draw.rng.random() < 0.5)
    reset = draw.offset()
    threshold = reset + draw.threshold()

    def step(state: State, x: Floats) -> Floats:
        v = state["v"]
        v = v + (x - (v - reset)) / tau if decays else v - (v - reset) / tau + x
        spikes = v - threshold >= 0
        state["v"] = np.where(spikes, reset, v)
        return spikes

    r = draw.ones() if decays else tau
    return Cell(nir.LIF(tau * 1e-4, r, reset, threshold, reset), step, reset)


def spikingjelly_if(draw: Draw) -> Cell:
    """SpikingJelly 2.0, `IFNode`."""
    reset = draw.offset()
    threshold = reset + draw.threshold()

    def step(state: State, x: Floats) -> Floats:
        v = state["v"] + x
        spikes = v - threshold >= 0
        state["v"] = np.where(spikes, reset, v)
        return spikes

    return Cell(nir.IF(draw.ones() / 1e-4, threshold, reset), step, reset)


def spikingjelly_cuba_lif(draw: Draw) -> Cell:
    """SpikingJelly 2.0, `CUBALIFNode`, whose potential decays toward zero."""
    current, potential, threshold = 1 - draw.lost(), 1 - draw.lost(), draw.threshold()

    def step(state: State, x: Floats) -> Floats:
        c = current * state.get("c", 0.0) + x
        v = potential * state["v"] + c
        spikes = v - threshold >= 0
        state |= {"v": np.where(spikes, 0.0, v), "c": c}
        return spikes

    syn, mem, zero = 1e-4 / (1 - current), 1e-4 / (1 - potential), draw.zeros()
    return Cell(nir.CubaLIF(syn, mem, mem / 1e-4, zero, threshold, zero, syn / 1e-4), step)


def spikingjelly_soft_lif(draw: Draw) -> Cell:
    """SpikingJelly before 2.0, `LIFNode` with `v_reset=None`, which its exporter wrote as 0."""
    tau, decays, threshold = 1 / draw.lost(), bool(draw.rng.random() < 0.5), draw.threshold()

    def step(state: State, x: Floats) -> Floats:
        v = state["v"]
        v = v + (x - v) / tau if decays else v - v / tau + x
        spikes = v - threshold >= 0
        state["v"] = v - spikes * threshold
        return spikes

    zero = draw.zeros()
    return Cell(nir.LIF(tau * 1e-4, draw.ones() if decays else tau, zero, threshold, zero), step)


def lava_dl_cuba(draw: Draw) -> Cell:
    """Lava-DL 0.6, `slayer.neuron.cuba.Neuron` without its rounding, as the NIR paper's scripts write it.

    It compares with `threshold + 0.01 / s_scale`, and states are multiples of `1 / s_scale`: above.
    """
    current, voltage, threshold = draw.lost(), draw.lost(), draw.threshold()

    def step(state: State, x: Floats) -> Floats:
        u = (1 - current) * state.get("u", 0.0) + x
        v = (1 - voltage) * state["v"] + u
        spikes = v > threshold
        state |= {"v": v * ~spikes, "u": u}
        return spikes

    syn, mem, zero = 1e-4 / current, 1e-4 / voltage, draw.zeros()
    return Cell(nir.CubaLIF(syn, mem, mem / 1e-4, zero, threshold, zero, syn / 1e-4), step)


def rockpool_exp_syn(draw: Draw) -> Cell:
    """Rockpool 3.1, `ExpSynTorch` with its dt of 1 ms: what comes in a step decays with the rest."""
    tau = 1e-3 * draw.tau()
    beta = np.exp(-1e-3 / tau)

    def step(state: State, x: Floats) -> Floats:
        state["v"] = (state["v"] + x) * beta
        return draw.zeros()

    return Cell(nir.LI(tau, tau * np.exp(-1e-3 / tau) / 1e-3, draw.zeros()), step, silent=True)


def rockpool_lif(draw: Draw) -> Cell:
    """Rockpool 3.1, `LIFTorch`: what comes in a step decays with the current; spikes of `StepPWL`."""
    tau_syn, tau_mem, threshold = 1e-3 * draw.tau(), 1e-3 * draw.tau(), draw.threshold()
    beta, alpha = np.exp(-1e-3 / tau_syn), np.exp(-1e-3 / tau_mem)

    def step(state: State, x: Floats) -> Floats:
        isyn = (state.get("isyn", 0.0) + x) * beta
        v = alpha * state["v"] + isyn
        spikes = (v >= threshold) * np.floor(v / threshold)
        state |= {"v": v - spikes * threshold, "isyn": isyn}
        return spikes

    r = tau_mem * np.exp(-1e-3 / tau_mem) / 1e-3
    return Cell(nir.CubaLIF(tau_syn, tau_mem, r, draw.zeros(), threshold), step)


def rockpool_lif_neuron(draw: Draw) -> Cell:
    """Rockpool 3.1, `LIFNeuronTorch`, which has no current and writes the same r."""
    tau, threshold = 1e-3 * draw.tau(), draw.threshold()
    alpha = np.exp(-1e-3 / tau)

    def step(state: State, x: Floats) -> Floats:
        v = alpha * state["v"] + x
        spikes = (v >= threshold) * np.floor(v / threshold)
        state["v"] = v - spikes * threshold
        return spikes

    return Cell(nir.LIF(tau, tau * np.exp(-1e-3 / tau) / 1e-3, draw.zeros(), threshold), step)


def spyx_lif(draw: Draw) -> Cell:
    """Spyx 1.0, `LIF`, but for its spikes, which it sends one step later."""
    cell = snntorch_leaky_subtract_delayed(draw)
    node = cell.node
    assert isinstance(node, nir.LIF)
    tau = node.tau / 1e-4
    return Cell(nir.LIF(tau, 1 - 1 / tau, draw.zeros(), node.v_threshold), cell.step)


def spyx_cuba_lif(draw: Draw) -> Cell:
    """Spyx 1.0, `CuBaLIF`, but for its spikes: the threshold leaves before the decay."""
    alpha, beta, threshold = 1 - draw.lost(), 1 - draw.lost(), draw.threshold()

    def step(state: State, x: Floats) -> Floats:
        current = alpha * state.get("i", 0.0) + x
        v = beta * state["v"] + current
        spikes = v > threshold
        state |= {"v": v - spikes * threshold, "i": current}
        return spikes

    return Cell(nir.CubaLIF(1 / (1 - alpha), 1 / (1 - beta), beta, draw.zeros(), threshold), step)


def spyx_li(draw: Draw) -> Cell:
    """Spyx 0.1.20, `LI`, whose exporter writes beta as r."""
    beta = 1 - draw.lost()

    def step(state: State, x: Floats) -> Floats:
        state["v"] = beta * state["v"] + x
        return draw.zeros()

    return Cell(nir.LI(1 / (1 - beta), beta, draw.zeros()), step, silent=True)


CELLS: list[tuple[str, str | None, Callable[[Draw], Cell]]] = [
    ("nir", None, nir_lif),
    ("nir", None, nir_cuba_lif),
    ("nir", None, nir_if),
    ("nir", None, nir_cuba_li),
    ("nir", None, nir_threshold),
    ("snntorch", "zero", snntorch_leaky),
    ("snntorch", "zero", snntorch_synaptic),
    ("snntorch", "subtract-delayed", snntorch_leaky_subtract_delayed),
    ("snntorch", "subtract-delayed", snntorch_synaptic_subtract_delayed),
    ("snntorch", "subtract-snntorch", snntorch_synaptic_subtract),
    ("snntorch", "zero-delayed", snntorch_leaky_zero_delayed),
    ("snntorch", "zero-delayed", snntorch_synaptic_zero_delayed),
    ("snntorch", "none", snntorch_leaky_none),
    ("norse", "zero", norse_lif_box),
    ("norse", "zero", norse_lif),
    ("norse", "-0.5", norse_lif_reset_below),
    ("norse", "zero", norse_iaf),
    ("norse", None, norse_li_box),
    ("norse-seconds", "zero", norse_seconds_lif_box),
    ("norse-seconds", "zero", norse_seconds_lif),
    ("norse-seconds", "zero", norse_iaf),
    ("norse-seconds", None, norse_seconds_li_box),
    ("sinabs", "zero", sinabs_lif),
    ("sinabs", "zero", sinabs_iaf),
    ("sinabs", "subtract-several", sinabs_multi_lif),
    ("sinabs", "subtract-several", sinabs_multi_iaf),
    ("sinabs", "subtract", sinabs_subtracting_iaf),
    ("sinabs", None, sinabs_exp_leak),
    ("sinabs-normalised", "zero", sinabs_normalised_lif),
    ("sinabs-normalised", "zero", sinabs_iaf),
    ("spikingjelly", "zero", spikingjelly_lif),
    ("spikingjelly", "zero", spikingjelly_if),
    ("spikingjelly", "zero", spikingjelly_cuba_lif),
    ("spikingjelly", "subtract", spikingjelly_soft_lif),
    ("lava-dl", None, lava_dl_cuba),
    ("rockpool", None, rockpool_exp_syn),
    ("rockpool", None, rockpool_lif),
    ("rockpool", None, rockpool_lif_neuron),
    ("spyx", None, spyx_li),
    ("spyx", None, spyx_lif),
    ("spyx", "subtract", spyx_cuba_lif),
]
"""Every layer that converts, with the name of its convention and the reset that the user states."""
