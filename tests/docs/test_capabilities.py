"""What the pages say of the targets is what the targets declare."""

from tests import capability_tables


def test_the_tables_of_targets_are_what_they_declare() -> None:
    for path, text in capability_tables.pages().items():
        assert path.read_text(encoding="utf-8") == text, f"{path.name}: python -m tests.capability_tables"
