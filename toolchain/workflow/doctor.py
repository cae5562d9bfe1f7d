"""What `pumice doctor` says: versions, whether every target runs, cores, GPU, and what mends the rest."""

import os
import platform
import sys
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any, ClassVar, Final, final

import numpy as np

from toolchain import ir
from toolchain.compiled import kept_in
from toolchain.errors import TargetError, TargetUnavailableError
from toolchain.execution.reference import run as run_reference
from toolchain.files.documents import Document, FileDocument
from toolchain.fixedpoint import SignMode
from toolchain.ir import Decode, Graph, Origin
from toolchain.passes.quantization import rounding
from toolchain.target.registry import installed_targets, load_target

_PACKAGES: Final = (
    "pumice",
    "numpy",
    "scipy",
    "torch",
    "lava-nc",
    "networkx",
    "numba",
    "scikit-learn",
    "safetensors",
)
_PYTHONS: Final = ((3, 11), (3, 13))


@final
class Check(Document):
    """One thing that was looked at.

    Attributes:
        name: What was looked at.
        ok: Whether it is as it should be.
        finding: What is there.
        command: Command that mends it; empty if nothing is to be done.
    """

    name: str
    ok: bool
    finding: str
    command: str = ""


@final
class Diagnosis(FileDocument):
    """What `pumice doctor` says of this machine.

    Attributes:
        ok: Whether every check is.
        versions: Version of each package; `missing` if it is not installed.
        checks: Everything that was looked at.
    """

    FORMAT: ClassVar[str] = "pumice-diagnosis"
    VERSION: ClassVar[int] = 1
    WHAT: ClassVar[str] = "diagnosis of a machine"
    WRITTEN_BY: ClassVar[str] = "pumice doctor"

    format: str = FORMAT
    version: int = VERSION
    ok: bool
    versions: dict[str, str]
    checks: tuple[Check, ...]


def diagnose() -> Diagnosis:
    """Look at everything. Each target runs a two-neuron network and is compared with the reference."""
    versions = {"python": platform.python_version()} | {name: _version(name) for name in _PACKAGES}
    targets = [_check_target(name) for name in sorted(installed_targets())]
    checks = [_check_python(), _check_numpy(), *targets, _count_cores(), _find_gpu(), _find_compiled()]
    if not targets:
        checks.append(
            Check(name="targets", ok=False, finding="none installed", command="python -m pip install pumice")
        )
    return Diagnosis(ok=all(check.ok for check in checks), versions=versions, checks=tuple(checks))


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return "missing"


def _check_python() -> Check:
    low, high = _PYTHONS
    command = (
        "" if low <= sys.version_info[:2] <= high else "install Python 3.11, 3.12 or 3.13 and set up again"
    )
    return Check(name="python", ok=not command, finding=platform.python_version(), command=command)


def _check_numpy() -> Check:
    old_enough = tuple(map(int, np.__version__.split(".")[:2])) < (2, 4)
    command = "" if old_enough else "python -m pip install 'numpy<2.4'"
    return Check(name="numpy below 2.4", ok=old_enough, finding=np.__version__, command=command)


def _check_target(target: str) -> Check:
    name = f"target {target} runs"
    try:
        return Check(name=name, ok=True, finding=_run_probe(target))
    except TargetUnavailableError as error:
        return Check(name=name, ok=False, finding=error.missing, command=error.command)
    except Exception as error:  # noqa: BLE001 - whatever a stranger's target raises, the rest is looked at
        finding = str(error) if isinstance(error, TargetError) else f"{type(error).__name__}: {error}"
        command = "python -m pip install --force-reinstall pumice"
        return Check(name=name, ok=False, finding=finding, command=command)


def _run_probe(name: str) -> str:
    target = load_target(name)
    target.check()
    graph, spikes = _probe()
    trace = target.build(graph).run(spikes, record=("spikes", "v"))
    expected = run_reference(graph, spikes)
    if not np.array_equal(trace.v["neurons"], expected.v["neurons"]):
        raise TargetError(f"target '{name}' runs, but its integers differ from the reference")
    return "yes, equal to the integer reference"


def _probe() -> tuple[Graph, np.ndarray[Any, np.dtype[np.bool_]]]:
    two = np.zeros(2, dtype=np.int32)
    graph = Graph(
        (
            ir.Input(name="input", shape=(2,)),
            ir.FixedDense(
                name="synapses",
                inputs=("input",),
                weights=np.array([[100, 2], [-4, 60]]),
                exponent=0,
                sign_mode=SignMode.MIXED,
            ),
            ir.FixedLif(
                name="neurons",
                inputs=("synapses",),
                du=two + 4095,
                dv=two + 400,
                vth=two + 150,
                bias_mantissa=two,
                bias_exponent=two,
                scale=np.ones(2),
                origin=Origin.whole("probe", 2),
            ),
            ir.Output(name="output", inputs=("neurons",), decode=Decode.SPIKE_COUNT),
        ),
        name="probe",
    )
    return graph, np.random.default_rng(0).integers(0, 2, (2, 8, 2)).astype(bool)


def _count_cores() -> Check:
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    return Check(name="cores", ok=True, finding=str(cores))


def _find_compiled() -> Check:
    """Say where compiled code is kept; without a folder that is slow, but works."""
    place = kept_in(Path(rounding.__file__).parent)
    nowhere = "kept nowhere, compiled anew by every process; NUMBA_CACHE_DIR may name a folder for it"
    return Check(name="compiled code", ok=True, finding=nowhere if place is None else f"kept in {place}")


def _find_gpu() -> Check:
    try:
        import torch  # noqa: PLC0415 - a missing torch is a result here
    except ImportError:
        command = "python -m pip install torch"
        return Check(name="gpu", ok=False, finding="torch is not installed", command=command)
    gpu = torch.cuda.get_device_name(0) if torch.cuda.is_available() else "none (not needed)"
    return Check(name="gpu", ok=True, finding=gpu)
