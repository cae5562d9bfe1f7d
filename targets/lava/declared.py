"""What Lava runs, for every choice of models."""

from dataclasses import replace
from typing import Final

from targets.lava.runtime.models import Models
from targets.lava.settings import NAMES
from toolchain.neuron_rules import RESET_TO_ZERO
from toolchain.reset import LONGEST_REFRACTORY
from toolchain.stage import Stage
from toolchain.target.capabilities import Capabilities, ImageRules

_OURS: Final = f"run it with our processes around Lava's dynamics (target '{NAMES[Models.MIXED]}')"
MIXED: Final = Capabilities(
    name="Lava", neuron_delays=False, clocked=True, resumed=True, exports=frozenset({Stage.FIXED})
)
"""What our processes around Lava's dynamics can."""
CAPABILITIES: Final = {
    Models.MIXED: MIXED,
    # `LIFRefractory` has no model of integers, and can index what it updates with one decay for all neurons
    # only. The model of `Conv` counts in 8 bits.
    Models.STOCK: replace(
        MIXED,
        name="Lava by itself",
        real=replace(RESET_TO_ZERO, longest_refractory=LONGEST_REFRACTORY, one_period=True),
        fixed=RESET_TO_ZERO,
        images=ImageRules(largest_convolution=127),
        remedy=_OURS,
    ),
    # `LayerProcess` has so many ports.
    Models.LAYERS: replace(MIXED, name="Lava with a process per population", most_read=8, remedy=_OURS),
}
"""What each choice of models can."""
