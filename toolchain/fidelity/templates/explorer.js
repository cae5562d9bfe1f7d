(function () {
  "use strict";
  const data = JSON.parse(document.getElementById("explorer-data").textContent);
  const root = document.getElementById("explorer");
  const find = (id) => document.getElementById(id);
  const population = find("explorer-population"), sample = find("explorer-sample"), neuron = find("explorer-neuron");
  const raster = find("explorer-raster"), trace = find("explorer-trace"), note = find("explorer-note"), values = find("explorer-values");
  const INK = "#1f2933", SOFT = "#52606d", BAND = "#e3f0f3", FLOAT = "#0b7285", FIXED = "#c2410c";
  const BOTTOM = 36, TOP = 8, RIGHT = 8, ROW = 4.5;
  const time = "time step (of " + data.dt_ms + " ms)";
  let at = null;

  const group = () => data.populations[Number(population.value)];
  const left = (chosen) => (chosen.shape.length === 3 ? 76 : 62);
  const x = (view, step) => view.left + ((step + 0.5) / data.steps) * (view.width - view.left - RIGHT);

  function place(chosen, row) {
    const index = chosen.neurons[row], shape = chosen.shape;
    if (shape.length !== 3) return [index];
    const size = shape[1] * shape[2];
    return [Math.floor(index / size), Math.floor((index % size) / shape[2]), index % shape[2]];
  }

  function called(chosen, row) {
    const where = place(chosen, row), index = chosen.neurons[row], element = chosen.elements[row];
    if (where.length === 3) return "channel " + where[0] + ", row " + where[1] + ", column " + where[2];
    return "neuron " + index + (element === index ? "" : " (element " + element + " of the module)");
  }

  function potentials(chosen, execution, index, row) {
    const bytes = Uint8Array.from(atob(chosen.v[execution][index]), (each) => each.charCodeAt(0));
    const view = new DataView(bytes.buffer);
    return Array.from({ length: data.steps }, (_, t) => chosen.low[row] + chosen.unit[row] * view.getUint16(2 * (row * data.steps + t), true));
  }

  function round(low, high) {
    const rough = (high - low) / 4 || 1, power = 10 ** Math.floor(Math.log10(rough));
    const step = [1, 2, 5, 10].find((each) => each * power >= rough) * power, first = Math.ceil(low / step);
    return Array.from({ length: Math.floor(high / step) - first + 1 }, (_, i) => Number(((first + i) * step).toPrecision(6)));
  }

  function options(select, labels) {
    select.replaceChildren(...labels.map((label, i) => new Option(label, String(i))));
  }

  function prepare(canvas, height, margin) {
    const ratio = window.devicePixelRatio || 1, width = canvas.parentElement.clientWidth;
    canvas.width = Math.round(width * ratio);
    canvas.height = Math.round(height * ratio);
    canvas.style.height = height + "px";
    const pen = canvas.getContext("2d");
    pen.setTransform(ratio, 0, 0, ratio, 0, 0);
    pen.clearRect(0, 0, width, height);
    pen.font = "12px system-ui, sans-serif";
    return { pen, width, height, left: margin };
  }

  function axes(view, ticks, title) {
    const { pen, width, height } = view;
    pen.strokeStyle = SOFT;
    pen.fillStyle = INK;
    pen.lineWidth = 1;
    pen.strokeRect(view.left, TOP, width - view.left - RIGHT, height - TOP - BOTTOM);
    pen.textAlign = "center";
    const every = Math.max(1, Math.ceil(data.steps / (width < 500 ? 6 : 10)));
    for (let t = 0; t < data.steps; t += every) pen.fillText(String(t), x(view, t), height - BOTTOM + 14);
    pen.fillText(time, (view.left + width - RIGHT) / 2, height - 5);
    pen.textAlign = "right";
    for (const [text, y] of ticks) pen.fillText(text, view.left - 5, y + 4);
    pen.save();
    pen.translate(12, TOP + (height - TOP - BOTTOM) / 2);
    pen.rotate(-Math.PI / 2);
    pen.textAlign = "center";
    pen.fillText(title, 0, 0);
    pen.restore();
  }

  function drawRaster(chosen, index, selected) {
    const rows = chosen.neurons.length;
    const view = prepare(raster, Math.max(140, rows * ROW + TOP + BOTTOM), left(chosen));
    const tall = (view.height - TOP - BOTTOM) / rows, y = (row) => TOP + (row + 0.5) * tall;
    if (selected >= 0) {
      view.pen.fillStyle = BAND;
      view.pen.fillRect(view.left, y(selected) - Math.max(3, tall / 2), view.width - view.left - RIGHT, Math.max(6, tall));
    }
    const every = Math.max(1, Math.ceil(rows / 12)), ticks = [];
    for (let row = 0; row < rows; row += every) ticks.push([place(chosen, row).join(", "), y(row)]);
    axes(view, ticks, chosen.shape.length === 3 ? "channel, row, column" : "neuron");
    const key = (message) => message.join(",");
    const both = chosen.spikes.map((execution) => new Set(execution[index].map(key)));
    const size = Math.max(1.5, Math.min(3.5, tall / 2));
    let missing = 0, added = 0;
    chosen.spikes.forEach((execution, which) => {
      for (const pair of execution[index]) {
        const shared = both[1 - which].has(key(pair));
        if (shared && which === 1) continue;
        if (!shared && which === 0) missing += 1;
        if (!shared && which === 1) added += 1;
        view.pen.fillStyle = shared ? INK : which === 0 ? FLOAT : FIXED;
        const half = shared ? size : size + 1.5;
        view.pen.fillRect(x(view, pair[0]) - half, y(pair[1]) - half, 2 * half, 2 * half);
      }
    });
    const several = both.some((execution) => [...execution].some((each) => each.split(",").length > 2));
    const word = several ? " messages of one or more spikes" : " spikes";
    const total = chosen.shape.reduce((a, b) => a * b, 1);
    const shown = rows < total ? rows + " of " + total + " neurons are shown, those that differ and the busiest. " : "";
    note.textContent = shown + both[0].size + word + " in float; the integers lack " + missing + " of them and add " + added + ".";
  }

  function drawTrace(chosen, index, row) {
    const view = prepare(trace, 220, left(chosen));
    if (!chosen.v[0].length) {
      axes(view, [], "potential");
      values.textContent = "No potentials were recorded.";
      return;
    }
    const lines = [0, 1].map((execution) => potentials(chosen, execution, index, row)), level = chosen.thresholds[row];
    const all = lines[0].concat(lines[1], level === null ? [] : [level], [0]);
    const low = Math.min(...all), high = Math.max(...all), span = high - low || 1;
    const y = (v) => TOP + (1 - (v - low + 0.05 * span) / (1.1 * span)) * (view.height - TOP - BOTTOM);
    axes(view, round(low, high).map((v) => [String(v), y(v)]), "potential (model units)");
    const draw = (points, colour, dash, thick) => {
      view.pen.strokeStyle = colour;
      view.pen.lineWidth = thick;
      view.pen.setLineDash(dash);
      view.pen.beginPath();
      points.forEach((v, t) => (t ? view.pen.lineTo(x(view, t), y(v)) : view.pen.moveTo(x(view, t), y(v))));
      view.pen.stroke();
      view.pen.setLineDash([]);
    };
    if (level !== null) draw(lines[0].map(() => level), INK, [2, 3], 1);
    draw(lines[0], FLOAT, [], 2);
    draw(lines[1], FIXED, [5, 4], 1.6);
    const name = called(chosen, row) + " of " + chosen.name;
    trace.setAttribute("aria-label", "Membrane potential over time: " + name);
    values.textContent = name + (level === null ? "; it has no threshold" : "; threshold " + level.toPrecision(4)) + ". ";
    if (at === null) return;
    view.pen.fillStyle = SOFT;
    view.pen.fillRect(x(view, at), TOP, 1, view.height - TOP - BOTTOM);
    values.textContent += "Step " + at + ": float " + lines[0][at].toPrecision(5) + ", integers " + lines[1][at].toPrecision(5) + ".";
  }

  function neurons() {
    const chosen = group(), counts = chosen.neurons.map(() => [0, 0]);
    options(neuron, counts.map((_, row) => called(chosen, row)));
    chosen.spikes.forEach((execution, which) => execution[Number(sample.value)].forEach((pair) => { counts[pair[1]][which] += 1; }));
    const interest = counts.map(([real, whole]) => 1000 * Math.abs(real - whole) + Math.min(real, data.steps / 2));
    neuron.value = String(interest.indexOf(Math.max(...interest)));
  }

  function draw() {
    drawRaster(group(), Number(sample.value), Number(neuron.value));
    drawTrace(group(), Number(sample.value), Number(neuron.value));
  }

  function select(row) {
    neuron.value = String(Math.max(0, Math.min(group().neurons.length - 1, row)));
    draw();
  }

  function tapped(canvas, event) {
    const box = canvas.getBoundingClientRect(), margin = left(group());
    const across = (event.clientX - box.left - margin) / (box.width - margin - RIGHT);
    at = Math.max(0, Math.min(data.steps - 1, Math.floor(across * data.steps)));
    return (event.clientY - box.top - TOP) / (box.height - TOP - BOTTOM);
  }

  function moved(event) {
    const way = { ArrowDown: [1, 0], ArrowUp: [-1, 0], ArrowRight: [0, 1], ArrowLeft: [0, -1] }[event.key];
    if (!way) return;
    event.preventDefault();
    if (way[1]) at = at === null ? 0 : Math.max(0, Math.min(data.steps - 1, at + way[1]));
    select(Number(neuron.value) + way[0]);
  }

  options(population, data.populations.map((each) => each.name));
  options(sample, data.samples.map((index) => "sample " + index));
  sample.value = String(data.start);
  neurons();
  root.hidden = false;
  population.addEventListener("change", () => { at = null; neurons(); draw(); });
  sample.addEventListener("change", draw);
  neuron.addEventListener("change", draw);
  raster.addEventListener("click", (event) => select(Math.floor(tapped(raster, event) * group().neurons.length)));
  trace.addEventListener("click", (event) => { tapped(trace, event); draw(); });
  raster.addEventListener("keydown", moved);
  trace.addEventListener("keydown", moved);
  window.addEventListener("resize", draw);
  draw();
})();
