"""Recordings are fetched whole and checked, or not at all; here from a server on this machine."""

import hashlib
import importlib.util
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from importlib.machinery import SourceFileLoader
from pathlib import Path
from types import ModuleType
from typing import ClassVar

import pytest

from tests.real_data import real_data

_SCRIPT = Path(__file__).parents[2] / "scripts" / "fetch-recordings"


class _Handler(BaseHTTPRequestHandler):
    """Serves `pages`: bytes, or a pair of claimed length and bytes, or a status and a place to go to."""

    pages: ClassVar[dict[str, bytes | tuple[int, bytes] | str]] = {}
    asked: ClassVar[list[str]] = []

    def do_GET(self) -> None:
        self.asked.append(self.path)
        page = self.pages.get(self.path)
        if page is None:
            self.send_error(404)
            return
        if isinstance(page, str):
            self.send_response(302)
            self.send_header("Location", page)
            self.end_headers()
            return
        length, content = page if isinstance(page, tuple) else (len(page), page)
        self.send_response(200)
        self.send_header("Content-Length", str(length))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the name is the base class's
        """Say nothing."""


@pytest.fixture
def server() -> Iterator[str]:
    _Handler.pages, _Handler.asked = {"/a/one.txt": b"one\n", "/a/two.txt": b"two\n"}, []
    with ThreadingHTTPServer(("127.0.0.1", 0), _Handler) as running:
        thread = threading.Thread(target=running.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield f"http://127.0.0.1:{running.server_port}"
        running.shutdown()
        thread.join()


@pytest.fixture
def script() -> ModuleType:
    """The script as a module, with two small files for recordings."""
    module = _load()
    vars(module)["FILES"] = tuple(
        module.File(f"a/{name}.txt", 4, hashlib.sha256(f"{name}\n".encode()).hexdigest())
        for name in ("one", "two")
    )
    return module


def _load() -> ModuleType:
    loader = SourceFileLoader("fetch_recordings", str(_SCRIPT))
    spec = importlib.util.spec_from_loader("fetch_recordings", loader)
    assert spec is not None
    module = importlib.util.module_from_spec(spec)
    before, sys.dont_write_bytecode = sys.dont_write_bytecode, True
    try:
        loader.exec_module(module)
    finally:
        sys.dont_write_bytecode = before
    return module


def _held(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_files_are_fetched_and_the_way_to_the_tests_is_told(
    script: ModuleType, server: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "my data"
    assert script.main([str(folder), "--from", server]) == 0
    assert _held(folder / "loihi") == {"one.txt": b"one\n", "two.txt": b"two\n"}
    assert f"PUMICE_DATA='{folder}' make test" in capsys.readouterr().out


def test_what_is_there_is_not_fetched_again(script: ModuleType, server: str, tmp_path: Path) -> None:
    for _ in range(2):
        assert script.main([str(tmp_path), "--from", server]) == 0
    assert _Handler.asked == ["/a/one.txt", "/a/two.txt"]


def test_a_damaged_file_is_replaced(script: ModuleType, server: str, tmp_path: Path) -> None:
    (tmp_path / "loihi").mkdir()
    (tmp_path / "loihi" / "one.txt").write_bytes(b"ono\n")
    assert script.main([str(tmp_path), "--from", server]) == 0
    assert _held(tmp_path)["one.txt"] == b"one\n"


@pytest.mark.parametrize(
    ("page", "said"),
    [
        (b"twa\n", "is not the recording: its SHA-256 is "),
        (b"two and much more\n", "expected 4 bytes, got more than that"),
        ((10**12, b"two and much more\n"), "expected 4 bytes, got more than that"),
        ((4, b"tw"), "expected 4 bytes, got 2 before it ended"),
        (b"", "expected 4 bytes, got 0 before it ended"),
        (None, "answered 404"),
        ("http://example.invalid/two.txt", "http://example.invalid/two.txt is not https"),
        ("file:///etc/hostname", "'file:///etc/hostname' is not allowed"),
    ],
    ids=["hash", "too large", "claims too much", "cut off", "empty", "missing", "to http", "to a file"],
)  # fmt: skip
def test_what_is_not_the_recording_is_refused_and_the_rest_is_kept(
    page: bytes | tuple[int, bytes] | str | None,
    said: str,
    script: ModuleType,
    server: str,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    del _Handler.pages["/a/two.txt"]
    if page is not None:
        _Handler.pages["/a/two.txt"] = page
    assert script.main([str(tmp_path), "--from", server]) == 1
    told = capsys.readouterr().err
    assert said in told
    assert "start it again to go on" in told
    assert _held(tmp_path) == {"one.txt": b"one\n"}


def test_a_run_that_broke_goes_on_where_it_stopped(script: ModuleType, server: str, tmp_path: Path) -> None:
    whole = _Handler.pages["/a/two.txt"]
    _Handler.pages["/a/two.txt"] = (4, b"tw")
    assert script.main([str(tmp_path), "--from", server]) == 1
    _Handler.pages["/a/two.txt"] = whole
    assert script.main([str(tmp_path), "--from", server]) == 0
    assert _Handler.asked == ["/a/one.txt", "/a/two.txt", "/a/two.txt"]
    assert _held(tmp_path)["two.txt"] == b"two\n"


@pytest.mark.parametrize("stop", [KeyboardInterrupt(), OSError("No space left on device")])
def test_an_interrupted_write_leaves_nothing_behind(
    stop: BaseException,
    script: ModuleType,
    server: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    def fail(handle: int) -> None:
        raise stop

    monkeypatch.setattr(script.os, "fsync", fail)
    status = script.main([str(tmp_path), "--from", server])
    assert status == (130 if isinstance(stop, KeyboardInterrupt) else 1)
    assert "start it again to go on" in capsys.readouterr().err
    assert _held(tmp_path) == {}


@pytest.mark.parametrize("source", ["http://example.com", "ftp://example.com", "file:///tmp", "example.com"])
def test_only_https_is_asked(
    source: str, script: ModuleType, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert script.main([str(tmp_path), "--from", source]) == 1
    assert f"{source} is not https" in capsys.readouterr().err


def test_a_server_that_is_not_there_is_said(
    script: ModuleType, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert script.main([str(tmp_path), "--from", "http://127.0.0.1:1"]) == 1
    assert "could not be read: " in capsys.readouterr().err


def test_a_folder_that_cannot_be_made_is_said(
    script: ModuleType, server: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "file").touch()
    assert script.main([str(tmp_path / "file"), "--from", server]) == 1
    assert "Not a directory" in capsys.readouterr().err


def test_every_recording_is_asked_for_at_a_whole_commit_over_https() -> None:
    script = _load()
    assert script.SOURCE.startswith("https://")
    for file in script.FILES:
        commit = file.path.split("/")[2]
        assert len(commit) == 40
        assert int(commit, 16)
        assert len(file.sha256) == 64


def test_the_true_recordings_have_the_hashes_that_are_asked_for(server: str, tmp_path: Path) -> None:
    """All ten, as they lie beside the repository, through the command itself and then found by the tests."""
    folder = real_data("loihi")
    for file in _load().FILES:
        _Handler.pages[f"/{file.path}"] = (folder / file.name).read_bytes()
    command = [sys.executable, str(_SCRIPT), str(tmp_path), "--from", server]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert "all 10 recordings are in " in done.stdout
    assert set(_held(tmp_path)) == {path.name for path in folder.iterdir()}
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PUMICE_DATA", str(tmp_path))
        assert real_data("loihi", "spikeIn.txt").parent == tmp_path / "loihi"
