"""The figures of the documentation."""
from pathlib import Path
def draw(folder: Path) -> None:
    folder.mkdir(exist_ok=True)
