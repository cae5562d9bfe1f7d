"""A folder that is read beside writers is of one writing; no link is followed inside of it."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from toolchain.errors import CorruptArtifactError, MissingFileError, UsageError
from toolchain.files.opened import OpenedFolder, read_folder
from toolchain.files.swapping import replacing_folder

_WRITER = """
import sys
from pathlib import Path
from toolchain.files.swapping import replacing_folder
for i in range(60):
    with replacing_folder(Path(sys.argv[1]), marker="marker") as folder:
        (folder / "deep").mkdir()
        for name in ("marker", "a", "b", "deep/c"):
            (folder / name).write_text(f"{sys.argv[2]} {i}")
"""
_NAMES = ("marker", "a", "b", "deep/c")


def _contents(folder: OpenedFolder) -> set[bytes]:
    return {folder.read(name) for name in _NAMES}


def test_reads_beside_writers_never_miss_a_file_or_mix_two_writings(tmp_path: Path) -> None:
    folder = tmp_path / "folder"
    with replacing_folder(folder) as temporary:
        (temporary / "deep").mkdir()
        for name in _NAMES:
            (temporary / name).write_text("first")
    writers = [subprocess.Popen([sys.executable, "-c", _WRITER, str(folder), name]) for name in ("x", "y")]
    reads = 0
    while any(writer.poll() is None for writer in writers):
        assert len(read_folder("folder", folder, _contents)) == 1
        reads += 1
    assert [writer.returncode for writer in writers] == [0, 0]
    assert reads > 50


def test_what_really_misses_is_told_at_once(tmp_path: Path) -> None:
    times = []

    def read(folder: OpenedFolder) -> bytes:
        times.append(1)
        return folder.read("none", "file of the build")

    with pytest.raises(MissingFileError, match="file of the build"):
        read_folder("build", tmp_path, read)
    assert len(times) == 1
    with pytest.raises(MissingFileError, match="build"):
        read_folder("build", tmp_path / "none", read)


def test_a_folder_that_is_replaced_again_and_again_is_not_read_for_ever(tmp_path: Path) -> None:
    times = []

    def read(folder: OpenedFolder) -> bytes:
        times.append(1)
        folder.path.rename(tmp_path / str(len(times)))
        folder.path.mkdir()
        return folder.read("none")

    (tmp_path / "folder").mkdir()
    with pytest.raises(MissingFileError):
        read_folder("build", tmp_path / "folder", read)
    assert 10 < len(times) < 100


@pytest.mark.parametrize(
    "name",
    [
        "../secret",
        "deep/../../secret",
        "/etc/hostname",
        "",
        ".",
        "..",
        "deep",
        "a\0b",
        "\udcff\ud800",
        "none/x",
    ],
)
def test_a_name_reaches_no_file_outside_and_no_folder(name: str, tmp_path: Path) -> None:
    (tmp_path / "secret").touch()
    (tmp_path / "folder" / "deep").mkdir(parents=True)
    with pytest.raises((MissingFileError, UsageError)):
        read_folder("build", tmp_path / "folder", lambda folder: folder.read(name))


@pytest.mark.parametrize("target", ["../outside", "nowhere", "link", "real"])
@pytest.mark.parametrize("name", ["link", "link/file"])
def test_no_link_is_followed(target: str, name: str, tmp_path: Path) -> None:
    folder = tmp_path / "folder"
    for place in (tmp_path / "outside", folder / "real"):
        place.mkdir(parents=True)
        (place / "file").touch()
    (folder / "link").symlink_to(target)
    with pytest.raises(CorruptArtifactError, match=r"link' is a link, whose file can change"):
        read_folder("build", folder, lambda opened: opened.read(name))


def test_a_pipe_does_not_stop_whoever_reads_a_folder(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(UsageError, match="is a pipe or a device"):
        read_folder("build", tmp_path, lambda folder: folder.read("pipe"))


def test_a_folder_is_read_behind_the_link_that_its_user_names(tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder" / "file").write_text("content")
    (tmp_path / "link").symlink_to("folder")
    assert read_folder("build", tmp_path / "link", lambda folder: folder.read("file")) == b"content"
