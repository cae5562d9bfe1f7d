"""Settings of the documentation: `make docs` builds it, without any network."""

import sys
from importlib.metadata import version as installed
from pathlib import Path

DOCS = Path(__file__).parent
sys.path.insert(0, str(DOCS.parent))
sys.path.insert(0, str(DOCS / "_tools"))

import docstrings  # noqa: E402 - the two folders above must be known
import figures  # noqa: E402
import formulas  # noqa: E402
import percent_scripts  # noqa: E402
from sphinx.application import Sphinx  # noqa: E402

project = "Pumice"
author = "The authors of Pumice"
version = release = installed("pumice")
extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.napoleon"]
exclude_patterns = ["_build", "_tools", "_figures", "_recording", "conf.py"]
root_doc = "index"

html_theme = "furo"
html_title = f"Pumice {release}"
html_static_path: list[str] = []
html_math_renderer = "mathml"

myst_enable_extensions = ["colon_fence", "dollarmath", "deflist"]
myst_heading_anchors = 3

nitpicky = True
# Types of other libraries are not described here, and no page is fetched to find out where they are.
nitpick_ignore_regex = [("py:.*", ".*")]
autodoc_typehints = "signature"
autodoc_typehints_format = "short"
autodoc_preserve_defaults = True
autodoc_member_order = "bysource"
autodoc_default_options = {"members": True, "undoc-members": False}
napoleon_use_ivar = True
napoleon_use_rtype = False
python_maximum_signature_line_length = 88
# What single backticks mean in the docstrings.
default_role = "code"


def setup(app: Sphinx) -> None:
    """Draw the figures, and teach Sphinx to read tutorials and docstrings."""
    figures.draw(DOCS / "_figures")
    percent_scripts.register(app)
    docstrings.register(app)
    formulas.register(app)
