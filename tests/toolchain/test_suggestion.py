"""Which name was probably meant."""

import pytest

from toolchain.suggestion import nearest


@pytest.mark.parametrize(
    ("name", "known", "meant"),
    [
        ("emulatr", ("lava", "emulator"), "emulator"),
        ("SUBTRACT", ("zero", "subtract"), "subtract"),
        ("Lava", ("LAVA", "onnx"), "LAVA"),
        ("lava", ("Lava", "lava"), "Lava"),
        ("xyz", ("lava", "emulator"), None),
        ("lava", (), None),
    ],
)
def test_the_nearest_name_is_asked_for_in_letters_of_any_case(
    name: str, known: tuple[str, ...], meant: str | None
) -> None:
    assert nearest(name, known) == ("" if meant is None else f"did you mean '{meant}'?")
