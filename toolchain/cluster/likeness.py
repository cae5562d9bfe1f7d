"""Whether the workers of a cluster are like this machine: versions, code, and the folders that they see."""

import secrets
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from importlib import metadata
from pathlib import Path
from typing import Any, Final

from toolchain.cluster.library import PACKAGES
from toolchain.cluster.work import code_fingerprint, here
from toolchain.errors import ClusterError, MissingFileError
from toolchain.files.disk import writing

_SEEN_S: Final = 5.0
"""A network's disk shows a new file with some delay."""
_NAMED: Final = 3


def check_versions(client: Any) -> None:  # noqa: ANN401 - a class of a library that need not be there
    """Raise if a worker would compute with other code than this process.

    Raises:
        ClusterError: Names workers and versions.
    """
    answers = client.get_versions(packages=["torch", "pumice"])
    for address, answer in sorted(answers["workers"].items()):
        check_worker(address, answer)
    codes: Mapping[str, Any] = client.run(_code_here, on_error="return")
    for address, code in sorted(codes.items()):
        if isinstance(code, BaseException):
            raise ClusterError(f"worker {address} cannot load pumice: {code}", _remedy("install it there"))
        if code[0] != code_fingerprint():
            raise ClusterError(
                f"worker {address} ({code[1]}) has pumice {own_version('pumice')} as this machine, but other "
                f"lines of code ({code[0]}, here {code_fingerprint()})",
                _remedy("install the same copy there"),
            )


def check_worker(address: str, answer: Mapping[str, Any]) -> None:
    """Raise if the versions that a worker tells are not those of this process."""
    python = ".".join(str(answer["host"]["python"]).split(".")[:2])
    own = f"{sys.version_info.major}.{sys.version_info.minor}"
    if python != own:
        raise ClusterError(
            f"worker {address} runs Python {python}, this machine {own}", _remedy("use the same there")
        )
    for package in ("pumice", *(each for each in PACKAGES if each != "pumice")):
        there, mine = answer["packages"].get(package), own_version(package)
        if there is None and mine is not None:
            raise ClusterError(
                f"worker {address} has no {package}, this machine {mine}", _remedy("install it there")
            )
        if there != mine:
            raise ClusterError(
                f"worker {address} has {package} {there}, this machine {mine or 'none'}",
                _remedy("install the same there"),
            )


def check_shares(client: Any, folder: Path) -> None:  # noqa: ANN401 - as above
    """Raise if a worker does not see what this process writes in a folder.

    Raises:
        MissingFileError: There is no such folder here.
        ClusterError: Names the workers that do not see it.
    """
    folder = folder.resolve()
    if not folder.is_dir():
        raise MissingFileError("folder", folder)
    token = secrets.token_hex(8)
    probe = folder / f".pumice-probe-{token}"
    try:
        with writing(probe):
            probe.write_text(token, encoding="ascii")
        answers: Mapping[str, bool] = client.run(_sees, str(probe), token)
    finally:
        with suppress(OSError):
            probe.unlink(missing_ok=True)
    _refuse_blind(answers, f"what is written to the folder '{folder}' is not seen there")


def check_files(client: Any, paths: Sequence[Path]) -> None:  # noqa: ANN401 - as above
    """Raise if a worker does not see files as they are here.

    Raises:
        ClusterError: Names the workers that do not see one.
    """
    for path in paths:
        size = path.stat().st_size
        answers: Mapping[str, bool] = client.run(_has_size, str(path), size)
        _refuse_blind(answers, f"'{path}' is not the same file there")


def own_version(package: str) -> str | None:
    """Return the version of a package here; None if it is not installed."""
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None


def _refuse_blind(answers: Mapping[str, bool], problem: str) -> None:
    """Raise if one of the workers does not see something."""
    blind = sorted(address for address, sees in answers.items() if not sees)
    if blind:
        more = len(blind) - len(blind[:_NAMED])
        raise ClusterError(
            f"{', '.join(blind[:_NAMED])}{f' and {more} more' * (more > 0)}: {problem}",
            "use a disk that all workers have under the same path",
        )


def _remedy(what: str) -> str:
    return f"{what}, and start the worker again"


def _code_here() -> tuple[str, str]:
    return code_fingerprint(), here()


def _has_size(path: str, size: int) -> bool:
    return _soon(lambda: Path(path).stat().st_size == size, Path(path).parent)


def _sees(probe: str, token: str) -> bool:
    return _soon(lambda: Path(probe).read_text(encoding="ascii") == token, Path(probe).parent)


def _soon(sees: Callable[[], bool], folder: Path) -> bool:
    deadline = time.monotonic() + _SEEN_S
    while True:
        with suppress(OSError):
            if sees():
                return True
        if time.monotonic() > deadline:
            return False
        time.sleep(0.1)
        with suppress(OSError):
            # Lets a disk of a network look again.
            next(folder.iterdir(), None)
