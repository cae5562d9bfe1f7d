"""Memory that comparing and recording a build take: `python -m tests.benchmarks.memory`.

Every figure is the peak of a process of its own. The network is a VGG of random weights; the pictures are
random, the same at every step, and written to a file part by part, so that no process ever holds them all.
"""

import argparse
import json
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

STEPS = 4
SIDE = 28
CLASSES = 10
_AT_ONCE = 500


def make_build(folder: Path, channels: int) -> None:
    """Write a build of a VGG with two layers of so many channels on pictures of 28x28."""
    import torch  # noqa: PLC0415 - only children load it

    import toolchain  # noqa: PLC0415
    from toolchain.models import POOL, VggShape, build_vgg  # noqa: PLC0415

    torch.manual_seed(0)
    shape = VggShape(
        plan=(channels, POOL, channels, POOL), image=(1, SIDE, SIDE), steps=STEPS, classes=CLASSES
    )
    network = build_vgg(shape, torch.Generator().manual_seed(0))
    pictures = np.random.default_rng(1).random((8, 1, SIDE, SIDE)).astype(np.float32)
    toolchain.compile(network, pictures).save(folder)


def make_pictures(path: Path, samples: int) -> None:
    """Write a stimulus of random pictures with random labels."""
    from toolchain.files.archive import writing_arrays  # noqa: PLC0415

    rng = np.random.default_rng(2)
    with writing_arrays(path) as writer:
        for start in range(0, samples, _AT_ONCE):
            count = min(_AT_ONCE, samples - start)
            # Few grey levels: such pictures are quickly compressed.
            pictures = (rng.integers(0, 16, (count, 1, 1, SIDE, SIDE)) / 15).astype(np.float32)
            writer.append(
                {"input": np.repeat(pictures, STEPS, axis=1), "labels": rng.integers(0, CLASSES, count)}
            )


def run_child(action: str, build: Path, pictures: Path) -> None:
    """Compare or record, and print the peak of this process with the result."""
    import torch  # noqa: PLC0415

    from toolchain.execution.stimulus import Stimulus  # noqa: PLC0415
    from toolchain.workflow.load import load  # noqa: PLC0415

    torch.set_num_threads(1)
    started = time.monotonic()
    loaded = load(build)
    # Older versions hold all pictures.
    pictures_of_file = getattr(Stimulus, "open", Stimulus.load)(pictures)
    result: dict[str, Any] = {}
    if action == "compare":
        from toolchain.workflow.compare import compare_build  # noqa: PLC0415

        result = compare_build(loaded, pictures_of_file).document().model_dump(mode="json")
    elif action == "record":
        from toolchain.workflow.run import record_build  # noqa: PLC0415

        record_build(loaded, build.parent / "trace.npz", stimulus=pictures_of_file, record=("spikes", "v"))
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    _say(json.dumps({"peak": peak, "seconds": time.monotonic() - started, "result": result}))


def measure(action: str, build: Path, pictures: Path) -> dict[str, Any]:
    """Return the peak in bytes, the time in seconds and the figures of one run in a process of its own."""
    command = [sys.executable, "-m", "tests.benchmarks.memory", "--child", action, str(build), str(pictures)]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    return json.loads(done.stdout.splitlines()[-1])


def measured(action: str, channels: int, counts: Sequence[int], folder: Path) -> dict[int, dict[str, Any]]:
    """Measure one action for several numbers of pictures."""
    make_build(folder / "build", channels)
    results: dict[int, dict[str, Any]] = {}
    for samples in counts:
        make_pictures(folder / "pictures.npz", samples)
        results[samples] = measure(action, folder / "build", folder / "pictures.npz")
        peak, seconds = results[samples]["peak"], results[samples]["seconds"]
        _say(f"{action}, {channels} channels, {samples:,} pictures: {peak / 2**30:.2f} GiB, {seconds:.0f} s")
    return results


def _say(text: str) -> None:
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--child", nargs=3, metavar=("ACTION", "BUILD", "PICTURES"))
    parser.add_argument("--action", choices=("nothing", "compare", "record"), default="compare")
    parser.add_argument("--channels", type=int, default=40)
    parser.add_argument("samples", type=int, nargs="*", default=[1_000, 10_000, 50_000])
    options = parser.parse_args()
    if options.child:
        run_child(options.child[0], Path(options.child[1]), Path(options.child[2]))
        return
    with tempfile.TemporaryDirectory() as folder:
        measured(options.action, options.channels, options.samples, Path(folder))


if __name__ == "__main__":
    main()
