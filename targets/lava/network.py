"""A network as Lava processes, written by Pumice. Needs lava-nc 0.10.0 and what it needs; nothing else.

    python network.py --input stimulus.npz --output trace.npz

`--help` lists what `stimulus.npz` holds, the batch first, then time, in the units of the model. `trace.npz`
gets `"<population>.spikes"` and, with `--record v,u`, `"<population>.v"` and `"<population>.u"`,
`[batch, time, *features]`. All numbers are integers. `network.json` says what the network is, `weights.npz`
holds its weights and parameters, `runtime` runs it.

By default all samples run in one simulation, in populations that work inside sample windows. `--stock` takes
Lava's own LIF, one simulation per sample, and refuses neurons that do more than reset to zero; `--hardware`
runs those with Lava's Loihi 2 configuration, which needs Intel's extension (lava-loihi) and a board. That way
has never been run: its makers have no chip. Lava's LIF is declared with one decay and one threshold a
population; whether the chip's model takes several could not be tried.
"""

from pathlib import Path

if __name__ == "__main__":
    from runtime.command import main

    main(Path(__file__).parent, str(__doc__))
