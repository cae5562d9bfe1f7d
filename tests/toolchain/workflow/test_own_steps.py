"""Networks of the user's code through steps: still pictures, and states that are kept."""

from pathlib import Path

import pytest

from tests.own_modules import CODE, own_document
from toolchain.errors import ExperimentError
from toolchain.workflow.experiment import parse_experiment
from toolchain.workflow.prepare import load_data
from toolchain.workflow.train import train
from toolchain.workflow.untrained import untrained_network

_KEEPS = """

class Keeps(InLoop):
    def __init__(self, channels, classes):
        super().__init__(channels, classes)
        self.register_buffer("kept", torch.zeros(1))

    def forward(self, x):
        self.kept.zero_()
        self.kept = x.detach().mean().reshape(1)
        return super().forward(x)
"""
_ROWS = """

class Rows(nn.Module):
    def __init__(self, classes):
        super().__init__()
        self.inner, self.last = nn.Linear(64, classes), Spiking(vth=1.0, dv=0.2)

    def forward(self, x):
        return torch.stack([self.last(self.inner(x[:, t].flatten(1))) for t in range(x.shape[1])])
"""


@pytest.fixture
def code(tmp_path: Path) -> Path:
    path = tmp_path / "net.py"
    path.write_text(CODE)
    return path


def test_states_that_a_module_resets_in_place_stay_its_own(code: Path, tmp_path: Path) -> None:
    """Validation between the epochs leaves nothing behind that a later step cannot change."""
    code.write_text(CODE + _KEEPS)
    document = own_document(code, "Keeps")
    document["data"]["validation_fraction"] = 0.2
    assert len(train(parse_experiment(document), tmp_path / "run").history.network) == 2


def test_still_pictures_have_no_steps_that_come_first(code: Path) -> None:
    document = own_document(code, "Still", flat=False, time_first=True)
    document["data"] = {"name": "digits", "train_samples": 40, "test_samples": 20}
    document["encoding"] = {"name": "direct", "steps": 3}
    experiment = parse_experiment(document)
    with pytest.raises(ExperimentError, match="no meaning for still pictures: leave it out, or") as caught:
        untrained_network(experiment, load_data(experiment))
    assert caught.value.key == "model.time_first"


def test_a_module_that_goes_through_the_channels_of_still_pictures_is_told(code: Path) -> None:
    code.write_text(CODE + _ROWS)
    document = own_document(code, "Rows", flat=False)
    document["data"] = {"name": "digits", "train_samples": 40, "test_samples": 20}
    document["encoding"] = {"name": "direct", "steps": 3}
    experiment = parse_experiment(document)
    with pytest.raises(ExperimentError, match="still pictures .batch, C, H, W.: show them at") as caught:
        untrained_network(experiment, load_data(experiment))
    assert caught.value.key == "model.module"
