"""The report in a real browser: its layout, its console, its interactive parts; and what stands in it."""

import json
import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest

from tests.graphs import recurrent, spikes
from tests.networks import images, small_preresnet
from toolchain import ir
from toolchain.execution.stimulus import Stimulus
from toolchain.fidelity.diagram import path_diagram
from toolchain.fidelity.explorer import explorer_data
from toolchain.fidelity.report import write_report
from toolchain.workflow.build_folder import Build
from toolchain.workflow.compare import compare_build
from toolchain.workflow.compile import compile_graph, compile_module
from toolchain.workflow.judgement import report_of
from toolchain.workflow.quantization import Quantization

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

_BROWSERS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
_FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-component-update"]


@pytest.fixture(scope="module")
def build() -> Build:
    rng = np.random.default_rng(3)
    x = spikes(rng, 12, 25, 6)
    return compile_graph(
        recurrent(rng, neurons=30),
        stimulus=Stimulus({"x": x}, rng.integers(0, 3, 12)),
        calibration=Stimulus({"x": x}),
        quantization=Quantization(weight_bits=3),
    )


@pytest.fixture(scope="module")
def page_file(build: Build, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("report") / "report.html"
    write_report(path, report_of(build, compare_build(build, attribute=True)))
    return path


@pytest.fixture(scope="module")
def browser() -> "Iterator[Browser]":
    found = next((path for name in _BROWSERS if (path := shutil.which(name))), None)
    if found is None:
        pytest.skip("no Chromium on this machine; install it to check the pages")
    from playwright.sync_api import sync_playwright  # noqa: PLC0415

    with sync_playwright() as driver:
        launched = driver.chromium.launch(executable_path=found, args=_FLAGS)
        yield launched
        launched.close()


def _open(browser: "Browser", path: Path, width: int, said: list[str]) -> "Page":
    page = browser.new_page(viewport={"width": width, "height": 800})
    page.on("console", lambda message: said.append(message.text))
    page.on("pageerror", lambda error: said.append(str(error)))
    page.on("request", lambda request: None if request.url.startswith("file:") else said.append(request.url))
    page.goto(path.as_uri())
    return page


def _pixels(page: "Page", canvas: str) -> int:
    """How many pixels of a canvas are drawn on."""
    return page.evaluate(
        "id => { const c = document.getElementById(id);"
        " const d = c.getContext('2d').getImageData(0, 0, c.width, c.height).data;"
        " let n = 0; for (let i = 3; i < d.length; i += 4) n += d[i] > 0; return n; }",
        canvas,
    )


def _image(page: "Page", canvas: str) -> str:
    return page.evaluate("id => document.getElementById(id).toDataURL()", canvas)


@pytest.mark.parametrize("width", [360, 1200])
def test_the_page_fits_says_nothing_on_the_console_and_asks_nobody(
    width: int, browser: "Browser", page_file: Path
) -> None:
    said: list[str] = []
    page = _open(browser, page_file, width, said)
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    for text in ("The path", "What you should know", "Where the loss comes from", "Agreement per population"):
        assert page.get_by_role("heading", name=text).is_visible()
    assert page.locator("svg.path").is_visible()
    assert not page.locator(".still").is_visible()
    page.close()
    assert said == []


def test_the_explorer_shows_another_population_sample_and_neuron(browser: "Browser", page_file: Path) -> None:
    said: list[str] = []
    page = _open(browser, page_file, 800, said)
    assert _pixels(page, "explorer-raster") > 1000
    assert _pixels(page, "explorer-trace") > 300
    seen = {_image(page, "explorer-raster")}
    page.get_by_role("combobox", name="sample").select_option(label="sample 2")
    seen.add(_image(page, "explorer-raster"))
    page.get_by_role("combobox", name="population").select_option(label="readout")
    seen.add(_image(page, "explorer-raster"))
    assert len(seen) == 3
    assert "0 spikes in float" in page.locator("#explorer-note").inner_text()
    page.get_by_role("combobox", name="population").select_option(label="hidden")
    traces = {_image(page, "explorer-trace")}
    page.get_by_role("combobox", name="potential of").select_option(index=5)
    traces.add(_image(page, "explorer-trace"))
    chosen = page.locator("#explorer-neuron").input_value()
    page.locator("#explorer-raster").click(position={"x": 300, "y": 20})
    assert page.locator("#explorer-neuron").input_value() != chosen
    assert len(traces) == 2
    page.set_viewport_size({"width": 500, "height": 800})
    assert page.evaluate("document.documentElement.scrollWidth") <= 500
    page.close()
    assert said == []


def test_tables_are_sorted_by_a_click_and_by_the_keyboard(browser: "Browser", page_file: Path) -> None:
    page = _open(browser, page_file, 1000, said := [])
    table = page.locator("table.sortable").filter(has_text="RMS error").first
    head = table.get_by_role("button", name="synapses")
    head.click()
    column = [int(text.replace(",", "")) for text in table.locator("td:nth-child(2)").all_inner_texts()]
    assert column == sorted(column, reverse=True)
    head.press("Enter")
    column = [int(text.replace(",", "")) for text in table.locator("td:nth-child(2)").all_inner_texts()]
    assert column == sorted(column)
    page.close()
    assert said == []


def test_on_paper_the_still_figures_stand_in_for_the_explorer(browser: "Browser", page_file: Path) -> None:
    page = _open(browser, page_file, 800, said := [])
    page.emulate_media(media="print")
    assert page.locator(".still").is_visible()
    assert not page.locator("#explorer").is_visible()
    assert len(page.pdf()) > 10_000
    page.close()
    assert said == []


def test_a_network_of_images_with_skips_fits_too(browser: "Browser", tmp_path: Path) -> None:
    network = small_preresnet(0)
    build = compile_module(network, images(network, 3))
    write_report(tmp_path / "report.html", report_of(build, compare_build(build)))
    page = _open(browser, tmp_path / "report.html", 390, said := [])
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    page.get_by_role("combobox", name="population").select_option(label="final_spikes")
    assert "of 160 neurons" in page.locator("#explorer-note").inner_text()
    page.close()
    assert said == []


def test_names_from_strangers_are_text(build: Build, tmp_path: Path) -> None:
    """Class names and paths come from a model that somebody else wrote."""
    from dataclasses import replace  # noqa: PLC0415

    bad = "</script><script>alert(1)</script>"
    graphs = [
        graph.map(lambda n: replace(n, classes=(bad, "b", "c")) if isinstance(n, ir.Output) else n)
        for graph in (build.float_graph, build.fixed_graph)
    ]
    odd = replace(build, float_graph=graphs[0], fixed_graph=graphs[1])
    write_report(tmp_path / "report.html", report_of(odd, compare_build(odd)))
    assert bad not in (tmp_path / "report.html").read_text()


def test_the_page_is_whole_in_itself(page_file: Path) -> None:
    text = page_file.read_text()
    assert not re.search(r"(src|href)=[\"'](?!#)", text)
    assert "@import" not in text
    assert "url(http" not in text


def test_the_explorer_holds_both_executions_and_prefers_neurons_that_differ(build: Build) -> None:
    judged = compare_build(build)
    graphs = build.float_graph, build.fixed_graph
    data = json.loads(json.dumps(explorer_data(graphs, judged.shown, judged.shown_samples)))
    hidden = next(group for group in data["populations"] if group["name"] == "hidden")
    assert data["samples"] == list(judged.shown_samples)
    assert hidden["size"] == 30
    assert hidden["neurons"] == list(range(30))
    for i, trace in enumerate(judged.shown):
        assert sum(map(len, hidden["spikes"][i])) == trace.spikes["hidden"].sum()
        assert len(hidden["v"][i][0]) == len(hidden["traced"]) == 24
    different = np.flatnonzero(
        (judged.shown[0].spikes["hidden"] != judged.shown[1].spikes["hidden"]).any(axis=(0, 1))
    )
    traced = {hidden["neurons"][row] for row in hidden["traced"]}
    assert traced <= set(different.tolist()) or set(different.tolist()) <= traced


def test_the_diagram_names_every_connection_and_what_feeds_back(build: Build) -> None:
    drawn = str(path_diagram(build.fixed_graph))
    for node in build.fixed_graph.synapses:
        assert node.name in drawn
    assert "1 late" in drawn
    assert drawn.count("<rect") == 4
