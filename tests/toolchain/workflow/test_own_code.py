"""Which code builds a network: a run goes on with the same, and two files do not mix."""

import json
from pathlib import Path

import pytest

from tests.own_modules import CODE, own_document
from toolchain.errors import ToolchainError, UsageError
from toolchain.workflow.experiment import parse_experiment
from toolchain.workflow.own_network import OwnNetwork
from toolchain.workflow.prepare import load_data
from toolchain.workflow.train import train
from toolchain.workflow.untrained import untrained_network


@pytest.fixture
def code(tmp_path: Path) -> Path:
    path = tmp_path / "net.py"
    path.write_text(CODE)
    return path


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("last", [1, 2])
def test_a_run_goes_on_with_the_code_that_began_it_only(last: int, code: Path, tmp_path: Path) -> None:
    experiment = parse_experiment(own_document(code, "InLoop"))

    def stop(_: str, done: int, __: int) -> None:
        if done == last:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train(experiment, tmp_path / "run", stop)
    code.write_text(CODE.replace("dv=0.2", "dv=0.9"))
    with pytest.raises(UsageError, match="another version of the code under `model.module` began"):
        train(experiment, tmp_path / "run")
    code.write_text(CODE)
    train(experiment, tmp_path / "run")
    code.write_text(CODE + "\n")
    with pytest.raises(UsageError, match="choose another place, or take that version back"):
        train(experiment, tmp_path / "run")
    code.unlink()
    assert train(experiment, tmp_path / "run").history.network


@pytest.mark.parametrize("changed", ["parts/layers.py", "sizes.py"])
def test_a_run_goes_on_with_the_files_that_its_code_imports_only(changed: str, tmp_path: Path) -> None:
    (tmp_path / "parts").mkdir()
    (tmp_path / "parts" / "__init__.py").write_text("from .layers import neurons\n")
    (tmp_path / "parts" / "layers.py").write_text(
        "from toolchain.models import Spiking\nimport sizes\n"
        "def neurons():\n    return Spiking(vth=1.0, dv=0.2)\n"
    )
    (tmp_path / "sizes.py").write_text("HIDDEN = 9\n")
    (tmp_path / "unrelated.py").write_text("")
    own = CODE.replace("import torch\n", "import torch\nfrom parts import neurons\n", 1)
    (tmp_path / "net.py").write_text(own.replace("Spiking(vth=1.0, dv=0.2)", "neurons()"))
    experiment = parse_experiment(own_document(tmp_path / "net.py", "InLoop"))

    def stop(_: str, done: int, __: int) -> None:
        if done == 1:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train(experiment, tmp_path / "run", stop)
    began = json.loads((tmp_path / "run" / "code.json").read_text())
    assert sorted(began["files"]) == ["parts/__init__.py", "parts/layers.py", "sizes.py"]
    before = (tmp_path / changed).read_text()
    (tmp_path / changed).write_text(before + "\n")
    with pytest.raises(UsageError, match=f"another version of '{changed}', which the code under"):
        train(experiment, tmp_path / "run")
    (tmp_path / changed).write_text(before)
    assert train(experiment, tmp_path / "run").history.network


def test_neighbours_of_one_file_are_not_those_of_another(tmp_path: Path) -> None:
    for name, hidden in (("a", 7), ("b", 11)):
        (tmp_path / name).mkdir()
        (tmp_path / name / "sizes.py").write_text(f"HIDDEN = {hidden}\n")
        own = CODE.replace("hidden=12", "hidden=HIDDEN").replace(
            "import torch\n", "from sizes import HIDDEN\nimport torch\n", 1
        )
        (tmp_path / name / "net.py").write_text(own)
        experiment = parse_experiment(own_document(tmp_path / name / "net.py", "InLoop"))
        own_module = untrained_network(experiment, load_data(experiment))
        assert isinstance(own_module, OwnNetwork)
        assert own_module.module.get_parameter("inner.weight").shape[0] == hidden


@pytest.mark.parametrize("name", ["Detached", "nowhere"])
def test_a_module_that_cannot_be_trained_leaves_no_folder(name: str, code: Path, tmp_path: Path) -> None:
    with pytest.raises(ToolchainError):
        train(parse_experiment(own_document(code, name)), tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_code_that_failed_before_it_learnt_may_be_mended(code: Path, tmp_path: Path) -> None:
    document = own_document(code, "InLoop")
    good = code.read_text()
    code.write_text(
        good.replace("return torch.stack(spikes)", "assert len(x) < 20\n        return torch.stack(spikes)")
    )
    document["training"]["batch_size"] = 24
    experiment = parse_experiment(document)
    with pytest.raises(AssertionError):
        train(experiment, tmp_path / "run")
    code.write_text(good)
    assert train(experiment, tmp_path / "run").history.network
