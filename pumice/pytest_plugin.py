"""A pytest fixture that holds a build to what it could do: hardware-fidelity regression in your own tests.

It is loaded into every run of pytest where Pumice is installed, other people's included. So it imports
neither PyTorch nor the rest of Pumice before a test asks for the fixture, and what it adds to pytest bears
the name of Pumice, but for the fixture itself: one of that name in a project or test file takes its place.

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
        folder: What relative baselines are relative to: the folder of the test.
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
        """Compare float with integers, and targets with one another, and return what was found.

        Args:
            build: A build, or its folder.
            baseline: Figures per layer that must not get worse; written if missing under
                `--pumice-update`.
            gates: Bounds by name, such as `accuracy_drop`, `spike_f1`.
            exact: Targets that must be equal bit for bit.
            samples: How many samples those run.
            stimulus: By default the build's own.

        Raises:
            FidelityError: A gate or a figure of the baseline is not met: names the layer.
            FaultyIntegersError: The integers are not those of the float graph.
            SimulationError: A target differs: names population, neuron, step.
        """
        try:
            check_packages(*PACKAGES)
        except ShadowedError as error:
            pytest.fail(str(error), pytrace=False)
        from toolchain.fidelity import check_baseline, check_gates, write_baseline  # noqa: PLC0415
        from toolchain.files.disk import check_file  # noqa: PLC0415
        from toolchain.workflow.compare import compare_build  # noqa: PLC0415
        from toolchain.workflow.load import load  # noqa: PLC0415 - loads torch

        loaded = load(build) if isinstance(build, Path | str) else build
        judgement = compare_build(loaded, stimulus, exact=exact, samples=samples)
        judgement.require_exact()
        check_gates(judgement.comparison, gates or {})
        if baseline is not None:
            path = self.folder / baseline
            if self.update:
                write_baseline(path, judgement.comparison)
            else:
                check_file("baseline", path)
                check_baseline(path, judgement.comparison)
        return judgement
