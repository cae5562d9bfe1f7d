"""Reading HDF5: plain data comes out, everything else is an error, in bounded time."""

import os
from collections.abc import Callable
from pathlib import Path

import h5py
import numpy as np
import pytest

from toolchain.confined import hdf5
from toolchain.confined.process import RefusedError
from toolchain.confined.reader import ConfinedReader, read_hdf5
from toolchain.errors import CorruptArtifactError, MissingFileError


def test_numbers_and_texts_come_out_by_their_path(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file["node/weights"] = np.arange(6.0).reshape(2, 3)
        file.create_dataset("node/packed", data=np.zeros((100, 100)), compression="gzip", shuffle=True)
        file["node/steps"] = 7
        file.create_dataset("node/type", data="LIF", dtype=h5py.string_dtype())
        file.create_dataset("node/old", (1,), "S10", [b"dense"])
        file.create_dataset("edges", data=[["a", "b"], ["b", "c"]], dtype=h5py.string_dtype())
    arrays = read_hdf5(tmp_path / "a.h5")
    assert sorted(arrays) == ["edges", "node/old", "node/packed", "node/steps", "node/type", "node/weights"]
    assert np.array_equal(arrays["node/weights"], np.arange(6.0).reshape(2, 3))
    assert (arrays["node/packed"] == 0).all()
    assert (arrays["node/packed"].shape, int(arrays["node/steps"])) == ((100, 100), 7)
    assert (str(arrays["node/type"]), arrays["node/old"].tolist()) == ("LIF", ["dense"])
    assert arrays["edges"].tolist() == [["a", "b"], ["b", "c"]]


def _soft_link(file: h5py.File, folder: Path) -> None:
    file["there"] = h5py.SoftLink("/etc")


def _external_link(file: h5py.File, folder: Path) -> None:
    with h5py.File(folder / "other.h5", "w") as other:
        other["secret"] = 1
    file["there"] = h5py.ExternalLink(str(folder / "other.h5"), "/secret")


def _link_to_a_pipe(file: h5py.File, folder: Path) -> None:
    # Whoever opens it waits for ever.
    os.mkfifo(folder / "pipe")
    file["there"] = h5py.ExternalLink(str(folder / "pipe"), "/secret")


def _external_storage(file: h5py.File, folder: Path) -> None:
    (folder / "secret").write_bytes(b"12345678")
    file.create_dataset("there", (8,), "u1", external=[(str(folder / "secret"), 0, 8)])


def _virtual(file: h5py.File, folder: Path) -> None:
    with h5py.File(folder / "other.h5", "w") as other:
        other["secret"] = np.arange(4)
    layout = h5py.VirtualLayout((4,), "i8")
    layout[:] = h5py.VirtualSource(str(folder / "other.h5"), "secret", (4,))
    file.create_virtual_dataset("there", layout)


def _circle(file: h5py.File, folder: Path) -> None:
    group = file.create_group("there")
    group["again"] = group


def _bomb(file: h5py.File, folder: Path) -> None:
    file.create_dataset("there", (10**11,), "f8", chunks=(1000,), compression="gzip")


def _many(file: h5py.File, folder: Path) -> None:
    packed = file.create_dataset("there", (2**20,), "f8", chunks=(2**18,), compression="gzip")
    packed[:] = 0.0


def _deep(file: h5py.File, folder: Path) -> None:
    file.create_group("/".join(["g"] * 50))


def _other_things(file: h5py.File, folder: Path) -> None:
    file["there"] = np.zeros(3, dtype=[("a", "f8"), ("b", "i4")])


def _a_type(file: h5py.File, folder: Path) -> None:
    file["there"] = np.dtype("f8")


def _nothing(file: h5py.File, folder: Path) -> None:
    file["there"] = h5py.Empty("f8")


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (_soft_link, "is a link"),
        (_external_link, "is a link"),
        (_link_to_a_pipe, "is a link"),
        (_external_storage, "in another file"),
        (_virtual, "in another file"),
        (_circle, "twice"),
        (_bomb, "claims 800000000000 bytes"),
        (_deep, "nested"),
        (_other_things, "expected numbers or text"),
        (_a_type, "neither a group nor a data set"),
        (_nothing, "holds nothing"),
    ],
)
def test_what_is_not_plain_data_is_refused(
    tmp_path: Path, make: Callable[[h5py.File, Path], None], said: str
) -> None:
    with h5py.File(tmp_path / "bad.h5", "w") as file:
        make(file, tmp_path)
    with pytest.raises(CorruptArtifactError, match=said):
        read_hdf5(tmp_path / "bad.h5")


def test_all_data_sets_together_may_claim_so_much(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "large.h5", "w") as file:
        _many(file, tmp_path)
    with ConfinedReader(limit=2**20) as reader, pytest.raises(CorruptArtifactError, match="claims"):
        read_hdf5(tmp_path / "large.h5", reader)


def test_other_files_and_missing_ones_are_said_to_be_so(tmp_path: Path) -> None:
    (tmp_path / "text.h5").write_text("not what its name says")
    with pytest.raises(CorruptArtifactError, match="is not an HDF5 file"):
        read_hdf5(tmp_path / "text.h5")
    with pytest.raises(MissingFileError):
        read_hdf5(tmp_path / "none.h5")


def test_more_objects_than_can_be_looked_at_in_time_are_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with h5py.File(tmp_path / "a.h5", "w") as file:
        for i in range(20):
            file.create_group(f"g{i}")
    monkeypatch.setattr(hdf5, "MAX_OBJECTS", 19)
    with h5py.File(tmp_path / "a.h5") as file, pytest.raises(RefusedError, match="too many objects"):
        hdf5.Walk(2**20).group(file, "", 0)


def test_links_are_seen_whatever_their_names_are(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file["there"] = 1
        file["\u00e4"] = h5py.SoftLink("/there")
    with pytest.raises(CorruptArtifactError, match="'\u00e4' is a link"):
        read_hdf5(tmp_path / "a.h5")
    with h5py.File(tmp_path / "b.h5", "w") as file:
        file[b"\xff"] = 2
    with pytest.raises(CorruptArtifactError, match="whose name is no text"):
        read_hdf5(tmp_path / "b.h5")
