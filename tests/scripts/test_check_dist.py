"""What is published holds what it needs and nothing else. `make dist-check` installs it and runs it."""

import subprocess
import sys
from pathlib import Path
from zipfile import ZipFile

import pytest


@pytest.mark.slow
def test_the_wheel_holds_what_is_tracked_of_the_packages_and_nothing_else(
    repository: Path, tmp_path: Path
) -> None:
    command = ["pip", "wheel", "--quiet", "--no-deps", "--wheel-dir", str(tmp_path), str(repository)]
    subprocess.run([sys.executable, "-m", *command], check=True)
    listed = subprocess.run(
        ["git", "ls-files", "--", "pumice", "toolchain", "targets"],
        cwd=repository,
        capture_output=True,
        text=True,
        check=True,
    )
    tracked = set(listed.stdout.splitlines())
    (wheel,) = tmp_path.glob("pumice-*.whl")
    names = set(ZipFile(wheel).namelist())
    described = {name for name in names if ".dist-info/" in name}
    assert names - described == tracked
    assert {name.partition("/")[2] for name in described} == {
        "METADATA",
        "WHEEL",
        "RECORD",
        "entry_points.txt",
        "licenses/LICENSE",
    }
    assert {f"{package}/py.typed" for package in ("pumice", "toolchain", "targets")} <= names
    # What is read as data when a report, a program or a core is made.
    for folder, suffix in (("targets/c/templates", ".j2"), ("targets/rtl/verilog", ".v")):
        assert any(name.startswith(folder) and name.endswith(suffix) for name in names)
