"""SIGKILL at random moments of every verb: outputs are whole, absent or go on; the next call cleans up."""

import os
import random
import signal
from collections import Counter
from collections.abc import Iterator
from contextlib import suppress

from tests.attack.verbs import VERBS, Caller, Verb, breaches, clear, whole

_SECONDS = 300.0


def killed(caller: Caller, moments: int, chosen: str = "") -> Iterator[tuple[str, Counter[str], list[str]]]:
    """Yield every verb, how its calls ended, and what was wrong."""
    for verb in VERBS:
        if chosen in verb.name:
            yield verb.name, *_kill(caller, verb, moments)


def _kill(caller: Caller, verb: Verb, moments: int) -> tuple[Counter[str], list[str]]:
    chance = random.Random(verb.name)  # noqa: S311 - any moments will do
    counts: Counter[str] = Counter()
    found: list[str] = []
    call = caller.start(verb, caller.place())
    call.wait(_SECONDS)
    seconds = call.seconds()
    found += breaches(call, verb)
    clear(call)
    for _ in range(moments):
        place = caller.place()
        call = caller.start(verb, place)
        if not call.wait(chance.uniform(0, seconds)):
            with suppress(ProcessLookupError):
                os.kill(call.process, signal.SIGKILL)
            call.wait(10)
        counts["killed" if call.code == -signal.SIGKILL else "ended before"] += 1
        if left := call.others(15):
            found.append(f"{len(left)} processes live on")
        if call.output.exists() and not verb.goes_on and verb.check is not None:
            found += whole(call.output, verb.check)
        again = caller.start(verb, place)
        again.shared -= call.new_shared()
        again.wait(_SECONDS)
        if again.code:
            found.append(f"the next call: exit code {again.code}: {again.said('stderr').strip()[-200:]}")
        found += [f"after the next call: {each}" for each in breaches(again, verb)]
        clear(again)
    return counts, found
