"""Documents of a build in which one thing was changed: they work, or a toolchain error says what is wrong.

Here some of the mutations; `tests/attack/documents.py` tries all of them.
"""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from tests.attack.mutations import attack, attack_content, drawn
from tests.attack.small_builds import Documents, save_images, save_recurrent, sealed, show
from toolchain.workflow.load import load

_TRIED = 100
_NAMES = ("manifest.json", "quantization.json", "passes.json", "float/graph.json", "fixed/graph.json")


@pytest.fixture(scope="module", params=[save_recurrent, save_images])
def folder(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    save: Callable[[Path, np.random.Generator], Path] = request.param
    return save(tmp_path_factory.mktemp("builds") / "b", np.random.default_rng(5))


@pytest.mark.parametrize("name", _NAMES)
def test_a_mutated_document_works_or_is_refused(name: str, folder: Path) -> None:
    documents = Documents(folder)
    chosen = drawn((folder / name).read_bytes(), _TRIED)
    found = attack_content(chosen, lambda content: show(documents.with_document(name, content)))
    assert not found.broken, found.broken[0]
    assert found.refused.total() > _TRIED / 2


@pytest.mark.parametrize("name", _NAMES)
def test_a_mutated_file_loads_or_is_refused(name: str, folder: Path) -> None:
    """The same through the folder, its seal renewed."""
    seal = sealed(folder, name)

    def read() -> None:
        seal()
        show(load(folder))

    manifest = (folder / "manifest.json").read_bytes()
    chosen = drawn((folder / name).read_bytes(), 6)
    found = attack(folder / name, chosen, read)
    (folder / "manifest.json").write_bytes(manifest)
    assert not found.broken, found.broken[0]
    load(folder)
