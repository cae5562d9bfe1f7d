"""Files of strangers, with names that a terminal would obey, given to every command that prints names."""

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

from tests.graphs import feed_forward
from tests.toolchain.test_visible import obeyed
from toolchain.cli.main import main
from toolchain.execution.stimulus import Stimulus
from toolchain.workflow.build_facts import BuildFacts, ImportFacts
from toolchain.workflow.compile import compile_graph

ESC = "\x1b[2J\u202e\x07[red]:bug:"
SHOWN = r"\x1b[2J\u202e\x07[red]:bug:"


@pytest.fixture
def say(capsys: pytest.CaptureFixture[str]) -> Callable[..., str]:
    """Runs the command and returns what it printed, which a terminal must not obey."""

    def run(*arguments: str | Path) -> str:
        main([str(argument) for argument in arguments])
        printed = "".join(capsys.readouterr())
        assert not obeyed(printed), arguments
        return printed

    return run


def test_a_key_of_an_experiment_is_shown(tmp_path: Path, say: Callable[..., str]) -> None:
    (tmp_path / "x.toml").write_text('"\\u001b[2J\\u202e\\u0007[red]:bug:" = 3\n')
    assert SHOWN in say("train", tmp_path / "x.toml", "-o", tmp_path / "run")
    assert SHOWN in say("--debug", "train", tmp_path / "x.toml", "-o", tmp_path / "run")


def test_an_operator_of_onnx_is_shown(tmp_path: Path, say: Callable[..., str]) -> None:
    ends = [helper.make_tensor_value_info(name, TensorProto.FLOAT, [1, 2]) for name in (f"a{ESC}", "b")]
    odd = helper.make_node(f"Odd{ESC}", [f"a{ESC}"], ["b"], name=ESC)
    onnx.save(helper.make_model(helper.make_graph([odd], "g", ends[:1], ends[1:])), tmp_path / "x.onnx")
    Stimulus.of(np.ones((1, 1, 2), np.float32)).save(tmp_path / "s.npz")
    printed = say("compile", tmp_path / "x.onnx", "-o", tmp_path / "b", "--example", tmp_path / "s.npz")
    assert SHOWN in printed


@pytest.fixture(scope="module")
def build(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A build that is sound, but for its texts. Tests copy it before they change it."""
    plain = feed_forward()
    output = replace(plain.nodes[-1], classes=(ESC, f"{ESC}2"))
    graph = replace(plain, name=ESC, nodes=(*plain.nodes[:-1], output))
    stimulus = Stimulus.of(np.random.default_rng(0).random((3, 5, 2)) < 0.5)
    made = compile_graph(graph, stimulus=stimulus, facts=BuildFacts(imported=ImportFacts(notes=(ESC,))))
    folder = tmp_path_factory.mktemp("hostile") / "build"
    made.save(folder)
    return folder


@pytest.mark.parametrize(
    "arguments",
    [("show",), ("show", "--stage", "float"), ("show", "--json"), ("show", "--why", ESC), ("compare",)],
    ids=" ".join,
)
def test_texts_of_a_build_are_shown(build: Path, say: Callable[..., str], arguments: tuple[str, ...]) -> None:
    command, *options = arguments
    printed = say(command, build, *options)
    if "--json" in arguments:
        assert ESC in json.loads(printed)["graph"]
    elif arguments != ("compare",):
        assert SHOWN in printed


def test_the_target_of_a_build_is_shown(build: Path, say: Callable[..., str], tmp_path: Path) -> None:
    changed = Path(shutil.copytree(build, tmp_path / "build"))
    manifest = json.loads((changed / "manifest.json").read_text())
    (changed / "manifest.json").write_text(json.dumps(manifest | {"target": ESC}))
    assert SHOWN in say("run", changed, "-o", tmp_path / "t.npz")
    assert SHOWN in say("check", changed)


def test_arguments_are_shown(build: Path, tmp_path: Path, say: Callable[..., str]) -> None:
    for arguments in (
        (ESC,),
        ("show", ESC),
        ("show", "b", f"--{ESC}"),
        ("show", "b", ESC),
        ("show", "b", "--stage", ESC),
        ("run", tmp_path, "-o", tmp_path / ESC / "t.npz"),
        ("compile", f"{ESC}.onnx", "-o", tmp_path / ESC),
        ("run", build, "-o", tmp_path / "t.npz", "--target", ESC),
        ("export", build, "-o", tmp_path / "e", "--format", ESC),
        ("compare", tmp_path, "--gate", f"{ESC}=3"),
    ):
        assert re.search(r"\\x1b\[2J", say(*arguments)), arguments


def test_a_path_that_is_no_unicode_is_shown(tmp_path: Path, say: Callable[..., str]) -> None:
    assert r"\udcff" in say("show", tmp_path / os.fsdecode(b"\xff"))


@pytest.mark.parametrize("encoding", ["utf-8", "ascii"])
def test_our_own_bugs_are_shown_like_that(tmp_path: Path, encoding: str) -> None:
    code = (
        "import sys, warnings; import toolchain.cli.main as m; name = '\\x1b[2J\\udcff層'\n"
        "def app(**_): warnings.warn(name); raise KeyError(1, name) from ValueError(name)\n"
        "m.app = app; m.entry()"
    )
    done = subprocess.run(
        [sys.executable, "-W", "default", "-c", code],
        env=os.environ | {"PYTHONIOENCODING": encoding},
        capture_output=True,
        check=False,
    )
    printed = done.stderr.decode(encoding)
    assert done.returncode == 1
    assert not obeyed(printed)
    assert r"ValueError: \x1b[2J\udcff" in printed
    assert r"warning: \x1b[2J\udcff" in printed
