"""Keys with dots, also where a file has them without quotes, which TOML reads as tables inside of tables."""

from collections.abc import Mapping
from typing import Any


def flat_keys(table: Mapping[str, Any], leaf: frozenset[str]) -> dict[str, Any]:
    """Return a table by dotted keys.

    Args:
        table: Values by key, or tables of them.
        leaf: Keys of which a table has one when it is itself a value.

    Raises:
        ValueError: A key stands there with quotes and without.
    """
    flat: dict[str, Any] = {}
    for key, given in table.items():
        inside = isinstance(given, Mapping) and given and not leaf & set(given)
        rows = (
            {f"{key}.{name}": each for name, each in flat_keys(given, leaf).items()}
            if inside
            else {key: given}
        )
        for name, each in rows.items():
            if name in flat:
                raise ValueError(f"names '{name}' twice, with quotes and without")
            flat[name] = each
    return flat
