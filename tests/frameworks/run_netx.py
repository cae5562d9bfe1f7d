"""Run netx files with Lava-DL's own reader and Lava's own models, in a process of its own.

Arguments: `lava` for Lava's runtime or `models` for its models alone, the folder with `lava/lib/dl`, and a
folder of files `NAME.net` with what enters them, `NAME.npy`: `[time, *features]`; where the input layer has
neurons, whose bias netx drives, the first step stands for all. Beside them is written `NAME.npz`, `u0`, `v0`
and `s0` of the first layer and so on, `[time, *features]`; or `NAME.error`.
"""

# `make peers` installs it.
# pyright: reportMissingImports=false

import sys
import tempfile
import types
import warnings
from pathlib import Path
from typing import Any

import numpy as np

import targets.lava


def main() -> None:
    """Run every file of the folder."""
    warnings.simplefilter("ignore")
    runtime, library, folder = sys.argv[1:]
    assert targets.lava.__name__
    sys.path.append(library)
    # The reader asks SLAYER, which needs OpenCV, for one function that only resonators use.
    for name in ("lava.lib.dl.slayer", "lava.lib.dl.slayer.neuron", "lava.lib.dl.slayer.neuron.rf"):
        sys.modules[name] = types.ModuleType(name)
    vars(sys.modules["lava.lib.dl.slayer.neuron.rf"])["neuron_params"] = None
    for network in sorted(Path(folder).glob("*.net")):
        sys.stdout.write(f"\n{network.stem}\n")
        sys.stdout.flush()
        try:
            with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as records:
                found = run(
                    network, np.load(network.with_suffix(".npy")), Path(records), alone=runtime == "models"
                )
            np.savez(network.with_suffix(".npz"), **found)
        except Exception as error:  # noqa: BLE001 - whatever Lava-DL raises is its answer
            network.with_suffix(".error").write_text(f"{type(error).__name__}: {error}")


def run(network: Path, x: np.ndarray, records: Path, *, alone: bool) -> dict[str, Any]:
    """Return currents, potentials and spikes of every layer after each step."""
    from lava.lib.dl.netx.hdf5 import Network  # noqa: PLC0415
    from lava.proc import io  # noqa: PLC0415

    _record_into(records)
    net, steps, source = Network(net_config=str(network)), len(x), None
    if hasattr(net.in_layer, "transform"):
        bias = net.in_layer.transform["weight"] * x[0].T + net.in_layer.transform["bias"]
        net.in_layer.neuron.bias_mant.init = bias
    else:
        # Lava's order is X, Y, C, and time comes last; a dense layer reads a vector.
        values = x.T if len(net.inp.shape) > 1 else x.reshape(steps, -1).T
        source = io.source.RingBuffer(data=values.astype(int))
        source.s_out.connect(net.inp)
    _run(net, source, steps, alone=alone)
    found: dict[str, np.ndarray] = {}
    for place, layer in enumerate(net.layers):
        with (records / str(layer.neuron.id)).open("rb") as file:
            states = np.array([[np.load(file) for _ in "uvs"] for _ in range(steps)])
        for name, values in zip("uvs", states.swapaxes(0, 1), strict=True):
            found[f"{name}{place}"] = values.transpose(0, *range(values.ndim - 1, 0, -1))
    return found


def _run(net: Any, source: Any, steps: int, *, alone: bool) -> None:
    from lava.magma.core.run_conditions import RunSteps  # noqa: PLC0415
    from lava.magma.core.run_configs import Loihi2SimCfg  # noqa: PLC0415

    from tests.frameworks.lava_models import run_models  # noqa: PLC0415

    if alone:
        run_models(net, source, steps)
        return
    try:
        net.run(condition=RunSteps(num_steps=steps), run_cfg=Loihi2SimCfg(select_tag="fixed_pt"))
    finally:
        net.stop()


def _record_into(folder: Path) -> None:
    """Let Lava's neurons write their state where they reset it; its processes are forks of this one."""
    from lava.proc.lif.models import AbstractPyLifModelFixed, PyLifModelBitAcc  # noqa: PLC0415

    def reset_voltage(self: Any, spike_vector: np.ndarray) -> None:
        AbstractPyLifModelFixed.reset_voltage(self, spike_vector)
        with (folder / str(self.model_id)).open("ab") as file:
            for values in (self.u, self.v, spike_vector):
                np.save(file, np.asarray(values).astype(np.int64))

    model: Any = PyLifModelBitAcc
    model.reset_voltage = reset_voltage


if __name__ == "__main__":
    main()
