"""Python scripts with cells, `# %%` and `# %% [markdown]`, as pages."""

import re

from docutils.nodes import document
from myst_parser.sphinx_ import Parser
from sphinx.application import Sphinx

_CELL = re.compile(r"^# %%(.*)$", re.MULTILINE)


def as_markdown(script: str) -> str:
    """Return text cells without their comment signs, and code cells as blocks of code."""
    _, *pieces = _CELL.split(script)
    page = []
    for kind, cell in zip(pieces[::2], pieces[1::2], strict=True):
        if kind.strip() == "[markdown]":
            page.append(re.sub(r"^# ?", "", cell.strip(), flags=re.MULTILINE))
        elif cell.strip():
            page.append(f"```python\n{cell.strip()}\n```")
    return "\n\n".join(page) + "\n"


class PercentParser(Parser):
    """Reads a script as the Markdown that its cells make."""

    supported = ("percent",)

    def parse(self, inputstring: str, document: document) -> None:
        """Parse the script into a document."""
        super().parse(as_markdown(inputstring), document)


def register(app: Sphinx) -> None:
    """Let files that end in `.py` be pages."""
    app.add_source_suffix(".py", "percent")
    app.add_source_parser(PercentParser)
