"""An install that nobody may write to, used by somebody without a home folder."""

import json
import os
import shutil
import stat
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.permissions import ordinary

pytestmark = pytest.mark.slow


@dataclass(frozen=True)
class Install:
    """A read-only copy of the packages, and a temporary folder that everybody may use."""

    packages: Path
    temporary: Path

    def python(self, *arguments: str, temporary: Path | None = None) -> subprocess.CompletedProcess[str]:
        """Run Python on the copy, without a home."""
        hidden = {"HOME", "XDG_CACHE_HOME", "NUMBA_CACHE_DIR"}
        environment = {name: value for name, value in os.environ.items() if name not in hidden}
        return subprocess.run(
            ordinary(sys.executable, *arguments),
            capture_output=True,
            text=True,
            check=False,
            cwd=self.packages,
            env=environment
            | {
                # Its parent is read-only, as is that of a user who was given none.
                "HOME": str(self.packages / "nobody"),
                "PYTHONPATH": str(self.packages),
                "PYTHONDONTWRITEBYTECODE": "1",
                "TMPDIR": str(temporary or self.temporary),
            },
        )


@pytest.fixture(scope="module")
def install(repository: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Install]:
    folder = tmp_path_factory.mktemp("read-only")
    packages, temporary = folder / "packages", folder / "temporary"
    temporary.mkdir()
    temporary.chmod(0o1777)
    for name in ("toolchain", "targets"):
        shutil.copytree(repository / name, packages / name, ignore=shutil.ignore_patterns("__pycache__"))
    folders = [packages, *(item for item in packages.rglob("*") if item.is_dir())]
    for item in folders:
        item.chmod(0o555)
    yield Install(packages, temporary)
    for item in folders:
        item.chmod(0o755)
    shutil.rmtree(folder)


_ROUND = (
    "from toolchain.execution import activity as s; print(s.__file__); "
    "print([getattr(s, n).stats.cache_path for n in dir(s) if hasattr(getattr(s, n), 'stats')][0])"
)


@pytest.fixture(scope="module")
def cache(install: Install) -> Path:
    """Where compiled code of the install is kept, which was used once."""
    done = install.python("-c", _ROUND)
    assert done.returncode == 0, done.stderr
    source, cache = done.stdout.split()
    assert source.startswith(str(install.packages))
    return Path(cache)


def test_every_command_explains_itself(install: Install) -> None:
    done = install.python("-m", "toolchain.cli", "--help")
    assert done.returncode == 0, done.stderr
    assert "compile" in done.stdout
    listed = install.python("-m", "toolchain.cli", "targets", "--json")
    assert listed.returncode == 0, listed.stderr
    assert '"problem": null' in listed.stdout


def test_help_loads_no_compiler_and_no_torch() -> None:
    code = (
        "import json, sys; from toolchain.cli.main import main; main(['compile', '--help']); "
        "print(json.dumps(sorted(sys.modules)), file=sys.stderr)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert not set(json.loads(done.stderr)) & {"numba", "torch", "lava", "matplotlib"}


def test_compiled_code_is_kept_in_a_folder_that_is_the_users_alone(install: Install, cache: Path) -> None:
    private = cache.parent
    assert private.parent == install.temporary
    assert stat.S_IMODE(private.stat().st_mode) == 0o700
    assert private.stat().st_uid == os.geteuid()


@pytest.mark.parametrize("trap", ["open to all", "a link", "of somebody else"])
def test_a_folder_that_somebody_else_could_have_filled_is_not_read(
    install: Install, cache: Path, tmp_path: Path, trap: str
) -> None:
    """What Numba keeps is code: whoever can write there runs what he likes as this user."""
    if trap == "of somebody else" and os.geteuid() != 0:
        pytest.skip("only root can make a folder of somebody else's")
    temporary = tmp_path
    temporary.chmod(0o1777)
    mine = temporary / cache.parent.name
    (temporary / "elsewhere").mkdir()
    if trap == "a link":
        mine.symlink_to(temporary / "elsewhere")
    else:
        mine.mkdir(mode=0o700)
    if trap == "of somebody else":
        os.chown(mine, 65534, 65534)
    if trap == "open to all":
        mine.chmod(0o777)
    done = install.python("-W", "default", "-c", _ROUND, temporary=temporary)
    assert done.returncode == 0, done.stderr
    assert done.stdout.split()[1] == "None"
    assert "every process compiles anew" in done.stderr
    assert not list(temporary.glob("*/*"))
