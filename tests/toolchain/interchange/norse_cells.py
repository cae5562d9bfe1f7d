"""What Norse computes in a step, written from its sources."""

import nir

from tests.toolchain.interchange.framework_layer import Cell, Draw, State
from toolchain.arrays import Floats


def _norse_lif_box(draw: Draw, scale: float, rest: Floats) -> Cell:
    inverse, threshold = 1000 * draw.lost(), rest + draw.threshold()

    def step(state: State, x: Floats) -> Floats:
        v = state["v"] + 0.001 * inverse * ((rest - state["v"]) + x)
        spikes = v - threshold > 0
        state["v"] = (1 - spikes) * v + spikes * rest
        return spikes

    return Cell(nir.LIF(scale / inverse, draw.ones(), rest, threshold, rest), step, rest)


def _norse_lif(draw: Draw, scale: float, rest: Floats) -> Cell:
    syn, mem, threshold = 1000 * draw.lost(), 1000 * draw.lost(), rest + draw.threshold()

    def step(state: State, x: Floats) -> Floats:
        jumped = state.get("i", 0.0) + x
        v = state["v"] + 0.001 * mem * ((rest - state["v"]) + jumped)
        spikes = v - threshold > 0
        state |= {"v": (1 - spikes) * v + spikes * rest, "i": jumped - 0.001 * syn * jumped}
        return spikes

    node = nir.CubaLIF(scale / syn, scale / mem, draw.ones(), rest, threshold, rest, draw.ones())
    return Cell(node, step, rest)


def _norse_li_box(draw: Draw, scale: float, rest: Floats) -> Cell:
    inverse = 1000 * draw.lost()

    def step(state: State, x: Floats) -> Floats:
        state["v"] = state["v"] + 0.001 * inverse * ((rest - state["v"]) + x)
        return draw.zeros()

    return Cell(nir.LI(scale / inverse, draw.ones(), rest), step, rest, silent=True)


def norse_lif_box(draw: Draw) -> Cell:
    """Norse 1.1, `LIFBoxCell`; the exporter multiplies by dt and leaves v_reset to NIR."""
    return _norse_lif_box(draw, 0.001, draw.zeros())


def norse_lif(draw: Draw) -> Cell:
    """Norse 1.1, `LIFCell`: the current jumps, the potential follows, then the current decays."""
    return _norse_lif(draw, 0.001, draw.zeros())


def norse_lif_reset_below(draw: Draw) -> Cell:
    """Norse 1.1, `LIFBoxCell` with `v_reset=-0.5`, which its exporter leaves out."""
    inverse, threshold = 1000 * draw.lost(), draw.threshold()

    def step(state: State, x: Floats) -> Floats:
        v = state["v"] + 0.001 * inverse * (x - state["v"])
        spikes = v - threshold > 0
        state["v"] = (1 - spikes) * v - spikes * 0.5
        return spikes

    return Cell(nir.LIF(0.001 / inverse, draw.ones(), draw.zeros(), threshold), step)


def norse_iaf(draw: Draw) -> Cell:
    """Norse, `IAFCell`."""
    threshold = draw.threshold()

    def step(state: State, x: Floats) -> Floats:
        v = state["v"] + x
        spikes = v - threshold > 0
        state["v"] = (1 - spikes) * v
        return spikes

    return Cell(nir.IF(draw.ones(), threshold, draw.zeros()), step)


def norse_li_box(draw: Draw) -> Cell:
    """Norse 1.1, `LIBoxCell`."""
    return _norse_li_box(draw, 0.001, draw.offset())


def norse_seconds_lif_box(draw: Draw) -> Cell:
    """Norse before and after 1.1, `LIFBoxCell`: tau itself, and v_reset as it is."""
    return _norse_lif_box(draw, 1.0, draw.offset())


def norse_seconds_lif(draw: Draw) -> Cell:
    """Norse before and after 1.1, `LIFCell`."""
    return _norse_lif(draw, 1.0, draw.offset())


def norse_seconds_li_box(draw: Draw) -> Cell:
    """Norse before and after 1.1, `LIBoxCell`."""
    return _norse_li_box(draw, 1.0, draw.offset())
