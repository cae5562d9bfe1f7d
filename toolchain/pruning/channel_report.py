"""Report of channel pruning on one page: sizes, course over the epochs, channels left of each layer."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from markupsafe import Markup
from matplotlib.ticker import MaxNLocator

from toolchain.models import FeedForward
from toolchain.pages import ACCENT, WARM, Table, panel, panels, plain, write_page
from toolchain.pruning.channels import Mask, compact_channels
from toolchain.pruning.sca import ChannelPruning, ChannelUpdate


def write_channel_report(path: Path, title: str, network: FeedForward, pruning: ChannelPruning) -> None:
    """Write the page, atomically.

    Args:
        path: Where the page is written.
        title: Heading of the page.
        network: The trained network with its silent channels.
        pruning: The callback that pruned it.
    """
    small = compact_channels(network, pruning.masks)
    rows = [(name, len(mask), int(mask.sum())) for name, mask in pruning.masks.items()]
    sizes = [
        ("channels", sum(row[1] for row in rows), sum(row[2] for row in rows)),
        ("parameters", *(sum(p.numel() for p in each.parameters()) for each in (network, small))),
    ]
    layers = Table(
        "Channels of each layer before pruning, and those that are left.",
        ("layer", "channels", "left", "share left"),
        [(name, before, after, f"{100 * after / before:.1f} %") for name, before, after in rows],
    )
    write_page(
        path,
        "toolchain.pruning",
        "channels.html.j2",
        title=title,
        sizes=sizes,
        course=_course(pruning.updates, list(pruning.masks)),
        masks=_masks(pruning.masks),
        layers=layers,
    )


def _course(updates: Sequence[ChannelUpdate], names: Sequence[str]) -> Markup:
    epochs = [update.epoch for update in updates]
    living, changes = panel("epoch", "channels", height=2.8), panel("epoch", "channels", height=2.8)
    for i, name in enumerate(names):
        shade = 0.25 + 0.75 * (i + 1) / len(names)
        living.plot(
            epochs, [update.living[i] for update in updates], color=ACCENT, alpha=shade, label=plain(name)
        )
    changes.plot(
        epochs, [update.regrown for update in updates], color=WARM, label="came back by the criterion"
    )
    changes.plot(epochs, [update.changed for update in updates], color=ACCENT, label="changed their state")
    for axis in (living, changes):
        axis.set_ylim(0, None)
        axis.xaxis.set_major_locator(MaxNLocator(integer=True))
        axis.legend(fontsize=7)
    return panels([("Living channels of each layer", living), ("Changes at each update", changes)])


def _masks(masks: Mapping[str, Mask]) -> Markup:
    drawn: list[tuple[str, Any]] = []
    for name, mask in masks.items():
        axis = panel("channel", "", height=0.75)
        axis.imshow(np.where(mask, 1.0, 0.08)[None], aspect="auto", cmap="Greys", vmin=0, vmax=1.2)
        axis.set_yticks([])
        axis.xaxis.set_major_locator(MaxNLocator(integer=True))
        drawn.append((f"{name}: {int(mask.sum())} of {len(mask)} channels", axis))
    return panels(drawn)
