"""Names of a network as identifiers and comments of C: nothing else of a stranger's reaches a compiler.

An identifier that belongs to a node is the node's name in small letters, an underscore, and one word that
says what it is: `hidden_weights`. So it is no keyword, and two of them are equal only if the nodes are. What
belongs to the whole network begins with `net_`, or is called `network`; no header of a system is.
"""

import re
from collections.abc import Iterable
from typing import Final

NETWORK: Final = "network"
"""What a network is called that nobody gave a name."""
_PREFIX: Final = 24
"""Characters of the network's name that are kept. C99 promises to tell names apart by 31."""
_IDENTIFIER: Final = 40
"""The same for the names of nodes, which are seen in one file only; there it is 63."""
_OTHER: Final = re.compile(r"[^a-z0-9]+")
_UNSAFE: Final = re.compile(r"[^A-Za-z0-9 _.,:()\[\]+-]")
_COMMENT: Final = 70


def prefix_of(network: str) -> str:
    """Return how the names of a network begin.

    >>> prefix_of("network"), prefix_of("Digits 2"), prefix_of("stdint"), prefix_of("*/")
    ('network', 'net_digits_2', 'net_stdint', 'network')
    """
    word = _word(network)[:_PREFIX].strip("_")
    return NETWORK if word in {"", NETWORK} else f"net_{word}"


def identifiers(nodes: Iterable[str]) -> dict[str, str]:
    """Return an identifier for every node, no two of them equal.

    >>> identifiers(["int", "a.b", "a-b", "A_B", "7"])
    {'int': 'int', 'a.b': 'a_b', 'a-b': 'a_b2', 'A_B': 'a_b3', '7': 'n7'}
    """
    given: dict[str, str] = {}
    taken: set[str] = set()
    for node in nodes:
        word = _word(node)[:_IDENTIFIER].strip("_") or "node"
        # A name that begins with a digit is none in C.
        word = f"n{word}" if word[0].isdigit() else word
        choice, number = word, 1
        while choice in taken:
            number += 1
            choice = f"{word}{number}"
        taken.add(choice)
        given[node] = choice
    return given


def comment(text: str) -> str:
    """Return a text as it may stand in a comment: what could end it, or the line, becomes an underscore.

    >>> comment('layer "1" */ ??/')
    'layer _1_ __ ___'
    """
    return _UNSAFE.sub("_", text[:_COMMENT])


def _word(name: str) -> str:
    return _OTHER.sub("_", name.lower()).strip("_")
