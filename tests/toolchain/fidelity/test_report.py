"""The report in a real browser: its layout, its console, its interactive parts; and what stands in it."""

import base64
import json
import re
import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest
import torch

from tests.graphs import chain, dense, lif, recurrent, spikes
from tests.networks import images, small_preresnet
from tests.toolchain.pruning.pools import random_pool
from toolchain import ir
from toolchain.execution.stimulus import Stimulus
from toolchain.execution.trace import Trace
from toolchain.fidelity.decode import in_model_units
from toolchain.fidelity.diagram import path_diagram
from toolchain.fidelity.explorer import explorer_data
from toolchain.fidelity.report import write_report
from toolchain.fidelity.resources_page import write_resources
from toolchain.models import VggShape, build_vgg
from toolchain.pruning import ChannelPruning, LnpOptions, ScaOptions, Selection, prune_pool
from toolchain.pruning.channel_report import write_channel_report
from toolchain.pruning.report import write_pruning_report
from toolchain.training import FitOptions, fit
from toolchain.workflow.build_folder import Build
from toolchain.workflow.check import check_build
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
def pages(build: Build, tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """A chip's page, and those of both kinds of pruning."""
    folder = tmp_path_factory.mktemp("pages")
    paths = [folder / name for name in ("chip.html", "pool.html", "channels.html")]
    resources = check_build(build, "loihi1")
    write_resources(paths[0], resources.fit, resources.metrics)
    rng = np.random.default_rng(0)
    pool = random_pool(rng, 30, 0.3)
    result = prune_pool(pool, LnpOptions(20, 0.4, iterations=14), rng)
    write_pruning_report(paths[1], "Pool", pool, Selection(result.pool, result.indices), result.records)
    network = build_vgg(VggShape(plan=(6, 10), image=(1, 4, 4), classes=2), torch.Generator().manual_seed(0))
    pruning = ChannelPruning(network, ScaOptions(sparsity=0.5))
    x, y = rng.random((16, 1, 4, 4)).astype(np.float32), rng.integers(0, 2, 16)
    fit(network, x, y, FitOptions(3, 8, 0.01, device="cpu"), seed=0, callbacks=(pruning,))
    write_channel_report(paths[2], "Channels", network, pruning)
    return paths


@pytest.fixture(scope="module")
def browser() -> "Iterator[Browser]":
    installed = next((path for name in _BROWSERS if (path := shutil.which(name))), None)
    if installed is None:
        pytest.skip("no Chromium on this machine; install it to check the pages")
    from playwright.sync_api import sync_playwright  # noqa: PLC0415

    with sync_playwright() as driver:
        launched = driver.chromium.launch(executable_path=installed, args=_FLAGS)
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


_REACH = """() => {
  const width = document.documentElement.clientWidth, faults = [];
  const box = (each) => each.closest('.wide, pre');
  for (const each of document.body.querySelectorAll('*')) {
    if (each.getClientRects().length && !box(each) && each.getBoundingClientRect().right > width + 0.5)
      faults.push('wider than the screen: ' + each.outerHTML.slice(0, 80));
  }
  for (const table of document.querySelectorAll('table')) {
    if (!table.caption.textContent.trim()) faults.push('no caption: ' + table.textContent.slice(0, 80));
    for (const row of table.tBodies[0].rows) {
      const cell = row.cells[row.cells.length - 1];
      if (!cell.textContent.trim()) continue;
      cell.scrollIntoView({ block: 'center', inline: 'end' });
      const place = cell.getBoundingClientRect(), frame = table.closest('.wide').getBoundingClientRect();
      if (place.width === 0 || place.right > frame.right + 1.5 || place.left < frame.left - 1.5)
        faults.push('out of reach: ' + cell.textContent);
    }
  }
  return faults;
}"""
"""What is cut: elements that leave the screen outside a box that scrolls, and last cells nobody can reach."""


@pytest.mark.parametrize("width", [400, 800, 1200])
def test_the_page_fits_says_nothing_on_the_console_and_asks_nobody(
    width: int, browser: "Browser", page_file: Path
) -> None:
    said: list[str] = []
    page = _open(browser, page_file, width, said)
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    assert page.evaluate(_REACH) == []
    for text in ("The path", "What you should know", "Where the loss comes from", "Agreement per population"):
        assert page.get_by_role("heading", name=text).is_visible()
    assert page.locator("svg.path").is_visible()
    assert not page.locator(".still").is_visible()
    page.close()
    assert said == []


@pytest.mark.slow
@pytest.mark.parametrize("width", [400, 800, 1200])
def test_pages_of_chips_and_of_pruning_fit_too(width: int, browser: "Browser", pages: list[Path]) -> None:
    for path in pages:
        page = _open(browser, path, width, said := [])
        assert page.evaluate("document.documentElement.scrollWidth") <= width, path.name
        assert page.evaluate(_REACH) == [], path.name
        page.close()
        assert said == []


def test_every_figure_has_titles_on_its_axes(page_file: Path, pages: list[Path]) -> None:
    titles: set[str] = set()
    for path in (page_file, *pages[1:]):
        figures = re.findall(r"<figure>.*?</figure>", path.read_text(), re.DOTALL)
        assert figures
        for figure in figures:
            caption = re.search(r"<figcaption>(.+)</figcaption>", figure)
            assert caption
            # A row of channels has no second axis.
            axes = re.findall(r'<text style="font-size: 9px[^>]*>([^<]+)</text>', figure)
            assert len(axes) == (1 if re.search(r"\d of \d", caption[1]) else 2), figure[:200]
            titles.update(axes)
    assert {"time step", "potential, model units", "weight, model units", "epoch", "iteration"} <= titles


def test_the_axes_of_the_explorer_have_titles(browser: "Browser", page_file: Path) -> None:
    page = browser.new_page(viewport={"width": 400, "height": 800})
    page.add_init_script(
        "window.written = []; const fill = CanvasRenderingContext2D.prototype.fillText;"
        "CanvasRenderingContext2D.prototype.fillText = function (text, ...at) "
        "{ window.written.push(text); return fill.call(this, text, ...at); };"
    )
    page.goto(page_file.as_uri())
    written = page.evaluate("window.written")
    assert written.count("time step (of 1 ms)") == 2
    assert {"neuron", "potential (model units)"} <= set(written)
    page.close()


def test_a_core_of_the_map_says_what_is_on_it_when_it_is_tapped(
    browser: "Browser", pages: list[Path]
) -> None:
    page = _open(browser, pages[0], 400, said := [])
    page.locator(".core").first.click()
    text = page.locator(".core-note").inner_text()
    assert re.match(r"Core 0 at column 0, row 0 of chip 0: \d+ neurons of '\w+'", text), text
    page.locator(".core").last.focus()
    assert page.locator(".core-note").inner_text() != text
    page.close()
    assert said == []


def test_the_explorer_shows_another_population_sample_and_neuron(browser: "Browser", page_file: Path) -> None:
    said: list[str] = []
    page = _open(browser, page_file, 800, said)
    assert _pixels(page, "explorer-raster") > 1000
    assert _pixels(page, "explorer-trace") > 300
    rasters = {_image(page, "explorer-raster")}
    page.get_by_role("combobox", name="sample").select_option(label="sample 2")
    rasters.add(_image(page, "explorer-raster"))
    page.get_by_role("combobox", name="population").select_option(label="readout")
    rasters.add(_image(page, "explorer-raster"))
    assert len(rasters) == 3
    assert "0 spikes in float" in page.locator("#explorer-note").inner_text()
    page.get_by_role("combobox", name="population").select_option(label="hidden")
    traces = {_image(page, "explorer-trace")}
    neuron = page.get_by_role("combobox", name="potential of")
    neuron.select_option(index=5)
    traces.add(_image(page, "explorer-trace"))
    assert len(traces) == 2
    raster = page.locator("#explorer-raster")
    raster.press("ArrowDown")
    assert neuron.input_value() == "6"
    page.locator("#explorer-trace").click(position={"x": 300, "y": 50})
    assert re.search(r"Step \d+: float \S+, integers \S+\.", page.locator("#explorer-values").inner_text())
    page.set_viewport_size({"width": 500, "height": 800})
    assert page.evaluate("document.documentElement.scrollWidth") <= 500
    page.close()
    assert said == []


def test_every_row_of_the_raster_can_be_tapped(browser: "Browser", page_file: Path) -> None:
    page = _open(browser, page_file, 400, said := [])
    neuron = page.get_by_role("combobox", name="potential of")
    rows = neuron.locator("option").count()
    assert rows == 30
    height = page.locator("#explorer-raster").evaluate("each => each.clientHeight") - 44
    for row in range(rows):
        page.locator("#explorer-raster").click(position={"x": 200, "y": 8 + (row + 0.5) * height / rows})
        assert neuron.input_value() == str(row)
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
    options = page.locator("#explorer-neuron option").all_inner_texts()
    assert all(re.fullmatch(r"channel \d+, row \d+, column \d+", text) for text in options)
    assert len(options) == 128
    assert page.evaluate(_REACH) == []
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
    assert hidden["shape"] == [30]
    assert hidden["neurons"] == list(range(30))
    for i, trace in enumerate(judged.shown):
        assert sum(map(len, hidden["spikes"][i])) == trace.spikes["hidden"].sum()
        potentials = in_model_units(graphs[i], "hidden", trace.v["hidden"])
        for text, sample in zip(hidden["v"][i], potentials, strict=True):
            whole = np.frombuffer(base64.b64decode(text), "<u2").reshape(30, -1)
            unit = np.array(hidden["unit"])[:, None]
            decoded = np.array(hidden["low"])[:, None] + whole * unit
            assert (np.abs(decoded - sample.T) <= 0.51 * unit).all()


def test_of_a_long_run_the_explorer_holds_fewer_neurons_those_that_differ_first() -> None:
    rng = np.random.default_rng(0)
    graph = recurrent(rng, neurons=200)
    spikes = rng.random((2, 1, 512, 200)) < 0.1
    spikes[1] = spikes[0]
    spikes[1, 0, 5, 150] ^= True
    traces = [Trace(spikes={"hidden": each}, v={"hidden": each * 1.0}) for each in spikes]
    long = [Trace.of_keys({k: np.repeat(v, 8, 0) for k, v in each.by_key().items()}) for each in traces]
    for pair, rows in ((traces, 128), (long, 64)):
        samples = range(len(pair[0].spikes["hidden"]))
        (hidden,) = explorer_data((graph, graph), (pair[0], pair[1]), samples)["populations"]
        assert len(hidden["neurons"]) == len(hidden["low"]) == rows
        assert 150 in hidden["neurons"]


def test_the_diagram_names_every_connection_and_what_feeds_back(build: Build) -> None:
    drawn = str(path_diagram(build.fixed_graph))
    for node in build.fixed_graph.synapses:
        assert node.name in drawn
    assert "delay 1" in drawn
    assert drawn.count("<rect") == 4


def test_weights_that_are_all_but_one_number_are_drawn(tmp_path: Path) -> None:
    """Integers stand for them up to rounding errors, and no bin was as narrow as these."""
    nodes = dense("w", "x", np.full((2, 3), 0.3)), lif("p", ("w",), 2)
    graph = chain(*nodes, shape=(3,))
    stimulus = Stimulus.of(spikes(np.random.default_rng(0), 2, 4, 3))
    build = compile_graph(graph, stimulus=stimulus, calibration=stimulus)
    content = report_of(build, compare_build(build))
    stored = content.graphs[0]
    nearly = stored.map(
        lambda node: (
            replace(node, weights=np.full((2, 3), np.nextafter(0.3, 1)))
            if isinstance(node, ir.Dense)
            else node
        )
    )
    write_report(tmp_path / "report.html", replace(content, graphs=(stored, nearly)))
