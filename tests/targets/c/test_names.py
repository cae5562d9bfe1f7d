"""Whatever a stranger calls things, C gets identifiers and harmless comments."""

import re

from hypothesis import given
from hypothesis import strategies as st

from targets.c.names import comment, identifiers, prefix_of

_IDENTIFIER = re.compile(r"[a-z][a-z0-9_]*")
_NODES = st.lists(st.from_regex(r"\A[A-Za-z0-9_][A-Za-z0-9_.-]{0,60}\Z"), unique=True, max_size=8)


@given(st.text())
def test_any_name_of_a_network_gives_a_prefix_that_no_header_of_the_system_has(name: str) -> None:
    prefix = prefix_of(name)
    assert prefix == "network" or re.fullmatch(r"net_[a-z0-9][a-z0-9_]{0,23}", prefix)


@given(_NODES)
def test_nodes_get_identifiers_of_their_own_that_a_compiler_tells_apart(nodes: list[str]) -> None:
    given = identifiers(nodes)
    assert list(given) == nodes
    assert all(_IDENTIFIER.fullmatch(word) for word in given.values())
    # Before and after a word is added to each, in both cases of letters.
    assert len({f"{word}_v"[:63].upper() for word in given.values()}) == len(nodes)


@given(st.text())
def test_no_comment_ends_early_or_holds_what_c_reads_elsewhere(text: str) -> None:
    assert re.fullmatch(r"[A-Za-z0-9 _.,:()\[\]+-]{0,70}", comment(text))


def test_names_that_are_alike_are_numbered() -> None:
    assert list(identifiers(["a.b", "a-b", "A_B", "a_b2"]).values()) == ["a_b", "a_b2", "a_b3", "a_b22"]
    assert identifiers(["___", "9"]) == {"___": "node", "9": "n9"}
