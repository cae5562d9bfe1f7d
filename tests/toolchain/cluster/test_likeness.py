"""Workers that are unlike this machine are named before anything runs."""

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from toolchain.cluster import likeness
from toolchain.cluster.library import PACKAGES
from toolchain.cluster.likeness import check_files, check_shares, check_versions, check_worker, own_version
from toolchain.errors import ClusterError, MissingFileError

ADDRESS = "tcp://10.0.0.7:4000"


def _answer(**others: str | None) -> dict[str, Any]:
    python = others.pop("python", ".".join(map(str, sys.version_info[:3])))
    return {
        "host": {"python": f"{python}.final.0"},
        "packages": {name: own_version(name) for name in PACKAGES} | others,
    }


class FakeClient:
    """Workers that answer what a test says."""

    def __init__(self, workers: dict[str, Any], run: Callable[..., Any]) -> None:
        self.workers, self.answer = workers, run

    def get_versions(self, packages: list[str]) -> dict[str, Any]:
        assert packages == ["torch", "pumice"]
        return {"workers": self.workers}

    def run(self, function: Any, *arguments: Any, **options: Any) -> Any:
        del options
        return {address: self.answer(function, *arguments) for address in self.workers}


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(likeness, "_SEEN_S", 0.0)


def test_a_worker_with_the_same_versions_is_taken() -> None:
    check_worker(ADDRESS, _answer())
    check_versions(FakeClient({ADDRESS: _answer()}, lambda function: function()))


@pytest.mark.parametrize(
    ("others", "said"),
    [
        ({"python": "3.9.1"}, "runs Python 3.9, this machine"),
        ({"pumice": "0.0.9"}, "has pumice 0.0.9, this machine"),
        ({"pumice": None}, "has no pumice, this machine"),
        ({"torch": "1.0"}, "has torch 1.0, this machine"),
        ({"numpy": "1.0"}, "has numpy 1.0, this machine"),
        ({"distributed": "1.0"}, "has distributed 1.0, this machine"),
    ],
)
def test_a_worker_with_another_version_is_named_with_both(others: dict[str, Any], said: str) -> None:
    with pytest.raises(ClusterError, match=f"worker {ADDRESS} {said}"):
        check_worker(ADDRESS, _answer(**others))


def test_a_worker_with_other_lines_of_code_is_named() -> None:
    client = FakeClient({ADDRESS: _answer()}, lambda _: ("0123", "host:1"))
    with pytest.raises(ClusterError, match=rf"worker {ADDRESS} \(host:1\) has pumice .* other lines of code"):
        check_versions(client)


def test_a_worker_that_cannot_load_the_code_is_named() -> None:
    client = FakeClient({ADDRESS: _answer()}, lambda _: ModuleNotFoundError("no toolchain"))
    with pytest.raises(ClusterError, match=f"worker {ADDRESS} cannot load pumice: no toolchain"):
        check_versions(client)


def test_a_shared_folder_is_seen_and_left_as_it_was(tmp_path: Path) -> None:
    check_shares(FakeClient({ADDRESS: {}}, lambda function, *each: function(*each)), tmp_path)
    assert not list(tmp_path.iterdir())


def test_workers_that_do_not_see_a_folder_are_named(tmp_path: Path) -> None:
    client = FakeClient({f"tcp://10.0.0.{i}:1": {} for i in range(5)}, lambda *_: False)
    with pytest.raises(ClusterError, match=r"10\.0\.0\.2:1 and 2 more: what is written"):
        check_shares(client, tmp_path)
    assert not list(tmp_path.iterdir())


def test_a_folder_that_does_not_exist_is_said_before_workers_are_asked(tmp_path: Path) -> None:
    with pytest.raises(MissingFileError):
        check_shares(FakeClient({}, lambda *_: True), tmp_path / "none")


def test_a_file_that_is_another_on_a_worker_is_named(tmp_path: Path) -> None:
    file = tmp_path / "manifest.json"
    file.write_text("{}")
    client = FakeClient({ADDRESS: {}}, lambda function, path, size: function(path, size))
    check_files(client, [file])
    client.answer = lambda function, path, size: function(path, size + 1)
    with pytest.raises(ClusterError, match=r"manifest.json' is not the same file there"):
        check_files(client, [file])
