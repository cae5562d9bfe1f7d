"""Random networks on images, in integers and in real numbers: convolutions, poolings, streams, feedback."""

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from hypothesis import strategies as st
from numpy.typing import NDArray

from tests.graphs import fixed_lif
from tests.random_graphs import edge_of, late, random_firing
from toolchain import ir
from toolchain.arrays import Pair
from toolchain.fixedpoint import SignMode, round_weights, weight_limits
from toolchain.ir import AnyNode, Decode, EdgeKind, Graph, Origin, ValueType, Window


@dataclass(frozen=True)
class ImageRecipe:
    """What a random network on images is made of; small numbers are simple networks."""

    seed: int = 0
    layers: int = 1
    channels: int = 2
    size: Pair = (5, 6)
    graded: bool = False
    grouped: bool = False
    dilated: bool = False
    strided: bool = False
    pooled: bool = False
    summed: bool = False
    skip: bool = False
    feedback: bool = False
    biased: bool = False
    extreme: bool = False
    wide: bool = False
    """Whether kernels, strides, paddings and dilations are any, also such as nobody would choose."""
    rate: float = 0.5
    """Share of pixels that spike."""
    inputs: int = 1
    """A second input sends the other kind of message."""
    waits: int = 0
    """The longest delay in front of a connection or pooling; 0 for none."""
    longest: int = 0
    """The longest delay of a synapse of the last layer."""
    firing: bool = False
    """Whether populations differ in what a spike does; see `Recipe.firing`."""


image_recipes = st.builds(
    ImageRecipe,
    seed=st.integers(0, 2**32 - 1),
    layers=st.integers(1, 3),
    channels=st.one_of(st.sampled_from([1, 2, 4]), st.integers(1, 33)),
    size=st.tuples(st.integers(3, 13), st.integers(3, 13)),
    graded=st.booleans(),
    grouped=st.booleans(),
    dilated=st.booleans(),
    strided=st.booleans(),
    pooled=st.booleans(),
    summed=st.booleans(),
    skip=st.booleans(),
    feedback=st.booleans(),
    biased=st.booleans(),
    extreme=st.booleans(),
    wide=st.booleans(),
    rate=st.sampled_from([0.0, 0.02, 0.1, 0.5, 1.0]),
    waits=st.integers(0, 6),
    longest=st.integers(0, 7),
    firing=st.booleans(),
)
"""Of one input."""

plain_image_recipes = image_recipes.map(lambda recipe: replace(recipe, firing=False))
"""With neurons whose spikes set their potential to zero and do nothing else."""

wide_image_recipes = st.builds(replace, image_recipes, inputs=st.integers(1, 2))


def random_image_recipe(rng: np.random.Generator, *, wide: bool = False) -> ImageRecipe:
    """The same, drawn without Hypothesis: where one run holds many graphs, it cannot shrink them.

    Args:
        rng: What to draw from.
        wide: Whether geometry is any, with up to 33 channels; Lava takes long for many of them.
    """
    flags = [bool(flag) for flag in rng.integers(0, 2, 10)]
    # One pixel now and then, and more channels than a block of weights holds.
    least, end = ((1, int(rng.integers(2, 4))) if rng.random() < 0.15 else (3, 14)) if wide else (4, 9)
    size = (int(rng.integers(least, end)), int(rng.integers(least, end)))
    most = 140 if end <= 3 else 34
    channels = int(rng.integers(1, most)) if wide else 2 ** int(rng.integers(3))
    seed, layers = int(rng.integers(2**32)), int(rng.integers(1, 4))
    inputs, waits, longest = (int(rng.integers(low, end)) for low, end in ((1, 3), (0, 7), (0, 8)))
    rate = float(rng.choice([0.0, 0.02, 0.1, 0.5, 1.0]))
    firing = bool(rng.integers(0, 2))
    return ImageRecipe(
        seed,
        layers,
        channels,
        size,
        *flags,
        wide=wide,
        rate=rate,
        inputs=inputs,
        waits=waits,
        longest=longest,
        firing=firing,
    )


def random_images(recipe: ImageRecipe) -> Graph:
    """An integer network on images; in the extreme ones sums wrap, currents wrap and potentials saturate."""
    builder = _Builder(recipe)
    graph = builder.graph()
    return late(graph, builder.rng, recipe.waits) if recipe.waits else graph


def random_pictures(recipe: ImageRecipe, samples: int, steps: int) -> NDArray[Any]:
    """What the first input gets."""
    rng = np.random.default_rng([recipe.seed, 1])
    shape = (samples, steps, recipe.channels, *recipe.size)
    return rng.uniform(-2, 2, shape) if recipe.graded else rng.random(shape) < recipe.rate


def random_stimuli_of_pictures(recipe: ImageRecipe, samples: int, steps: int) -> dict[str, NDArray[Any]]:
    """What every input gets."""
    found = {"x": random_pictures(recipe, samples, steps)}
    if recipe.inputs > 1:
        other = replace(recipe, seed=recipe.seed + 1, graded=not recipe.graded)
        found["y"] = random_pictures(other, samples, steps)
    return found


class _Builder:
    def __init__(self, recipe: ImageRecipe) -> None:
        self.recipe = recipe
        self.rng = np.random.default_rng(recipe.seed)
        self.nodes: list[AnyNode] = []
        self.shapes: dict[str, tuple[int, ...]] = {}
        self.firing: dict[str, dict[str, Any]] = {}
        """What a spike does, by population."""

    def graph(self) -> Graph:
        recipe = self.recipe
        self.enter("x", graded=recipe.graded)
        if recipe.inputs > 1:
            self.enter("y", graded=not recipe.graded)
        source = "x"
        for i in range(recipe.layers):
            source = self.layer(i, source)
        size = int(np.prod(self.shapes[source]))
        weights = round_weights(self.rng.integers(-254, 255, (3, size)).astype(float), SignMode.MIXED, 8)
        delays = self.rng.integers(0, recipe.longest + 1, weights.shape) if recipe.longest else None
        self.nodes += [
            ir.FixedDense(
                name="flat",
                inputs=(source,),
                weights=weights,
                exponent=0,
                sign_mode=SignMode.MIXED,
                delays=delays,
            ),
            fixed_lif("last", ("flat",), 3, **self.draw_firing("last", 3)),
            ir.Output(name="output", inputs=("last",), decode=Decode.SPIKE_COUNT),
        ]
        return Graph(tuple(self.nodes), name="images")

    def draw_firing(self, name: str, shape: int | tuple[int, ...]) -> dict[str, Any]:
        """Draw what a spike does in a population, apart from everything else that is drawn."""
        rng = np.random.default_rng([self.recipe.seed, 2, len(self.firing)])
        self.firing[name] = random_firing(rng, shape) if self.recipe.firing else {}
        return self.firing[name]

    def enter(self, name: str, *, graded: bool) -> None:
        bits = 9 if self.recipe.extreme else 5
        self.shapes[name] = (self.recipe.channels, *self.recipe.size)
        self.nodes.append(
            ir.Input(name=name, shape=self.shapes[name], edge=EdgeKind.GRADED, scale=2.0**bits / 4, bits=bits)
            if graded
            else ir.Input(name=name, shape=self.shapes[name])
        )

    def layer(self, i: int, source: str) -> str:
        rng, recipe = self.rng, self.recipe
        before = self.shapes[source]
        groups = self.groups(before[0])
        most = 140 if max(before[1:]) <= 2 else 34
        targets = groups * int(rng.integers(1, max(most // groups, 1) + 1 if recipe.wide else 3))
        window = self.window(before)
        convolutions = [self.convolution(f"c{i}", source, targets, window, groups)]
        shape = self.shapes[f"c{i}"]
        sent = edge_of(self.draw_firing(f"p{i}", shape))
        if recipe.inputs > 1 and i == 0:
            convolutions.append(self.convolution("other", "y", targets, window, groups))
        if recipe.skip:
            # The same input again, over a window of another kernel but with as many positions.
            convolutions.append(self.convolution(f"skip{i}", source, targets, _point(window), 1))
        if recipe.feedback:
            self.shapes[f"back{i}"] = shape
            steps = int(rng.integers(1, 3))
            self.nodes.append(
                ir.Delay(name=f"back{i}", inputs=(f"p{i}",), shape=shape, edge=sent, steps=steps)
            )
            same = Window((3, 3), padding=(1, 1))
            convolutions.append(self.convolution(f"r{i}", f"back{i}", targets, same, 1))
        self.nodes += convolutions
        self.nodes.append(self.population(f"p{i}", tuple(node.name for node in convolutions), shape))
        self.shapes[f"p{i}"] = shape
        pooled = f"p{i}"
        # There is no largest of several counts.
        joined = recipe.pooled and sent is EdgeKind.SPIKE
        for kind, wanted in ((ir.MaxPool2d, joined), (ir.SumPool2d, recipe.summed)):
            size = self.shapes[pooled][1:]
            if wanted and min(size) >= 2:
                kernel, stride, padding = (2, min(size[1], 3)), (2, 1), (int(rng.integers(2)), 0)
                if recipe.wide:
                    kernel = (int(rng.integers(1, size[0] + 1)), int(rng.integers(1, min(size[1], 5) + 1)))
                    stride = (int(rng.integers(1, 4)), int(rng.integers(1, 4)))
                    padding = (
                        int(rng.integers(0, kernel[0] // 2 + 1)),
                        int(rng.integers(0, kernel[1] // 2 + 1)),
                    )
                node = kind(
                    name=f"{kind.kind}{i}", inputs=(pooled,), kernel=kernel, stride=stride, padding=padding
                )
                pooled = node.name
                inner = ValueType(self.shapes[node.inputs[0]], sent)
                self.shapes[pooled] = node.result_type(inner).shape
                self.nodes.append(node)
        return pooled

    def groups(self, channels: int) -> int:
        """Two where that is possible; in wide recipes any number that divides the channels."""
        if not self.recipe.grouped:
            return 1
        if not self.recipe.wide:
            return 2 if channels % 2 == 0 else 1
        return int(self.rng.choice([n for n in range(1, channels + 1) if channels % n == 0]))

    def window(self, shape: tuple[int, ...]) -> Window:
        rng, recipe = self.rng, self.recipe
        if recipe.wide and max(shape[1:]) == 1 and rng.random() < 0.5:
            return Window((1, 1))
        while recipe.wide:
            kernel, stride, padding, dilation = (
                (int(rng.integers(least, most)), int(rng.integers(least, most)))
                for least, most in ((1, 6), (1, 4), (0, 4), (1, 4))
            )
            window = Window(kernel, stride, padding, dilation)
            if min(window.positions((shape[1], shape[2]))) >= 1:
                return window
        kernel = (min(3, shape[1]), min(2, shape[2]))
        dilation = (2, 1) if recipe.dilated and shape[1] >= 5 else (1, 1)
        stride = (1, 2) if recipe.strided else (1, 1)
        return Window(kernel, stride, (int(rng.integers(2)), int(rng.integers(2))), dilation)

    def convolution(
        self, name: str, source: str, targets: int, window: Window, groups: int
    ) -> ir.FixedConv2d:
        rng = self.rng
        mode = list(SignMode)[rng.integers(3)]
        bits = int(rng.integers(4, 9))
        lowest, highest = weight_limits(mode)
        shape = self.shapes[source]
        drawn = rng.integers(lowest, highest + 1, (targets, shape[0] // groups, *window.kernel))
        self.shapes[name] = (targets, *window.positions((shape[1], shape[2])))
        node = ir.FixedConv2d(
            name=name,
            inputs=(source,),
            weights=round_weights(drawn.astype(float), mode, bits),
            exponent=int(rng.integers(4, 8) if self.recipe.extreme else rng.integers(0, 3)),
            sign_mode=mode,
            weight_bits=bits,
            stride=window.stride,
            padding=window.padding,
            dilation=window.dilation,
            groups=groups,
        )
        return self.within_words(node)

    def within_words(self, node: ir.FixedConv2d) -> ir.FixedConv2d:
        """Return the convolution with sums below 2^31, as verified: a smaller exponent, or fewer sources."""
        source = node.inputs[0]
        # What feeds back comes from a population that is not yet made.
        feeds_back = source.startswith("back")
        largest = (
            self.firing[f"p{source.removeprefix('back')}"].get("max_spikes", 1)
            if feeds_back
            else Graph(tuple(self.nodes)).largest_message(node)
        )
        while np.abs(node.weights).sum(axis=(1, 2, 3)).max() * largest << node.exponent >= 2**31:
            if node.exponent:
                node = replace(node, exponent=node.exponent - 1)
            else:
                weights = node.weights.copy()
                weights[:, np.flatnonzero(weights.any(axis=(0, 2, 3)))[::2]] = 0
                node = replace(node, weights=weights)
        return node

    def population(self, name: str, inputs: tuple[str, ...], shape: tuple[int, ...]) -> ir.FixedLif:
        rng, recipe = self.rng, self.recipe
        size = int(np.prod(shape))
        flat = fixed_lif(
            name,
            inputs,
            size,
            du=rng.integers(0, 60 if recipe.extreme else 4096, size),
            dv=rng.integers(0, 60 if recipe.extreme else 4096, size),
            vth=rng.integers(0, 2**17 if recipe.extreme else 2000, size),
            bias_mantissa=rng.integers(-4096, 4096, size) if recipe.biased else 0,
            bias_exponent=rng.integers(0, 8, size) if recipe.biased else 0,
        )
        arrays = ("du", "dv", "vth", "bias_mantissa", "bias_exponent", "scale")
        shaped = {field: getattr(flat, field).reshape(shape) for field in arrays} | self.firing[name]
        return ir.FixedLif(name=name, inputs=inputs, origin=Origin.whole(f"layers.{name}", size), **shaped)


def _point(window: Window) -> Window:
    """Return a kernel of one element that visits as many positions: the first of the larger one."""
    rows, columns = ((k - 1) * d for k, d in zip(window.kernel, window.dilation, strict=True))
    if (rows, columns) == tuple(2 * p for p in window.padding):
        return Window((1, 1), window.stride)
    return window
