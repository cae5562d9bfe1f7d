"""What `pumice doctor` finds: versions, whether every target runs, cores, GPU, and what mends the rest."""

import os
import platform
import sys
from collections.abc import Callable
from dataclasses import asdict, dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any, Final, final

import numpy as np

from toolchain import ir
from toolchain.compiled import kept_in
from toolchain.errors import TargetError, TargetUnavailableError
from toolchain.execution.reference import run as run_reference
from toolchain.fixedpoint import SignMode
from toolchain.ir import Decode, Graph, Origin
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
@dataclass(frozen=True)
class Check:
    """One thing that was looked at.

    Attributes:
        name: What.
        ok: Whether it is as it should be.
        finding: What was found.
        mend: Command that mends it; empty if nothing is to be done.
    """

    name: str
    ok: bool
    finding: str
    mend: str = ""


@final
@dataclass(frozen=True)
class Diagnosis:
    """Versions and checks.

    Attributes:
        versions: Per package; `missing` if not installed.
        checks: What was looked at.
    """

    versions: dict[str, str]
    checks: tuple[Check, ...]

    @property
    def ok(self) -> bool:
        """Whether every check is."""
        return all(check.ok for check in self.checks)

    def to_json(self) -> dict[str, Any]:
        """Return the document for machines."""
        return {"ok": self.ok, "versions": self.versions, "checks": [asdict(check) for check in self.checks]}


def diagnose() -> Diagnosis:
    """Look at everything. Each target runs a two-neuron network and is compared with the reference."""
    versions = {"python": platform.python_version()} | {name: _version(name) for name in _PACKAGES}
    targets = [_target(name) for name in sorted(installed_targets())]
    checks = [_python(), _numpy(), *targets, _cores(), _gpu(), _compiled()]
    if not installed_targets():
        checks.append(
            Check("targets", ok=False, finding="none installed", mend="python -m pip install pumice")
        )
    return Diagnosis(versions, tuple(checks))


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return "missing"


def _python() -> Check:
    low, high = _PYTHONS
    found = sys.version_info[:2]
    mend = "" if low <= found <= high else "install Python 3.11, 3.12 or 3.13 and set up again"
    return Check("python", low <= found <= high, platform.python_version(), mend)


def _numpy() -> Check:
    old_enough = tuple(map(int, np.__version__.split(".")[:2])) < (2, 4)
    return Check(
        "numpy below 2.4",
        old_enough,
        np.__version__,
        "" if old_enough else "python -m pip install 'numpy<2.4'",
    )


def _target(name: str) -> Check:
    return _attempt(f"target {name} runs", lambda: _run_probe(name))


def _attempt(name: str, action: Callable[[], str]) -> Check:
    try:
        return Check(name, ok=True, finding=action())
    except TargetUnavailableError as error:
        return Check(name, ok=False, finding=str(error), mend=error.command)
    except Exception as error:  # noqa: BLE001 - whatever a stranger's target raises, the rest is looked at
        finding = str(error) if isinstance(error, TargetError) else f"{type(error).__name__}: {error}"
        return Check(name, ok=False, finding=finding, mend="python -m pip install --force-reinstall pumice")


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


def _cores() -> Check:
    return Check(
        "cores",
        ok=True,
        finding=str(len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()),
    )


def _compiled() -> Check:
    """Say where compiled code is kept; without a folder that is slow, but works."""
    place = kept_in(Path(__file__).parent / "passes")
    finding = "kept nowhere, compiled anew by every process; NUMBA_CACHE_DIR may name a folder for it"
    return Check("compiled code", ok=True, finding=finding if place is None else f"kept in {place}")


def _gpu() -> Check:
    try:
        import torch  # noqa: PLC0415 - a missing torch is a finding here
    except ImportError:
        return Check("gpu", ok=False, finding="torch is not installed", mend="python -m pip install torch")
    found = torch.cuda.get_device_name(0) if torch.cuda.is_available() else "none (not needed)"
    return Check("gpu", ok=True, finding=found)
