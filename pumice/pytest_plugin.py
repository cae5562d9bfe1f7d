"""A pytest fixture that holds a build to what it could do: hardware-fidelity regression in your own tests.

Pytest loads it wherever Pumice is installed, also for projects that have nothing to do with Pumice. So it
imports neither PyTorch nor the rest of Pumice before a test asks for the fixture, and everything that it adds
to pytest bears the name of Pumice, except the fixture: a fixture `fidelity` of a project takes its place.

    def test_the_chip_is_what_we_trained(fidelity):
        fidelity("builds/keyword", baseline="keyword.json", gates={"accuracy_drop": 0.5})

`pytest --pumice-update` writes the baselines instead of checking them; they are small text files to be
reviewed and committed.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, final

import pytest

from pumice.shadow import PACKAGES, ShadowedError, check_packages

if TYPE_CHECKING:
    from toolchain import Comparison
    from toolchain.execution.stimulus import Stimulus
    from toolchain.workflow.build_folder import Build
    from toolchain.workflow.judgement import Judgement

_OPTION = "--pumice-update"


def pytest_addoption(parser: "pytest.Parser") -> None:
    """Add `--pumice-update`."""
    parser.getgroup("pumice").addoption(
        _OPTION, action="store_true", help="write fidelity baselines instead of checking them"
    )


@pytest.fixture
def fidelity(request: "pytest.FixtureRequest") -> "FidelityCheck":
    """A check of builds against gates and baselines; see `FidelityCheck.__call__`."""
    return FidelityCheck(request.path.parent, update=bool(request.config.getoption(_OPTION)))


@final
class FidelityCheck:
    """Compares a build and fails the test where it is not faithful enough.

    Args:
        folder: Folder of the test, in which relative paths of baselines begin.
        update: Whether baselines are written instead of checked.
    """

    def __init__(self, folder: Path, *, update: bool) -> None:
        self.folder = folder
        self.update = update

    def __call__(
        self,
        build: "Build | Path | str",
        *,
        baseline: Path | str | None = None,
        gates: Mapping[str, float] | None = None,
        exact: Sequence[str] = (),
        samples: int = 32,
        stimulus: "Stimulus | None" = None,
    ) -> "Judgement":
        """Compare float with integers, and targets with one another.

        Args:
            build: A build, or its folder.
            baseline: File with figures per layer that must not get worse; `--pumice-update` writes it.
            gates: Bounds by name, such as `accuracy_drop`, `spike_f1`.
            exact: Targets that must be equal bit for bit.
            samples: Number of samples that those targets run.
            stimulus: Samples to compare on; by default the build's own.

        Returns:
            The comparison.

        Raises:
            FidelityError: A gate or a figure of the baseline is not met: names the layer.
            FaultyIntegersError: The integers are not those of the float graph.
            SimulationError: A target differs: names population, neuron, step.
        """
        try:
            check_packages(*PACKAGES)
        except ShadowedError as error:
            pytest.fail(str(error), pytrace=False)
        from toolchain.fidelity import check_gates, write_baseline  # noqa: PLC0415
        from toolchain.progress import no_stages  # noqa: PLC0415
        from toolchain.workflow.compare import compare_build  # noqa: PLC0415
        from toolchain.workflow.load import load  # noqa: PLC0415 - loads torch

        loaded = load(build) if isinstance(build, Path | str) else build
        judgement = compare_build(loaded, stimulus, exact=exact, samples=samples, progress=no_stages)
        judgement.require_exact()
        check_gates(judgement.comparison, gates or {})
        if baseline is not None:
            path = self.folder / baseline
            if self.update:
                write_baseline(path, judgement.comparison)
            else:
                _check(path, judgement.comparison)
        return judgement


def _check(path: Path, comparison: "Comparison") -> None:
    """Check a comparison against a baseline; an error that a new one would mend says how pytest writes it."""
    from toolchain.errors import UsageError  # noqa: PLC0415
    from toolchain.fidelity import check_baseline  # noqa: PLC0415
    from toolchain.files.disk import check_file  # noqa: PLC0415

    try:
        check_file("baseline", path)
        check_baseline(path, comparison)
    except UsageError as error:
        error.add_note(f"'pytest {_OPTION}' writes the baseline")
        raise
