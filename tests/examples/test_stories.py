"""Stories of users with data of their own: one file, four commands, from a folder to Lava and back.

Those of users with a network of another framework are in `tests/frameworks`.
"""

from pathlib import Path

import pytest

from tests.data_files import WRITERS, write_weather
from toolchain.cli.main import main

_SOUND = """
pruning = false
[data]
name = "wav"
path = "data"
test_fraction = 0.25
[encoding]
steps = 20
bands = 16
[model]
neurons = 24
density = 0.3
[training]
epochs = 4
"""
_EVENTS = """
[data]
name = "events"
path = "data"
reader = "arrays"
sensor = [2, 34, 34]
test_fraction = 0.25
[encoding]
steps = 6
[model]
name = "vgg"
layers = [4, "pool", 6, "pool"]
[pruning]
sparsity = 0.4
[training]
epochs = 3
"""
_SERIES = """
pruning = false
[data]
name = "csv"
path = "{path}"
columns = ["temperature"]
gaps = "interpolate"
[task]
window = 6
horizon = 4
[model]
neurons = 24
input_density = 1.0
[training]
epochs = 4
"""


@pytest.mark.slow
@pytest.mark.parametrize(("name", "text"), [("wav", _SOUND), ("events", _EVENTS)])
def test_a_folder_of_ones_own_recordings(
    name: str, text: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("data").mkdir()
    WRITERS[name](Path("data"))
    Path("mine.toml").write_text(text)
    _to_lava(capsys)
    assert main(["predict", "build", "--input", "data", "-o", "classes.csv"]) == 0
    rows = Path("classes.csv").read_text().splitlines()
    assert rows[0].startswith("sample,source,class,name")
    assert len(rows) > len(list(Path("data").iterdir()))


@pytest.mark.slow
def test_a_table_that_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("data").mkdir()
    Path("mine.toml").write_text(_SERIES.format(path=write_weather(Path("data"))))
    printed = _to_lava(capsys)
    assert "last value" in printed
    assert main(["predict", "build", "-o", "values.csv"]) == 0
    assert "temperature" in Path("values.csv").read_text().splitlines()[0]


def _to_lava(capsys: pytest.CaptureFixture[str]) -> str:
    assert main(["train", "mine.toml", "-o", "run"]) == 0
    assert main(["compile", "run", "--target", "lava", "-o", "build"]) == 0
    assert main(["compare", "build", "--exact", "lava", "--samples", "2"]) == 0
    printed = capsys.readouterr().out
    assert "equal reference and emulator" in printed
    return printed
