"""The schema of a chip and its two built-in files."""

from pathlib import Path

import pytest

from targets.loihi.profile import BUILT_IN, EntryMemory, PoolMemory, load_profile
from toolchain.errors import MissingFileError, ProfileError


def _edited(tmp_path: Path, repository: Path, old: str, new: str, chip: str = "loihi1") -> Path:
    text = (repository / "targets" / "loihi" / f"{chip}.toml").read_text()
    assert old in text
    path = tmp_path / "mine.toml"
    path.write_text(text.replace(old, new, 1))
    return path


@pytest.mark.parametrize("name", BUILT_IN)
def test_every_limit_of_a_core_says_where_it_is_from(name: str) -> None:
    chip = load_profile(name)
    for part in (chip.mesh, chip.core, chip.memory):
        for key, item in part:
            if key != "layout" and item is not None:
                assert item.source
                assert item.confidence.value in {"H", "M", "L", "INF"}


def test_loihi_1_has_the_limits_of_nengo_loihi_and_nxtf() -> None:
    chip = load_profile("loihi1")
    assert isinstance(chip.memory, EntryMemory)
    assert (chip.core.neurons.value, chip.core.input_axons.value) == (1024, 4096)
    assert (chip.memory.output_axons.value, chip.memory.synaptic_words.value) == (4096, 16384)
    assert (chip.memory.decay_profiles.value, chip.memory.threshold_profiles.value) == (31, 7)


def test_what_is_not_public_of_loihi_2_is_marked_as_inference() -> None:
    chip = load_profile("loihi2")
    assert isinstance(chip.memory, PoolMemory)
    assert chip.memory.sparse_axon_words.confidence.value == "INF"
    (costs,) = chip.costs
    assert not costs.has_energies
    assert "inference" in costs.label


def test_codes_of_sources_are_spelled_out(tmp_path: Path, repository: Path) -> None:
    chip = load_profile("loihi2")
    printed = "fitted to figures that Intel's compiler printed"
    assert chip.core.neurons.fact().source == f"{printed}; the brief says 8192"
    assert chip.core.neurons.fact().confidence_in_words == "one primary source"
    path = _edited(tmp_path, repository, 'D18 = "Davies et al. 2018"', 'D19 = "somebody else"')
    assert load_profile(path).mesh.cores_per_chip.source == "D18, NxTF"


def test_a_file_of_ones_own_is_read(tmp_path: Path, repository: Path) -> None:
    path = _edited(tmp_path, repository, "neurons = { value = 1024", "neurons = { value = 77")
    assert load_profile(path).core.neurons.value == 77


@pytest.mark.parametrize(
    ("old", "new", "key", "reason"),
    [
        ("neurons = {", "neuronen = {", "core.neuron", "is "),
        ("neurons = { value = 1024", "neurons = { value = -3", "core.neurons.value", "at least 1, got -3"),
        ("neurons = { value = 1024", "neurons = { value = nan", "core.neurons.value", "whole number"),
        ('ments", source = "D18, NL, NRC"', 'ments", source = ""', "neurons.source", "at least"),
        ('confidence = "H"', 'confidence = "sure"', "confidence", "'H', 'M', 'L' or 'INF'"),
        ("per_chip = { value = 128", "per_chip = { value = 129", "mesh", "do not fit a mesh of 128"),
        ("columns = { value = 8", "columns = { value = 99999", "mesh", "larger than any chip"),
        ("delay_compartment_bits = { value = 13", "delay_compartment_bits = { value = 65", "bits", "most 64"),
        ("energy_spike =", "# energy_spike =", "costs.0", "energy_spike"),
        ("value = [1, 32]", "value = [32, 1]", "costs.0", "must rise"),
        ('layout = "entries"', 'layout = "pages"', "memory", "entries"),
        ('name = "loihi1"', "name =", "", "is not TOML"),
    ],
)  # fmt: skip
def test_a_missing_or_impossible_value_is_named(
    tmp_path: Path, repository: Path, old: str, new: str, key: str, reason: str
) -> None:
    with pytest.raises(ProfileError, match=reason) as caught:
        load_profile(_edited(tmp_path, repository, old, new))
    assert key in caught.value.key


def test_a_missing_value_says_what_is_expected(tmp_path: Path, repository: Path) -> None:
    path = _edited(tmp_path, repository, "input_axons =", "# input_axons =")
    with pytest.raises(ProfileError, match=r"'core.input_axons' is missing; expected \{ value"):
        load_profile(path)


def test_a_file_that_does_not_exist_or_is_no_text_is_named(tmp_path: Path) -> None:
    with pytest.raises(MissingFileError, match="chip profile"):
        load_profile(tmp_path / "none.toml")
    (tmp_path / "bytes.toml").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(ProfileError, match="is not TOML"):
        load_profile(tmp_path / "bytes.toml")
