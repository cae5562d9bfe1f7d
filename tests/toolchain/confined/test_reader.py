"""The process that reads files of strangers: it has limits, and whatever it does, the next file is read."""

import errno
import json
import os
import time
from collections.abc import Iterator
from pathlib import Path

import h5py
import numpy as np
import pytest

from toolchain.confined import process, reader
from toolchain.confined.pipe import Pipe
from toolchain.confined.process import RefusedError
from toolchain.confined.reader import ConfinedReader, Format, read_hdf5
from toolchain.errors import CorruptArtifactError, UsageError


@pytest.fixture
def good(tmp_path: Path) -> Path:
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file["x"] = 1
    return tmp_path / "a.h5"


@pytest.fixture
def confined() -> Iterator[ConfinedReader]:
    with ConfinedReader() as started:
        yield started


def _says(document: object, rest: bytes = b"") -> str:
    text = json.dumps(document).encode()
    answer = len(text).to_bytes(8, "big") + text + rest
    return f"import sys, time; sys.stdout.buffer.write({answer!r}); sys.stdout.flush(); time.sleep(60)"


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ("import time; time.sleep(60)", "could not be read within 0.5 seconds: it is damaged"),
        ("import os; os._exit(3)", "ended the reading process"),
        ("print('more than eight bytes')", "confused the reading process"),
        (_says([]), "confused the reading process"),
        (_says({}), "confused the reading process"),
        (_says({"arrays": [["x", "|O", [1]]]}), "confused the reading process"),
        (_says({"arrays": [["x", "<f8", [-1]]]}), "confused the reading process"),
        (_says({"arrays": [["x", "<f8"]]}), "confused the reading process"),
        (_says({"arrays": [["x", "<f8", [2**60]]]}), "send more than was asked"),
        (_says({"arrays": [["x", "<f8", [2]]]}, b"12345678"), "could not be read within 0.5 seconds"),
    ],
)
def test_a_process_that_hangs_dies_or_lies_is_an_error_and_the_next_file_is_read(
    good: Path, confined: ConfinedReader, monkeypatch: pytest.MonkeyPatch, body: str, said: str
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(reader, "_START", body)
        patch.setattr(reader, "_GRACE", 0.5 if "within" in said else 20.0)
        patch.setattr(confined, "_seconds", 0)
        before = time.monotonic()
        with pytest.raises(CorruptArtifactError, match=said):
            read_hdf5(good, confined)
        assert time.monotonic() - before < 20
    assert int(read_hdf5(good, confined)["x"]) == 1


def test_any_file_name_will_do(good: Path, confined: ConfinedReader) -> None:
    for name in (b"tab\tand\nline.h5", b'quote".h5', b"no-utf-8-\xff.h5"):
        path = Path(os.fsdecode(os.path.join(os.fsencode(good.parent), name)))  # noqa: PTH118 - bytes
        path.write_bytes(good.read_bytes())
        assert int(read_hdf5(path, confined)["x"]) == 1


def test_arrays_of_every_kind_arrive_as_they_were(tmp_path: Path, confined: ConfinedReader) -> None:
    arrays = {
        "flag": np.array([[True, False]]),
        "none": np.zeros((0, 3), np.int16),
        "one": np.array([2.5], ">f4"),
        "half": np.arange(6, dtype=np.float16).reshape(2, 3)[:, ::2],
    }
    with h5py.File(tmp_path / "a.h5", "w") as file:
        for name, array in arrays.items():
            file[name] = array
        file["empty text"] = ""
    read = read_hdf5(tmp_path / "a.h5", confined)
    assert str(read.pop("empty text")) == ""
    assert read.keys() == arrays.keys()
    for name, array in arrays.items():
        assert (read[name].dtype, read[name].shape) == (array.dtype, array.shape)
        assert (read[name] == array).all()
        assert read[name].flags.writeable


def test_one_process_reads_many_files_and_ends_with_the_block(good: Path) -> None:
    with ConfinedReader() as started:
        read_hdf5(good, started)
        first = started._process
        read_hdf5(good, started)
        assert started._process is first
    assert first is not None
    assert first.poll() is not None
    assert not Path(f"/proc/{first.pid}").exists()


def test_an_interrupted_answer_is_not_taken_for_the_next_one(
    good: Path, confined: ConfinedReader, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(Pipe, "_document", interrupt)
        with pytest.raises(KeyboardInterrupt):
            read_hdf5(good, confined)
    assert int(read_hdf5(good, confined)["x"]) == 1


@pytest.mark.parametrize(
    ("code", "said"),
    [
        ("while True: pass", "ended the reading process"),
        ("bytearray(2**31)", "needs more memory than files of its size may"),
        (
            "import os; os.write(os.open('written', os.O_CREAT | os.O_RDWR), b'x')",
            "OSError: .*File too large",
        ),
    ],
)
def test_the_process_has_limits(
    good: Path, monkeypatch: pytest.MonkeyPatch, code: str, said: str, tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    body = (
        f"def read(*_):\n exec({code!r})\n"
        "import sys; sys.path.insert(0, sys.argv[1])\n"
        "from toolchain.confined import hdf5, process\n"
        "hdf5.read_hdf5 = read\n"
        "process.serve()"
    )
    monkeypatch.setattr(reader, "_START", body)
    with ConfinedReader(seconds=0, limit=2**20) as started, pytest.raises(CorruptArtifactError, match=said):
        read_hdf5(good, started)
    assert not (tmp_path / "written").exists() or (tmp_path / "written").stat().st_size == 0


def test_limits_of_the_user_are_kept(good: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    body = (
        "import resource as r, sys; sys.path.insert(0, sys.argv[1])\n"
        "from toolchain.confined import hdf5, process\n"
        "r.setrlimit(r.RLIMIT_AS, (2**28, 2**28)), r.setrlimit(r.RLIMIT_CPU, (9, 9))\n"
        "process.serve()"
    )
    monkeypatch.setattr(reader, "_START", body)
    with ConfinedReader() as started:
        assert int(read_hdf5(good, started)["x"]) == 1


def test_what_the_library_prints_does_not_disturb_the_answer(
    good: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    body = (
        "import sys; sys.path.insert(0, sys.argv[1])\n"
        "import numpy, os\n"
        "from toolchain.confined import hdf5, process\n"
        "hdf5.read_hdf5 = lambda *_: os.write(1, b'noise') and print('noise') or {'x': numpy.array(3)}\n"
        "process.serve()"
    )
    monkeypatch.setattr(reader, "_START", body)
    with ConfinedReader() as started:
        assert int(read_hdf5(good, started)["x"]) == 3


def test_the_process_imports_this_package_and_nothing_from_the_working_directory(
    good: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "toolchain").mkdir()
    (tmp_path / "toolchain" / "__init__.py").write_text("raise SystemExit(3)")
    (tmp_path / "h5py.py").write_text("raise SystemExit(3)")
    monkeypatch.chdir(tmp_path)
    assert int(read_hdf5(good)["x"]) == 1


def test_answers_say_what_is_wrong_in_one_line() -> None:
    def refuse(*_: object) -> dict[str, np.ndarray]:
        raise RefusedError("holds nothing")

    def fail(*_: object) -> dict[str, np.ndarray]:
        raise OSError("two\nlines")

    def full(*_: object) -> dict[str, np.ndarray]:
        return {"a": np.zeros(5, np.uint8), "b": np.zeros(6, np.uint8)}

    assert process.answer(refuse, "", 0, 10) == ({}, "holds nothing")
    assert process.answer(fail, "", 0, 10) == ({}, "is damaged or of another format (OSError: two lines)")
    assert process.answer(full, "", 0, 10) == ({}, "holds more than 10 bytes; more are not read")
    assert list(process.answer(full, "", 0, 11)[0]) == ["a", "b"]


def test_a_file_larger_than_what_may_be_read_is_refused_unread(good: Path) -> None:
    with ConfinedReader(limit=100) as started, pytest.raises(CorruptArtifactError, match="more than 100 are"):
        read_hdf5(good, started)
    assert started._process is None


def test_a_folder_or_a_pipe_is_not_opened(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    for path in (tmp_path, tmp_path / "pipe"):
        with pytest.raises(UsageError, match="expected a file"):
            read_hdf5(path)


def test_formats_are_those_that_the_process_knows() -> None:
    assert {item.value for item in Format} == set(process._MODULES)


def test_a_system_without_room_for_a_process_is_said(good: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object, **__: object) -> None:
        raise OSError(errno.EMFILE, "Too many open files")

    monkeypatch.setattr(reader.subprocess, "Popen", full)
    with pytest.raises(UsageError, match="cannot be started: Too many open files; end other programs"):
        read_hdf5(good)


@pytest.mark.filterwarnings("ignore:.*multi-threaded.*:DeprecationWarning")
def test_a_forked_process_leaves_the_process_of_its_parent_alone(
    good: Path, confined: ConfinedReader
) -> None:
    read_hdf5(good, confined)
    started = confined._process
    assert started is not None
    child = os.fork()
    if child == 0:  # pragma: no cover - not measured there
        confined.__exit__(None, None, None)
        os._exit(0)
    assert os.waitpid(child, 0)[1] == 0
    assert started.poll() is None
    assert int(read_hdf5(good, confined)["x"]) == 1
