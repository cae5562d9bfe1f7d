"""Modules of snnTorch's neurons that are compiled as they are, or refused."""

# `make peers` installs it.
# pyright: reportMissingImports=false, reportArgumentType=false, reportAttributeAccessIssue=false

from functools import partial
from typing import Any

import snntorch as snn
from torch import nn

from tests.frameworks.module_cases import Case, Loop
from tests.frameworks.snntorch_modules import (
    Bad,
    Branching,
    ByHand,
    OneLayer,
    Readout,
    Recurrent,
    Shared,
    SharedWeights,
    Static,
    TwoInputs,
    TwoLayers,
    concatenated,
    conv,
    conv_concatenated,
    each,
    hidden,
    leaky,
    norm2d,
    parts,
    residual,
    residual_current,
    resnet,
    scaled,
    skipping,
)

NAME = "snntorch"
LAYERS: list[tuple[str, Any]] = [
    ("Leaky", partial(snn.Leaky, beta=each(0.1, 0.95), threshold=each(0.5, 1.2))),
    (
        "Synaptic",
        partial(snn.Synaptic, alpha=each(0.8, 0.2), beta=each(0.1, 0.95), threshold=each(0.5, 1.2)),
    ),
]
RECURRENT: list[tuple[str, Any]] = [
    ("RLeaky", partial(snn.RLeaky, beta=0.8, threshold=0.7, linear_features=8)),
    ("RLeaky, all_to_all=False", partial(snn.RLeaky, beta=0.8, V=each(-0.5, 0.5), all_to_all=False)),
    ("RSynaptic", partial(snn.RSynaptic, alpha=0.5, beta=0.8, threshold=0.7, linear_features=8)),
]
IMAGE = (3, 8, 2, 8, 8)
CASES: list[Case] = [
    Case(
        NAME,
        "own module, loop in forward, dropout",
        lambda: TwoLayers(snn.Leaky(beta=0.8), snn.Leaky(beta=0.9), dropout=True),
    ),
    Case(
        NAME,
        "time first",
        lambda: Loop(lambda s, x, _: s.lif(s.fc(x)), time=0, fc=nn.Linear(6, 8), lif=leaky()),
        lies="tb",
    ),
    Case(NAME, "values enter", lambda: TwoLayers(snn.Leaky(beta=0.8), snn.Leaky(beta=0.9)), graded=True),
    Case(NAME, "single precision", lambda: TwoLayers(snn.Leaky(beta=0.8), snn.Leaky(beta=0.9)), double=False),
    *(
        Case(
            NAME,
            f"{name}, reset_mechanism='{how}', reset_delay={delay}",
            lambda make=make, how=how, delay=delay: OneLayer(make(reset_mechanism=how, reset_delay=delay)),
        )
        for name, make in LAYERS
        for how in ("subtract", "zero", "none")
        for delay in (True, False)
    ),
    *(
        Case(
            NAME,
            f"{name}, reset_mechanism='{how}', reset_delay={delay}",
            lambda make=make, how=how, delay=delay: Recurrent(make(reset_mechanism=how, reset_delay=delay)),
            refused="its own step fails" if "RSyn" in name and not delay else "",
        )
        for name, make in RECURRENT
        for how in ("subtract", "zero", "none")
        for delay in (True, False)
    ),
    Case(
        NAME,
        "Leaky, learnt beta and threshold",
        lambda: TwoLayers(
            snn.Leaky(beta=0.7, learn_beta=True, learn_threshold=True), snn.Leaky(beta=each(0.3, 0.9, 4))
        ),
    ),
    Case(
        NAME,
        "RLeaky in maps, conv2d_channels",
        lambda: nn.Sequential(
            nn.Conv2d(2, 4, 3, padding=1),
            snn.RLeaky(beta=0.7, conv2d_channels=4, kernel_size=3, init_hidden=True),
        ),
        IMAGE,
    ),
    Case(NAME, "recurrence by hand", ByHand),
    Case(NAME, "recurrence by hand, one to one", lambda: ByHand(one_to_one=True)),
    Case(
        NAME,
        "Sequential, init_hidden",
        lambda: hidden(nn.Linear(6, 8), leaky(), nn.Dropout(), nn.Linear(8, 4), leaky(output=True)),
    ),
    Case(
        NAME,
        "nested Sequential",
        lambda: hidden(hidden(nn.Linear(6, 8), leaky()), hidden(nn.Identity(), nn.Linear(8, 4), leaky())),
    ),
    Case(NAME, "residual of spikes", lambda: Loop(residual, **parts())),
    Case(NAME, "residual of currents", lambda: Loop(residual_current, **parts())),
    Case(
        NAME,
        "concatenation",
        lambda: Loop(concatenated, **{**parts(), "fc2": nn.Linear(6, 8), "fc3": nn.Linear(22, 8)}),
    ),
    Case(
        NAME,
        "concatenated maps",
        lambda: Loop(
            conv_concatenated,
            c1=nn.Conv2d(2, 3, 3, padding=1),
            c2=nn.Conv2d(2, 2, 1),
            lif1=leaky(),
            lif2=leaky(),
            c3=nn.Conv2d(5, 3, 3),
            fc=nn.Linear(108, 5),
            lif3=leaky(),
        ),
        IMAGE,
    ),
    Case(NAME, "spikes of the step before", lambda: Loop(skipping, **parts())),
    Case(NAME, "factors and constants", lambda: Loop(scaled, **parts())),
    Case(
        NAME,
        "residual block with norms",
        lambda: Loop(
            resnet,
            c1=nn.Conv2d(2, 4, 3, padding=1),
            b1=norm2d(),
            c2=nn.Conv2d(4, 4, 3, padding=1, stride=2),
            b2=norm2d(),
            down=nn.Conv2d(4, 4, 1, stride=2),
            lif1=leaky(),
            lif2=leaky(),
            fc=nn.Linear(4, 5),
            lif3=leaky(),
        ),
        IMAGE,
    ),
    Case(
        NAME,
        "Conv2d, BatchNorm2d, MaxPool2d behind neurons",
        lambda: conv(nn.Conv2d(2, 4, 3, padding=1), norm2d(), leaky(), nn.MaxPool2d(2), size=64),
        IMAGE,
    ),
    Case(
        NAME,
        "Conv2d, AvgPool2d before neurons",
        lambda: conv(nn.Conv2d(2, 4, 3), nn.AvgPool2d(2), leaky(), size=36),
        IMAGE,
    ),
    Case(
        NAME,
        "Conv2d, MaxPool2d before neurons",
        lambda: conv(nn.Conv2d(2, 4, 3), nn.MaxPool2d(2), leaky(), size=36),
        IMAGE,
        refused="takes the largest of what is not spikes",
    ),
    Case(
        NAME,
        "Conv2d, padding='same', groups, dilation",
        lambda: conv(
            nn.Conv2d(2, 4, 3, padding="same", groups=2, dilation=2),
            leaky(),
            nn.Conv2d(4, 4, 3, stride=2, groups=4),
            leaky(),
            size=36,
        ),
        IMAGE,
    ),
    Case(
        NAME,
        "Conv2d, padding='same' with an even kernel",
        lambda: conv(nn.Conv2d(2, 4, 2, padding="same"), leaky(), size=256),
        IMAGE,
    ),
    Case(
        NAME,
        "Conv1d, BatchNorm1d, AvgPool1d",
        lambda: conv(nn.Conv1d(2, 4, 3, padding=1), nn.BatchNorm1d(4), leaky(), nn.AvgPool1d(2), size=20),
        (3, 8, 2, 10),
    ),
    Case(
        NAME,
        "Conv1d, MaxPool1d behind neurons",
        lambda: conv(nn.Conv1d(2, 4, 3, padding=1, dilation=1), leaky(), nn.MaxPool1d(2), size=20),
        (3, 8, 2, 10),
    ),
    Case(
        NAME,
        "Linear, BatchNorm1d",
        lambda: hidden(nn.Linear(6, 8), nn.BatchNorm1d(8), leaky(), nn.Linear(8, 4), leaky()),
    ),
    Case(
        NAME,
        "BatchNorm2d of the input",
        lambda: conv(nn.BatchNorm2d(2), nn.Conv2d(2, 4, 3), leaky(), size=144),
        IMAGE,
    ),
    Case(
        NAME,
        "AdaptiveAvgPool2d",
        lambda: conv(nn.Conv2d(2, 4, 3, padding=1), leaky(), nn.AdaptiveAvgPool2d((2, 2)), size=16),
        IMAGE,
    ),
    Case(
        NAME,
        "AvgPool2d, padding and ceil_mode",
        lambda: conv(nn.Conv2d(2, 4, 3, padding=1), leaky(), nn.AvgPool2d(3, 2, 1, ceil_mode=True), size=100),
        IMAGE,
        quiet=True,
    ),
    Case(
        NAME,
        "ConvTranspose2d",
        lambda: conv(
            nn.Conv2d(2, 4, 3, stride=2),
            leaky(),
            nn.ConvTranspose2d(4, 2, 2, stride=2),
            leaky(beta=0.5, threshold=0.3),
            size=72,
        ),
        IMAGE,
    ),
    Case(
        NAME,
        "Upsample",
        lambda: conv(
            nn.Conv2d(2, 4, 3, stride=2),
            leaky(),
            nn.Upsample(scale_factor=2),
            nn.Conv2d(4, 2, 3),
            leaky(),
            size=32,
        ),
        IMAGE,
    ),
    Case(NAME, "one picture at every step", Static, (3, 2, 8, 8), graded=True, lies="b"),
    Case(NAME, "several outputs", Branching),
    Case(NAME, "several inputs", TwoInputs),
    Case(NAME, "weights in two places", SharedWeights),
    Case(NAME, "neurons in two places", Shared, refused="neurons that stand in several places share"),
    *(
        Case(NAME, f"read-out: {how}", lambda how=how: Readout(how), quiet=True)
        for how in (
            "last potential",
            "mean potential",
            "max potential",
            "softmax of potentials",
            "mean current",
            "sum of spikes by hand",
            "Linear behind the mean of spikes",
        )
    ),
    Case(NAME, "branch on data", lambda: Bad("branch on data"), refused="looks at values of the data"),
    Case(NAME, "LayerNorm", lambda: Bad("layer norm"), refused="layer_norm"),
    Case(NAME, "attention", lambda: Bad("attention"), refused="scaled_dot_product_attention"),
    Case(NAME, "ReLU", lambda: Bad("relu"), refused="relu"),
    Case(
        NAME,
        "a factor that changes with the step",
        lambda: Bad("another step"),
        refused="is not computed as in step",
    ),
    Case(NAME, "random numbers", lambda: Bad("random"), refused="draws random numbers"),
    Case(NAME, "reset by hand", lambda: Bad("reset by hand"), refused="something else than it returned"),
    Case(
        NAME,
        "potential that another layer reads",
        lambda: Bad("potential read"),
        refused="the potential of 'lif' is read by another module",
    ),
    Case(
        NAME,
        "half precision",
        lambda: TwoLayers(snn.Leaky(beta=0.8), snn.Leaky(beta=0.9)).half(),
        refused="compile `module.float()`",
        double=False,
    ),
    Case(
        NAME,
        "DataParallel",
        lambda: nn.DataParallel(TwoLayers(snn.Leaky(beta=0.8), snn.Leaky(beta=0.9))),
        refused="compile what it wraps",
    ),
    Case(
        NAME,
        "another number of channels",
        lambda: TwoLayers(snn.Leaky(beta=0.8), snn.Leaky(beta=0.9)),
        (4, 12, 7),
        refused="does not run on the example",
    ),
    Case(
        NAME,
        "inhibition=True",
        lambda: hidden(nn.Linear(6, 8), leaky(inhibition=True)),
        refused="inhibition=True",
    ),
    Case(
        NAME,
        "Alpha",
        lambda: hidden(nn.Linear(6, 8), snn.Alpha(alpha=0.9, beta=0.8, init_hidden=True)),
        refused="two synaptic currents",
    ),
    Case(NAME, "SLSTM", lambda: hidden(snn.SLSTM(6, 8, init_hidden=True)), refused="its gates multiply"),
    Case(
        NAME,
        "Lapicque",
        lambda: hidden(nn.Linear(6, 8), snn.Lapicque(beta=0.9, init_hidden=True)),
        refused="use Leaky",
    ),
]
