"""What a release carries says the same everywhere, and what it names is there."""

import re
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
