"""Run a netx file with Lava-DL's own reader, in a process of its own.

Arguments: folder with `lava/lib/dl`, the file, spikes `[time, *features]`, where to write those that leave.
"""

import sys
import types
import warnings

import numpy as np

import targets.lava


def main() -> None:
    warnings.simplefilter("ignore")
    library, network, spikes, result = sys.argv[1:]
    assert targets.lava.__name__
    sys.path.append(library)
    # The reader asks SLAYER, which needs OpenCV, for one function that only resonators use.
    for name in ("lava.lib.dl.slayer", "lava.lib.dl.slayer.neuron", "lava.lib.dl.slayer.neuron.rf"):
        sys.modules[name] = types.ModuleType(name)
    sys.modules["lava.lib.dl.slayer.neuron.rf"].neuron_params = None  # type: ignore[attr-defined]
    from lava.lib.dl.netx.hdf5 import Network  # noqa: PLC0415
    from lava.magma.core.run_conditions import RunSteps  # noqa: PLC0415
    from lava.magma.core.run_configs import Loihi2SimCfg  # noqa: PLC0415
    from lava.proc import io  # noqa: PLC0415

    # Lava's order is X, Y, C, and time comes last.
    values = np.load(spikes).T.astype(int)
    net = Network(net_config=network)
    source = io.source.RingBuffer(data=values)
    sink = io.sink.RingBuffer(shape=net.out.shape, buffer=values.shape[-1])
    source.s_out.connect(net.inp)
    net.out.connect(sink.a_in)
    net.run(condition=RunSteps(num_steps=values.shape[-1]), run_cfg=Loihi2SimCfg(select_tag="fixed_pt"))
    np.save(result, sink.data.get().T)
    net.stop()


if __name__ == "__main__":
    main()
