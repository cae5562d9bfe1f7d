"""The page that shows how a network came to fit."""

from dataclasses import replace
from pathlib import Path

from toolchain.pruning.fit import FitRecord, FitStep, FittedPart
from toolchain.pruning.fit.report import write_fit_report

_RECORD = FitRecord(
    budget="2 cores on <loihi1>",
    limit="cores",
    target="loihi1",
    allowed=2,
    amount=2.0,
    unit="cores",
    connections=(FittedPart("encode", 100, 20, 1.0), FittedPart("recur", 300, 20, 0.5)),
    layers=(FittedPart("hidden", 40, 30),),
    steps=(
        FitStep("all synapses", 40, 400, 5.0, fits=False),
        FitStep("too large", 40, 400, None, fits=False),
        FitStep("after the training", 30, 40, 2.0, fits=True, accuracy=91.5),
    ),
)


def test_the_page_shows_sizes_the_way_and_every_answer(tmp_path: Path) -> None:
    write_fit_report(tmp_path / "page.html", _RECORD)
    text = (tmp_path / "page.html").read_text()
    assert "2 cores on &lt;loihi1&gt;" in text
    assert "<b>40</b><span>synapses, was 400 (10.0 %)" in text
    assert "<b>30</b><span>neurons, was 40" in text
    assert "91.50\u00a0%" in text
    assert "more than a core" in text
    assert text.count("<svg") == 3
    assert "Bits and synapses" not in text


def test_the_page_shows_every_choice_of_bits(tmp_path: Path) -> None:
    tried = FitStep("after a short training", 30, 60, 2.0, fits=True, accuracy=90.0, weight_bits=4)
    write_fit_report(tmp_path / "page.html", replace(_RECORD, candidates=(tried,), weight_bits=4))
    text = (tmp_path / "page.html").read_text()
    assert "Bits and synapses" in text
    assert "4 bits" in text
    assert "weights of 4 bits" in text
