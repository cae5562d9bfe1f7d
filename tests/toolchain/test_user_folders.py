"""Compiled code is kept where nobody else can put any."""

import os
from pathlib import Path

import pytest

from toolchain.user_folders import own_folder


def test_the_cache_of_the_user_comes_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    assert own_folder() == tmp_path / "cache" / "pumice"
    assert (tmp_path / "cache" / "pumice").stat().st_mode & 0o777 == 0o700


def test_a_folder_that_others_may_write_or_swap_is_not_used(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    folder = own_folder()
    assert folder is not None
    folder.chmod(0o777)
    assert own_folder() == tmp_path / f"pumice-{os.geteuid()}"
    (tmp_path / f"pumice-{os.geteuid()}").rmdir()
    (tmp_path / f"pumice-{os.geteuid()}").symlink_to(tmp_path / "elsewhere")
    assert own_folder() is None
