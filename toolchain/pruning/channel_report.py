"""Report of channel pruning on one page: sizes, course over the epochs, channels left of each layer."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from markupsafe import Markup

from toolchain.models import FeedForward
from toolchain.pages import ACCENT, WARM, subplots, svg, write_page
from toolchain.pruning.channels import Mask, compact_channels
from toolchain.pruning.sca import ChannelPruning, ChannelUpdate


def write_channel_report(path: Path, title: str, network: FeedForward, pruning: ChannelPruning) -> None:
    """Write the page, atomically.

    Args:
        path: File to write.
        title: Heading of the page.
        network: The trained network with its silent channels.
        pruning: The pruning that was its callback.
    """
    small = compact_channels(network, pruning.masks)
    rows = [(name, len(mask), int(mask.sum())) for name, mask in pruning.masks.items()]
    sizes = [
        ("channels", sum(row[1] for row in rows), sum(row[2] for row in rows)),
        ("parameters", *(sum(p.numel() for p in each.parameters()) for each in (network, small))),
    ]
    write_page(
        path,
        "toolchain.pruning",
        "channels.html.j2",
        title=title,
        sizes=sizes,
        rows=rows,
        course=_course(pruning.updates, list(pruning.masks)),
        layers=_layers(pruning.masks),
    )


def _course(updates: Sequence[ChannelUpdate], names: Sequence[str]) -> Markup:
    figure, axes = subplots(1, 2, 9.0, 2.8)
    epochs = [update.epoch for update in updates]
    for i, name in enumerate(names):
        shade = 0.25 + 0.75 * (i + 1) / len(names)
        axes[0, 0].plot(
            epochs, [update.living[i] for update in updates], color=ACCENT, alpha=shade, label=name
        )
    axes[0, 0].set(xlabel="epoch", ylim=(0, None))
    axes[0, 0].set_title("living channels per layer", fontsize=9)
    axes[0, 0].legend(fontsize=6)
    axes[0, 1].plot(epochs, [update.regrown for update in updates], color=WARM, label="came back by gradient")
    axes[0, 1].plot(epochs, [update.changed for update in updates], color=ACCENT, label="changed their state")
    axes[0, 1].set(xlabel="epoch", ylim=(0, None))
    axes[0, 1].set_title("channels per update", fontsize=9)
    axes[0, 1].legend(fontsize=7)
    return svg(figure)


def _layers(masks: Mapping[str, Mask]) -> Markup:
    figure, axes = subplots(len(masks), 1, 9.0, 0.3 + 0.45 * len(masks))
    for axis, (name, mask) in zip(axes[:, 0], masks.items(), strict=True):
        axis.imshow(np.where(mask, 1.0, 0.08)[None], aspect="auto", cmap="Greys", vmin=0, vmax=1.2)
        axis.set_yticks([0], [name])
        axis.set_xticks([])
    return svg(figure)
