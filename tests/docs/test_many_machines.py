"""The commands of the page about clusters work as they stand there, with another port."""

import ast
import os
import re
import shlex
import shutil
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from toolchain.cli.main import main
from toolchain.workflow.build_folder import Build


def _page(repository: Path) -> str:
    return (repository / "docs" / "many-machines.md").read_text()


def _lines(page: str) -> list[str]:
    return [
        line for block in re.findall(r"```bash\n(.*?)```", page, re.DOTALL) for line in block.splitlines()
    ]


@contextmanager
def _running(command: list[str], root: Path, folder: Path) -> Iterator[None]:
    """Run `dask ...` until the block ends."""
    module = f"distributed.cli.dask_{command[1]}"
    process = subprocess.Popen(
        [sys.executable, "-m", module, *command[2:]],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        cwd=folder,
        start_new_session=True,
        env=os.environ | {"PYTHONPATH": str(root)},
    )
    try:
        yield
    finally:
        process.kill()
        process.wait()


@pytest.mark.slow
def test_the_commands_for_a_cluster_work(
    repository: Path, small_build: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        port = taken.getsockname()[1]
    lines = [line.replace("host:8786", f"127.0.0.1:{port}") for line in _lines(_page(repository))]
    scheduler, worker, *commands = (shlex.split(line) for line in lines)
    shutil.copytree(small_build, tmp_path / "build")
    monkeypatch.chdir(tmp_path)
    count = Build.load("build").stimulus_for(None).samples
    assert scheduler == ["dask", "scheduler"]
    own = [*scheduler, "--host", "127.0.0.1", "--port", str(port), "--dashboard-address", "127.0.0.1:0"]
    with _running(own, repository, tmp_path), _running(worker, repository, tmp_path):
        for command in commands:
            few = [word if word != "64" else str(min(2, count)) for word in command]
            assert main(few[1:]) == 0, command


def test_the_python_for_batch_systems_is_python(repository: Path) -> None:
    """The libraries are not installed here: only that it can be read is checked."""
    blocks = re.findall(r"```py\n(.*?)```", _page(repository), re.DOTALL)
    assert len(blocks) == 2
    for block in blocks:
        ast.parse(block)
