"""netx's and Lava's own rule of weights (`python -m tests.frameworks.netx_weights LIBRARY`).

Random matrices of every kind go through `optimize_weight_bits` of netx and the clipping and dropping of bits
of Lava's synapses. What they leave unchanged must be what `changed_by_netx` says they do, and nothing else.
"""

import contextlib
import importlib.util
import io
import sys
import warnings
from pathlib import Path
from typing import Any

import numpy as np

import targets.lava
from tests.frameworks.netx_files import any_weights
from toolchain.interchange.netx.weights import changed_by_netx


def main() -> None:
    """Compare 5,000 layers, a third of them recurrent."""
    from lava.utils.weightutils import clip_weights, determine_sign_mode, truncate_weights  # noqa: PLC0415

    warnings.simplefilter("ignore")
    assert targets.lava.__name__
    spec = importlib.util.spec_from_file_location(
        "netx_utils", Path(sys.argv[1]) / "lava/lib/dl/netx/utils.py"
    )
    assert spec is not None
    assert spec.loader is not None
    utils = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(utils)
    rng = np.random.default_rng(0)
    kept = 0
    for _ in range(5_000):
        size = int(rng.integers(1, 4))
        whole = np.trunc(any_weights(rng, size, int(rng.integers(1, 4)) + size)).astype(np.int64)
        if not whole.any():
            continue
        parts = [whole] if rng.random() < 0.7 else [whole[:, :-size], whole[:, -size:]]
        with contextlib.redirect_stdout(io.StringIO()):
            shifted, bits, exponent, _ = utils.optimize_weight_bits(whole.copy())
        found: list[Any] = [shifted] if len(parts) == 1 else [shifted[:, :-size], shifted[:, -size:]]
        found = [
            truncate_weights(clip_weights(w, determine_sign_mode(w), 8), determine_sign_mode(w), bits)
            for w in found
        ]
        theirs = [np.right_shift(w, -exponent) if exponent <= 0 else w << exponent for w in found]
        same = all(np.array_equal(a, b) for a, b in zip(parts, theirs, strict=True))
        if same != (changed_by_netx(*parts) is None):
            sys.exit(f"{parts} becomes {theirs}, but: {changed_by_netx(*parts)}")
        kept += same
    if not 500 < kept < 4_900:
        sys.exit(f"{kept} layers were kept: the matrices are not of every kind")


if __name__ == "__main__":
    main()
