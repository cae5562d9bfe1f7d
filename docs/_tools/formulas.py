"""Formulas as MathML, which browsers draw by themselves: no script and no network."""

import re
from typing import Final

from docutils.nodes import SkipNode, math, math_block
from docutils.utils.math.latex2mathml import tex2mathml
from sphinx.application import Sphinx
from sphinx.writers.html5 import HTML5Translator

_SIZES: Final = re.compile(r"\\[Bb]igg?[lr]?(?![a-zA-Z])")
"""Commands for larger brackets, which MathML chooses by itself."""


def _readable(formula: str) -> str:
    """Return a formula in the commands that docutils knows."""
    return _SIZES.sub("", formula).replace(r"\dots", r"\ldots")


def _inline(translator: HTML5Translator, node: math) -> None:
    translator.body.append(tex2mathml(_readable(node.astext()), as_block=False))
    raise SkipNode


def _block(translator: HTML5Translator, node: math_block) -> None:
    formula = tex2mathml(_readable(node.astext()), as_block=True)
    translator.body.append(f'<div class="math">{formula}</div>')
    raise SkipNode


def register(app: Sphinx) -> None:
    """Draw formulas as MathML."""
    app.add_html_math_renderer("mathml", (_inline, None), (_block, None))
