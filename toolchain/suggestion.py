"""The name that was probably meant."""

import difflib
from collections.abc import Sequence


def nearest(name: str, known: Sequence[str]) -> str:
    """Return a question for the name that is most like this one, in any case; nothing if none is."""
    spelled = {each.casefold(): each for each in reversed(known)}
    likely = difflib.get_close_matches(name.casefold(), spelled, n=1)
    return f"did you mean '{spelled[likely[0]]}'?" if likely else ""
