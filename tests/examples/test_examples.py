"""Every example runs; the experiment file shows the defaults."""

import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from toolchain.workflow.demo import demo_experiment
from toolchain.workflow.experiment import load_experiment, parse_experiment

pytestmark = pytest.mark.slow


def test_the_experiment_file_is_the_demo_and_shows_the_defaults_but_of_its_pruning(repository: Path) -> None:
    path = repository / "examples" / "digits.toml"
    demo = load_experiment(path)
    assert demo == demo_experiment()
    assert demo.model_copy(update={"pruning": parse_experiment({}).pruning}) == parse_experiment({})
    text = path.read_text()
    for name in ("reset_amount", "surrogate_slope"):
        text = text.replace(f"# {name}", name)
    shown = tomllib.loads(text)
    for section, values in demo.model_dump().items():
        if isinstance(values, dict) and values:
            # Keys of later versions are written only where they are not the default, and may be shown, too.
            assert set(values) <= set(shown[section]) <= set(type(getattr(demo, section)).model_fields), (
                section
            )


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (
            ["digits_hrsnn.py", "--epochs", "4", "--lava-images", "3"],
            "of 3 samples equal reference and emulator at every step",
        ),
        (
            ["digits_vgg_sca.py", "--epochs", "2", "--lava-images", "2"],
            "of 2 samples equal reference and emulator at every step",
        ),
        (
            ["lorenz63.py", "--neurons", "120", "--starts", "4", "--iterations", "2", "--lava-values", "4"],
            "open loop on Lava equals the emulator: True",
        ),
        (
            ["lnp_ablation.py", "--neurons", "100", "--iterations", "2", "--evaluations", "2"],
            "E: I, II, III, IV          43",
        ),
        (
            ["csv_forecast.py", "--epochs", "2", "--lava-windows", "2"],
            "of 2 samples equal reference and emulator at every step",
        ),
        (
            ["learning_without_gradients.py", "--neurons", "64", "--images", "100", "--lava-images", "2"],
            "of 2 samples equal reference and emulator at every step",
        ),
        (
            ["digits_firmware.py", "--epochs", "1", "--digits", "30", "--output", "{folder}"],
            "the firmware says of 30 digits what the emulator says",
        ),
        (
            ["nir_to_lava.py", "--lava-samples", "2"],
            "of 2 samples equal reference and emulator at every step",
        ),
    ],
)
def test_an_example_runs(arguments: list[str], expected: str, repository: Path, tmp_path: Path) -> None:
    script = repository / "examples" / arguments[0]
    arguments = [each.format(folder=tmp_path) for each in arguments]
    done = subprocess.run(
        [sys.executable, str(script), *arguments[1:]],
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr
    assert expected in done.stdout


def test_no_example_is_left_out(repository: Path) -> None:
    scripts = {path.name for path in (repository / "examples").glob("*.py")}
    assert scripts == {
        "csv_forecast.py",
        "digits_firmware.py",
        "digits_hrsnn.py",
        "digits_vgg_sca.py",
        "learning_without_gradients.py",
        "lorenz63.py",
        "lnp_ablation.py",
        "nir_to_lava.py",
    }
