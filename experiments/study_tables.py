"""What the tables of studies share: intervals, paired comparisons, corrections for their number, pages."""

import textwrap
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Generic, TypeVar

import numpy as np
from scipy import stats

LEVEL = 0.05
WIDTH = 100
REPOSITORY = Path(__file__).parents[1]
STUDIES = REPOSITORY / "docs" / "studies"
FIRST_PAGE = REPOSITORY / "README.md"
_TOGETHER = "\0"
"""Stands for a space at which no line ends."""
Key = TypeVar("Key", bound=Hashable)


@dataclass(frozen=True)
class Comparison:
    """The paired difference of two arms over seeds: mean, half the 95 % t interval, two-sided p value."""

    mean: float
    half: float
    p: float

    @property
    def beyond_interval(self) -> bool:
        """Whether the difference is larger than its own interval, however many were tried."""
        return abs(self.mean) > self.half


@dataclass(frozen=True)
class Family(Generic[Key]):
    """All comparisons of a study that are judged together, and which of them survive the correction for that.

    Attributes:
        comparisons: By a key of the study's choice.
        holm: What survives Holm's correction: no difference in it is chance, at an error rate of 5 %.
        discovered: What survives Benjamini and Hochberg's: about one in twenty of it may be chance.
    """

    comparisons: Mapping[Key, Comparison]
    holm: frozenset[Key]
    discovered: frozenset[Key]

    @property
    def beyond_interval(self) -> int:
        """How many differences are larger than their own intervals."""
        return sum(each.beyond_interval for each in self.comparisons.values())

    def marked(self, key: Key, decimals: int = 1) -> str:
        """Return the difference for a table: bold if it survives Holm, italic if Benjamini-Hochberg only."""
        text = self._plain(key, decimals)
        if key in self.holm:
            return f"**{text}**"
        return f"*{text}*" if key in self.discovered else text

    def bold(self, key: Key, decimals: int = 1) -> str:
        """Return the difference for a table: bold if it survives Benjamini-Hochberg."""
        text = self._plain(key, decimals)
        return f"**{text}**" if key in self.discovered else text

    def in_sentence(self, key: Key, decimals: int = 1) -> str:
        """Return the difference for a sentence, with what it survives."""
        survived = "B-H" if key in self.discovered else "not shown"
        return f"{self._plain(key, decimals)} ({'Holm' if key in self.holm else survived})"

    def counted(self) -> str:
        """Return how many comparisons there are and how many survive what."""
        n = len(self.comparisons)
        return (
            f"{n} comparisons, of which {self.beyond_interval} exceed their own 95 % interval (chance alone "
            f"would give about {LEVEL * n:.0f}), {len(self.discovered)} survive Benjamini-Hochberg and "
            f"{len(self.holm)} survive Holm"
        )

    def _plain(self, key: Key, decimals: int) -> str:
        comparison = self.comparisons[key]
        return f"{comparison.mean:+.{decimals}f} ± {comparison.half:.{decimals}f}"


def interval(values: Sequence[float]) -> tuple[float, float]:
    """Return mean and half the 95 % interval (Student's t)."""
    n = len(values)
    half = float(stats.t.ppf(0.975, n - 1) * np.std(values, ddof=1) / np.sqrt(n)) if n > 1 else float("nan")
    return float(np.mean(values)), half


def with_interval(values: Sequence[float], decimals: int = 1, sign: str = "") -> str:
    """Return mean and half the 95 % interval; of one value itself. A sign may be asked for by `+`."""
    mean, half = interval(values)
    said = f"{mean:{sign},.{decimals}f}"
    return said if len(values) == 1 else f"{said} ± {half:,.{decimals}f}"


def signed_interval(values: Sequence[float]) -> str:
    """Return mean and half the 95 % interval of differences."""
    return "{:+.2f} ± {:.2f}".format(*interval(values))


def compare(first: Mapping[int, float], second: Mapping[int, float]) -> Comparison:
    """Return first minus second, paired by seed; both need the same seeds, at least two."""
    if first.keys() != second.keys() or len(first) < 2:
        raise ValueError(f"expected the same seeds, at least two, got {[*first]} and {[*second]}")
    paired = [first[seed] - second[seed] for seed in sorted(first)]
    mean, half = interval(paired)
    # Differences of real numbers that are equal but for their last digits have no spread to test with.
    if np.ptp(paired) <= 1e-9 * np.abs(paired).max(initial=0):
        return Comparison(mean, half, float(mean == 0))
    result: Any = stats.ttest_1samp(paired, 0)
    return Comparison(mean, half, float(result.pvalue))


def judged_together(comparisons: Mapping[Key, Comparison]) -> Family[Key]:
    """Return a family of comparisons with what survives at 5 %."""
    keys = list(comparisons)
    values = np.array([comparisons[key].p for key in keys])
    strict, loose = holm(values), stats.false_discovery_control(values)
    return Family(
        dict(comparisons),
        frozenset(key for key, p in zip(keys, strict, strict=True) if p <= LEVEL),
        frozenset(key for key, p in zip(keys, loose, strict=True) if p <= LEVEL),
    )


def holm(values: np.ndarray) -> np.ndarray:
    """Return p values corrected after Holm (1979).

    The smallest of `n` is multiplied by `n`, the next by `n - 1` and so on; none is below that of a smaller.
    """
    order = np.argsort(values, kind="stable")
    scaled = values[order] * np.arange(len(values), 0, -1)
    corrected = np.empty_like(values)
    corrected[order] = np.minimum(np.maximum.accumulate(scaled), 1.0)
    return corrected


def span(values: Sequence[float], decimals: int = 1) -> str:
    """Return the smallest and the largest value, or one if they look the same."""
    low, high = (f"{each:.{decimals}f}" for each in (min(values), max(values)))
    return low if low == high else f"{low} to {high}"


def rows_of(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Return a table of the page."""
    return "\n".join(f"| {' | '.join(cells)} |" for cells in (head, ["---"] * len(head), *rows))


def counted(n: int) -> str:
    """Return a number as it reads in a sentence."""
    return str(n) if n else "none"


def paragraph(text: str, indent: str = "") -> str:
    """Return a text of any layout as a paragraph of the page.

    A percent sign stays with its number: a line that begins with one is a comment of the page's format.
    """
    wrapped = textwrap.fill(
        " ".join(text.split()).replace(" %", f"{_TOGETHER}%"),
        WIDTH,
        subsequent_indent=indent,
        break_long_words=False,
        break_on_hyphens=False,
    )
    return wrapped.replace(_TOGETHER, " ")


def bullet(text: str) -> str:
    """Return the same as an item of a list."""
    return paragraph(f"- {text.strip()}", "  ")


def replaced(page: str, name: str, text: str) -> str:
    """Return a page with the text between its two marks of a name renewed."""
    begin, end = f"<!-- {name}: begin -->", f"<!-- {name}: end -->"
    before, rest = page.split(begin)
    _, after = rest.split(end)
    return f"{before}{begin}\n{text}\n{end}{after}"


def filled(path: Path, texts: Mapping[str, str]) -> dict[Path, str]:
    """Return a page by its path, with the text between each pair of marks renewed."""
    page = path.read_text(encoding="utf-8")
    for name, text in texts.items():
        page = replaced(page, name, text)
    return {path: page}


def write_pages(pages: Mapping[Path, str]) -> None:
    """Write pages by their paths."""
    for path, text in pages.items():
        path.write_text(text, encoding="utf-8")
