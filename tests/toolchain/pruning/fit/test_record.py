"""Outcomes of pruning to fit in words."""

from dataclasses import replace

from toolchain.pruning.fit import FitRecord, FittedPart


def _record(after: int) -> FitRecord:
    return FitRecord(
        budget="2 cores on loihi1",
        limit="cores",
        target="loihi1",
        allowed=2,
        amount=2,
        unit="cores",
        connections=(FittedPart("recur", 1200, after),),
        layers=(),
        steps=(),
    )


def test_a_network_that_was_pruned_says_how_many_synapses_are_left() -> None:
    assert _record(300).sentence().endswith("takes 2 cores with 300 of 1,200 synapses")


def test_a_network_that_fits_as_it_is_says_that_nothing_had_to_leave() -> None:
    assert _record(1200).sentence().endswith("1,200 of 1,200 synapses, so that none had to leave")


def test_one_core_is_no_cores() -> None:
    assert "takes 1 core with" in replace(_record(300), amount=1).sentence()


def test_what_was_chosen_and_what_is_not_exact_is_said() -> None:
    record = replace(_record(300), threshold_profiles=6, decay_profiles=30, note="its code is that of 'cc'")
    assert record.sentence().endswith(
        "synapses, at most 6 thresholds and 30 pairs of decays a population (its code is that of 'cc')"
    )
