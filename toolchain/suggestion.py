"""The name that was probably meant."""

import difflib
from collections.abc import Sequence


def nearest(name: str, known: Sequence[str]) -> str:
    """Return a question for the name that is most like this one; nothing if none is."""
    likely = difflib.get_close_matches(name, known, n=1)
    return f"did you mean '{likely[0]}'?" if likely else ""
