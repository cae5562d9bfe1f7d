"""What a release carries says the same everywhere, and what it names is there."""

import re
import subprocess
import tomllib
from pathlib import Path

import toolchain


def test_the_version_of_the_citation_is_that_of_the_package(repository: Path) -> None:
    project = tomllib.loads((repository / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    citation = (repository / "CITATION.cff").read_text(encoding="utf-8")
    assert f"\nversion: {project['version']}\n" in citation
    assert toolchain.__version__ == project["version"]


def test_the_sources_of_a_release_hold_what_it_needs(repository: Path) -> None:
    project = tomllib.loads((repository / "pyproject.toml").read_text(encoding="utf-8"))
    included = project["tool"]["hatch"]["build"]["targets"]["sdist"]["include"]
    assert {"CITATION.cff", "SECURITY.md", "LICENSE", "CHANGELOG.md", "Makefile", "constraints.txt"} <= {
        *included
    }
    assert [name for name in included if not (repository / name).exists()] == []


def test_the_image_installs_the_version_of_lava_that_the_makefile_does(repository: Path) -> None:
    versions = {
        name: set(re.findall(r"lava-nc==([\d.]+)", (repository / name).read_text(encoding="utf-8")))
        for name in ("Dockerfile", "Makefile", "README.md")
    }
    assert len({frozenset(each) for each in versions.values()}) == 1
    assert all(len(each) == 1 for each in versions.values())


def test_the_workflow_runs_what_ci_runs(repository: Path) -> None:
    workflow = (repository / ".github" / "workflows" / "ci.yml").read_text(encoding="utf-8")
    assert "- run: .ci/run" in workflow
    packages = (repository / ".ci" / "run").read_text(encoding="utf-8")
    named = " ".join(re.findall(r'^packages="(?:\$packages )?([^"]*)"', packages, flags=re.MULTILINE)).split()
    assert named
    assert [name for name in named if name not in workflow.split()] == []


def test_no_code_repeats_the_version(repository: Path) -> None:
    version = tomllib.loads((repository / "pyproject.toml").read_text(encoding="utf-8"))["project"]["version"]
    files = _tracked(repository, "pumice", "toolchain", "targets", "Dockerfile", "scripts")
    assert [name for name in files if version in (repository / name).read_text(encoding="utf-8")] == []


def test_the_changelog_begins_with_what_is_new_and_what_breaks(repository: Path) -> None:
    version = tomllib.loads((repository / "pyproject.toml").read_text(encoding="utf-8"))["project"]["version"]
    newest = (repository / "CHANGELOG.md").read_text(encoding="utf-8").split("\n## ")[1]
    headings = re.findall(r"^### (.*)$", newest, re.MULTILINE)
    assert newest.startswith(f"{version}\n")
    assert headings[:2] == ["In short", "What breaks, and how to move on"]


def _tracked(repository: Path, *paths: str) -> list[str]:
    listed = subprocess.run(
        ["git", "ls-files", "--", *paths], cwd=repository, capture_output=True, text=True, check=True
    )
    return listed.stdout.splitlines()
