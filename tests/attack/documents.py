"""`python -m tests.attack.documents [SHARE]`: every single mutation of every document of two small builds.

Each is loaded; what loads is shown, run, compared, checked and laid out for export. The share of mutations,
by default all, is drawn with a fixed seed.
"""

import sys
import tempfile
from functools import partial
from pathlib import Path

import numpy as np

from tests.attack.mutations import Outcomes, attack_content, drawn, mutations
from tests.attack.small_builds import Documents, save_images, save_recurrent, use

_NAMES = ("manifest.json", "quantization.json", "passes.json", "float/graph.json", "fixed/graph.json")


def attack_documents(folder: Path, share: float = 1.0) -> dict[str, Outcomes]:
    """Return what became of the mutations of a build's documents."""
    documents, found = Documents(folder), {}
    for name in _NAMES:
        content = (folder / name).read_bytes()
        chosen = drawn(content, round(share * sum(1 for _ in mutations(content))))
        found[name] = attack_content(chosen, partial(_use, documents, name))
    return found


def _use(documents: Documents, name: str, content: bytes) -> None:
    use(documents.with_document(name, content))


def main(arguments: list[str]) -> int:
    """Print the figures, and the first finding of each document; return 1 if there is any."""
    share, broken = float(arguments[0]) if arguments else 1.0, 0
    with tempfile.TemporaryDirectory() as folder:
        for save in (save_recurrent, save_images):
            build = save(Path(folder) / save.__name__, np.random.default_rng(5))
            for name, outcomes in attack_documents(build, share).items():
                sys.stdout.write(f"{save.__name__}, {name}: {outcomes}\n")
                broken += len(outcomes.broken)
                for told, text in outcomes.broken[:1]:
                    sys.stdout.write(f"{told}\n{text}\n")
    return int(broken > 0)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
