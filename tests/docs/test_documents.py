"""What the documents say is so: links lead somewhere, commands and blocks of Python run, prose is wrapped."""

import re
import shlex
import shutil
import subprocess
import tomllib
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import nir
import numpy as np
import pytest

import pumice
from tests.small_run import TOML
from toolchain.cli.main import main
from toolchain.execution import reference
from toolchain.execution.stimulus import Stimulus
from toolchain.workflow.build_folder import Build
from toolchain.workflow.compile_file import import_file

_PAGES = (
    "docs/quickstart.md",
    "docs/your-model.md",
    "docs/your-data.md",
    "docs/integers.md",
    "docs/fidelity.md",
    "docs/pruning.md",
    "docs/sweeps.md",
    "docs/chips.md",
    "docs/frameworks.md",
    "docs/neurons.md",
    "docs/new-target.md",
    "docs/file-formats.md",
    "docs/many-machines.md",
)
"""Pages whose commands and blocks of Python are run, one after the other in one folder."""
_WIDTH = 100


def _documents(repository: Path) -> list[Path]:
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard", "*.md"],
        cwd=repository,
        capture_output=True,
        text=True,
        check=True,
    )
    return [repository / name for name in listed.stdout.splitlines() if (repository / name).is_file()]


def _blocks(page: Path, language: str) -> list[str]:
    """Return the fenced blocks of a language, those inside lists included, without their indentation."""
    blocks = re.findall(rf"^( *)```{language}\n(.*?)^\1```", page.read_text(), re.MULTILINE | re.DOTALL)
    return [re.sub(rf"^{indent}", "", text, flags=re.MULTILINE) for indent, text in blocks]


def _outside_of_fences(page: Path) -> Iterator[str]:
    fenced = False
    for line in page.read_text().splitlines():
        if line.lstrip().startswith("```"):
            fenced = not fenced
        elif not fenced:
            yield line


def _anchors(page: Path) -> set[str]:
    titles = [line.lstrip("#") for line in _outside_of_fences(page) if re.match(r"#+ ", line)]
    plain = [re.sub(r"[^\w\- ]", "", title.replace("`", "")).strip().lower() for title in titles]
    return {title.replace(" ", "-") for title in plain}


def test_every_link_leads_somewhere(repository: Path) -> None:
    for page in _documents(repository):
        if page.name == "CHANGELOG.md":
            continue
        for target in re.findall(r"\]\(([^)\s]+)\)", "\n".join(_outside_of_fences(page))):
            if target.startswith(("http://", "https://")):
                continue
            name, _, anchor = target.partition("#")
            place = page if not name else (page.parent / name).resolve()
            assert place.exists(), f"{page.relative_to(repository)}: {target}"
            if anchor:
                assert anchor in _anchors(place), f"{page.relative_to(repository)}: {target}"


def test_prose_is_wrapped(repository: Path) -> None:
    for page in _documents(repository):
        if page.name == "CHANGELOG.md":
            continue
        for line in _outside_of_fences(page):
            prose = not line.startswith("|") and "](http" not in line
            assert not prose or len(line) <= _WIDTH, f"{page.relative_to(repository)}: {line}"


def test_no_line_of_prose_is_taken_for_a_comment(repository: Path) -> None:
    """The site leaves out lines that begin with a percent sign."""
    for page in _documents(repository):
        for line in _outside_of_fences(page):
            assert not line.lstrip().startswith("%"), f"{page.relative_to(repository)}: {line}"


def test_every_page_stands_in_the_table_of_contents(repository: Path) -> None:
    docs = repository / "docs"
    pages = {path.relative_to(docs) for path in docs.rglob("*.md")}
    pages |= {path.relative_to(docs) for path in (docs / "tutorials").glob("*.py")}
    listed = set()
    for index in (docs / "index.md", docs / "studies" / "index.md"):
        for block in re.findall(r"```\{toctree\}\n(.*?)```", index.read_text(), re.DOTALL):
            names = [line for line in block.splitlines() if line and not line.startswith(":")]
            listed |= {(index.parent / name).relative_to(docs) for name in names}
    assert {path.with_suffix("") for path in pages} - {Path("index")} == listed


def test_the_map_of_the_code_is_the_import_contract(repository: Path) -> None:
    contracts = tomllib.loads((repository / "pyproject.toml").read_text())["tool"]["importlinter"][
        "contracts"
    ]
    (layers,) = (contract["layers"] for contract in contracts if contract["id"] == "layers")
    wings = re.findall(r"^\| `(\w+)` \|", (repository / "toolchain" / "README.md").read_text(), re.MULTILINE)
    assert wings == [name for layer in layers for name in layer.split(" | ")]


def test_the_modules_that_a_map_names_exist(repository: Path) -> None:
    maps = [*(repository / "toolchain").rglob("README.md"), repository / "targets" / "loihi" / "README.md"]
    for page in maps:
        for cell in re.findall(r"^\|([^|]+)\|", page.read_text(), re.MULTILINE):
            for name in re.findall(r"`([\w./]+)`", cell):
                places = (page.parent / name, page.parent / f"{name}.py")
                assert any(place.exists() for place in places), f"{page.relative_to(repository)}: {name}"


def test_the_first_page_tells_the_figure_of_the_table_of_boards(repository: Path) -> None:
    table = (repository / "targets" / "rtl" / "fpga" / "README.md").read_text()
    measured = re.search(
        r"^\| digits, pruned \| icebreaker \| 1 \| ([\d,]+) of ([\d,]+) \|", table, re.MULTILINE
    )
    first_page = " ".join((repository / "README.md").read_text().split())
    assert measured is not None
    assert f"takes {measured[1]} of the {measured[2]} look-up tables" in first_page


def test_the_make_targets_that_are_named_exist(repository: Path) -> None:
    makefile = (repository / "Makefile").read_text()
    for page in _documents(repository):
        if page.name == "CHANGELOG.md":
            continue
        for target in re.findall(r"`make ([a-z-]+)", page.read_text()):
            assert re.search(rf"^{target}:", makefile, re.MULTILINE), f"{page.name}: make {target}"


@pytest.fixture(scope="module")
def workplace(tmp_path_factory: pytest.TempPathFactory, small_run: Path, small_build: Path) -> Path:
    """A folder with all that the pages speak of: an experiment, its run, a build, samples, a NIR file."""
    folder = tmp_path_factory.mktemp("workplace")
    (folder / "examples").mkdir()
    (folder / "examples" / "digits.toml").write_text(TOML)
    (folder / "examples" / "sweeps").mkdir()
    (folder / "examples" / "sweeps" / "grid.toml").write_text(
        'experiment = "../digits.toml"\n[grid]\n"quantization.weight_bits" = [4, 8]'
    )
    shutil.copytree(small_run, folder / "run")
    shutil.copytree(small_build, folder / "build")
    pumice.run(Build.load(small_build), samples=2).save(folder / "trace.npz")
    shutil.copy(small_run / "calibration.npz", folder / "mine.npz")
    rng = np.random.default_rng(0)
    ones, three = np.ones(5), np.ones(3)
    chain: tuple[nir.NIRNode, ...] = (
        nir.Linear(rng.normal(size=(5, 6))),
        nir.LIF(1e-3 * ones, 10 * ones, 0 * ones, ones, 0 * ones),
        nir.Linear(rng.normal(size=(3, 5))),
        nir.LIF(1e-3 * three, 10 * three, 0 * three, three, 0 * three),
    )
    nodes: dict[str, nir.NIRNode] = {"input": nir.Input({"input": np.array([6])})}
    nodes |= {f"n{i}": node for i, node in enumerate(chain)}
    nodes["output"] = nir.Output({"output": np.array([3])})
    names = list(nodes)
    nir.write(folder / "net.nir", nir.NIRGraph(nodes, list(pairwise(names))))
    for name in ("samples.npz", "train.npz"):
        Stimulus({"input": rng.random((8, 10, 6)) < 0.4}, rng.integers(0, 3, 8)).save(folder / name)
    read = import_file(folder / "net.nir").graph
    reference.run(read, Stimulus.load(folder / "samples.npz")).save(folder / "outputs.npz")
    return folder


@pytest.mark.slow
@pytest.mark.parametrize("name", _PAGES)
@pytest.mark.filterwarnings("default")
def test_the_commands_and_the_python_of_a_page_work(
    name: str, workplace: Path, repository: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Of its own, because pages write files that others read.
    monkeypatch.chdir(shutil.copytree(workplace, tmp_path / "here"))
    for line in "".join(_blocks(repository / name, "sh")).splitlines():
        command = shlex.split(line, comments=True)
        if command[:1] == ["pumice"] and command[1] != "doctor":
            allowed = {0, 4} if "--gate" in command else {0}
            assert main(command[1:]) in allowed, line
    code = "\n".join(_blocks(repository / name, "python"))
    with np.errstate(all="warn"):
        exec(compile(code, name, "exec"), {})  # noqa: S102


def test_every_page_with_commands_is_run(repository: Path) -> None:
    with_code = {
        page.relative_to(repository).as_posix()
        for page in (repository / "docs").rglob("*.md")
        if _blocks(page, "sh") or _blocks(page, "python")
    }
    assert with_code == set(_PAGES)


def test_the_api_page_has_every_public_name(repository: Path) -> None:
    page = (repository / "docs" / "api.md").read_text()
    for name in set(pumice.__all__) - {"__version__"}:
        assert f":: pumice.{name}\n" in page or f": pumice.{name}\n" in page, name
