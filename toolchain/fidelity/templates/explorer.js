(function () {
  "use strict";
  const data = JSON.parse(document.getElementById("explorer-data").textContent);
  const root = document.getElementById("explorer");
  const find = (id) => document.getElementById(id);
  const population = find("explorer-population"), sample = find("explorer-sample"), neuron = find("explorer-neuron");
  const raster = find("explorer-raster"), trace = find("explorer-trace"), note = find("explorer-note");
  const INK = "#1f2933", SOFT = "#9fb3c8", FLOAT = "#0b7285", FIXED = "#d9480f";
  const LEFT = 46, BOTTOM = 26, TOP = 8, RIGHT = 8;

  function options(select, labels) {
    select.replaceChildren(...labels.map((label, i) => new Option(label, String(i))));
  }

  function prepare(canvas, height) {
    const ratio = window.devicePixelRatio || 1, width = canvas.parentElement.clientWidth;
    canvas.width = Math.round(width * ratio);
    canvas.height = Math.round(height * ratio);
    canvas.style.height = height + "px";
    const pen = canvas.getContext("2d");
    pen.setTransform(ratio, 0, 0, ratio, 0, 0);
    pen.clearRect(0, 0, width, height);
    pen.font = "11px system-ui, sans-serif";
    return { pen, width, height };
  }

  function axes(view, rows, label) {
    const { pen, width, height } = view;
    pen.strokeStyle = SOFT;
    pen.fillStyle = INK;
    pen.lineWidth = 1;
    pen.strokeRect(LEFT, TOP, width - LEFT - RIGHT, height - TOP - BOTTOM);
    pen.textAlign = "center";
    const every = Math.max(1, Math.ceil(data.steps / 8));
    for (let t = 0; t < data.steps; t += every) pen.fillText(String(t), x(view, t), height - 10);
    pen.textAlign = "right";
    for (const [text, at] of rows) pen.fillText(text, LEFT - 5, at + 4);
    pen.textAlign = "left";
    pen.fillText(label, LEFT + 4, TOP + 12);
  }

  const x = (view, step) => LEFT + ((step + 0.5) / data.steps) * (view.width - LEFT - RIGHT);

  function drawRaster(group, index) {
    const rows = group.neurons.length, view = prepare(raster, Math.max(120, Math.min(420, rows * 5 + TOP + BOTTOM)));
    const y = (row) => TOP + ((row + 0.5) / rows) * (view.height - TOP - BOTTOM);
    const every = Math.max(1, Math.ceil(rows / 8)), labels = [];
    for (let row = 0; row < rows; row += every) labels.push([String(group.neurons[row]), y(row)]);
    axes(view, labels, "");
    const key = (pair) => pair[0] + "," + pair[1];
    const both = group.spikes.map((execution) => new Set(execution[index].map(key)));
    const size = Math.max(1.5, Math.min(3.5, (view.height - TOP - BOTTOM) / rows / 2));
    let missing = 0, added = 0;
    group.spikes.forEach((execution, which) => {
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
    const shown = rows < group.size ? rows + " of " + group.size + " neurons; " : "";
    note.textContent = shown + both[0].size + " spikes in float, " + missing + " of them missing in integers, " + added + " added.";
  }

  function drawTrace(group, index, slot) {
    const view = prepare(trace, 190), row = group.traced[slot];
    if (row === undefined) {
      axes(view, [], "no potentials were recorded");
      return;
    }
    const lines = [group.v[0][index][slot], group.v[1][index][slot]], level = group.thresholds[row];
    const values = lines[0].concat(lines[1], level === null ? [] : [level], [0]);
    const low = Math.min(...values), high = Math.max(...values), span = high - low || 1;
    const y = (v) => TOP + (1 - (v - low + 0.05 * span) / (1.1 * span)) * (view.height - TOP - BOTTOM);
    axes(view, [[high.toPrecision(3), y(high)], [low.toPrecision(3), y(low)]], "");
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
  }

  function neurons() {
    const group = data.populations[Number(population.value)];
    options(neuron, group.traced.map((row) => "neuron " + group.neurons[row] + " (element " + group.elements[row] + ")"));
  }

  function draw() {
    const group = data.populations[Number(population.value)], index = Number(sample.value);
    drawRaster(group, index);
    drawTrace(group, index, neuron.options.length ? Number(neuron.value) : -1);
  }

  function pick(event) {
    const group = data.populations[Number(population.value)], box = raster.getBoundingClientRect();
    const part = (event.clientY - box.top - TOP) / (box.height - TOP - BOTTOM);
    const row = Math.floor(part * group.neurons.length);
    const slot = group.traced.indexOf(row);
    if (slot >= 0) {
      neuron.value = String(slot);
      draw();
    }
  }

  function sortable(table) {
    table.querySelectorAll("th").forEach((head, column) => {
      const button = document.createElement("button");
      button.type = "button";
      button.append(...head.childNodes);
      head.append(button);
      button.addEventListener("click", () => {
        const down = head.getAttribute("aria-sort") !== "descending";
        const rows = Array.from(table.querySelectorAll("tr")).filter((row) => row.querySelector("td"));
        const value = (row) => row.cells[column].textContent.trim();
        const number = (text) => Number.parseFloat(text.replace(/[,%+]/g, ""));
        rows.sort((a, b) => {
          const left = number(value(a)), right = number(value(b));
          const order = Number.isNaN(left) || Number.isNaN(right) ? value(a).localeCompare(value(b)) : left - right;
          return down ? -order : order;
        });
        rows.forEach((row) => row.parentElement.append(row));
        table.querySelectorAll("th").forEach((each) => each.removeAttribute("aria-sort"));
        head.setAttribute("aria-sort", down ? "descending" : "ascending");
      });
    });
  }

  options(population, data.populations.map((group) => group.name));
  options(sample, data.samples.map((index) => "sample " + index));
  sample.value = String(data.start);
  neurons();
  root.hidden = false;
  population.addEventListener("change", () => { neurons(); draw(); });
  sample.addEventListener("change", draw);
  neuron.addEventListener("change", draw);
  raster.addEventListener("click", pick);
  window.addEventListener("resize", draw);
  document.querySelectorAll("table.sortable").forEach(sortable);
  draw();
})();
