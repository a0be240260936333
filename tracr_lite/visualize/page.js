"use strict";
// All text gets in through textContent: what a program calls its nodes and tokens is no markup.

const find = (id) => document.getElementById(id);
const model = JSON.parse(find("data").textContent);
let data = model.run;
let step = data.steps.length - 1;
let chosen = null;

const THEMES = {
  light: { low: [255, 255, 255], scale: [[211, 227, 243], [134, 182, 220], [58, 127, 189], [11, 60, 115]], below: [163, 74, 0] },
  dark: { low: [21, 24, 29], scale: [[23, 57, 92], [43, 111, 168], [111, 179, 230], [230, 243, 255]], below: [255, 161, 77] },
};

function make(tag, attributes = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (value === true) element.setAttribute(name, "");
    else if (value !== false && value !== null && value !== undefined) element.setAttribute(name, value);
  }
  element.append(...children);
  return element;
}

// Colours

const theme = () => THEMES[document.documentElement.dataset.theme];
const mix = (a, b, share) => a.map((x, i) => x + (b[i] - x) * share);

function colour(share) {
  const { low, scale, below } = theme();
  const size = Math.min(Math.abs(share), 1);
  if (share < 0) return mix(low, below, size);
  const stops = [low, ...scale];
  const at = Math.min(Math.floor(size * (stops.length - 1)), stops.length - 2);
  return mix(stops[at], stops[at + 1], size * (stops.length - 1) - at);
}

function luminance(rgb) {
  const linear = rgb.map((c) => (c / 255 <= 0.04045 ? c / 255 / 12.92 : ((c / 255 + 0.055) / 1.055) ** 2.4));
  return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2];
}

function paint(cell, share) {
  const rgb = colour(share);
  cell.style.backgroundColor = `rgb(${rgb.map(Math.round).join(",")})`;
  cell.style.color = luminance(rgb) > 0.179 ? "#000" : "#fff";
}

function short(number) {
  if (number === null) return "no number";
  if (Math.abs(number) < 0.001) return "";
  const text = Math.abs(number) >= 100 ? number.toPrecision(3) : number.toFixed(2);
  const kept = text.includes(".") && !text.includes("e") ? text.replace(/\.?0+$/, "") : text;
  return (kept === "0" || kept === "-0" ? (number > 0 ? "~0" : "−0") : kept).replace("-", "−");
}

// Grids: one stop of the Tab key each, arrow keys inside

function grid(label) {
  const table = make("table", { class: "grid", "aria-label": label });
  table.addEventListener("keydown", (event) => {
    const moves = { ArrowRight: [0, 1], ArrowLeft: [0, -1], ArrowDown: [1, 0], ArrowUp: [-1, 0] };
    const move = moves[event.key];
    const cell = event.target.closest("td[tabindex]");
    if (!cell) return;
    if (move) moveTo(table, cell, move);
    else if (event.key === "Home" || event.key === "End") moveTo(table, cell, [0, event.key === "End" ? 1e6 : -1e6]);
    else return;
    event.preventDefault();
    event.stopPropagation();
  });
  for (const name of ["focusin", "mouseover", "click"]) {
    table.addEventListener(name, (event) => {
      const cell = event.target.closest("td[data-say]");
      if (!cell) return;
      find("details").textContent = cell.dataset.say;
      if (name === "click") cell.focus();
      if (name !== "focusin") return;
      for (const other of table.querySelectorAll("td[tabindex='0']")) other.tabIndex = -1;
      cell.tabIndex = 0;
    });
  }
  return table;
}

function moveTo(table, cell, [down, right]) {
  const rows = [...table.querySelectorAll("tbody tr")].map((row) => [...row.querySelectorAll("td[tabindex]")]).filter((row) => row.length);
  const y = rows.findIndex((row) => row.includes(cell));
  const x = rows[y].indexOf(cell);
  const row = rows[Math.max(0, Math.min(rows.length - 1, y + down))];
  const next = row[Math.max(0, Math.min(row.length - 1, x + right))];
  next.focus();
}

function cell(table, text, share, say) {
  const made = make("td", { tabindex: table.dataset.entered ? -1 : 0, "data-say": say });
  table.dataset.entered = "yes";
  made.textContent = text;
  paint(made, share);
  return made;
}

function head(table, labels, first = "", last = null) {
  const row = make("tr", {}, make("th", { scope: "col" }, first));
  labels.forEach((text) => row.append(make("th", { scope: "col" }, text)));
  if (last !== null) row.append(make("th", { scope: "col" }, last));
  table.append(make("thead", {}, row));
}

const at = (position) => {
  const number = position - data.first;
  return number < 0 ? "at BOS" : `at position ${number} (${data.positions[position]})`;
};

// Sections

function drawAnswers() {
  const table = make("table", { class: "values" });
  const own = data.positions.slice(data.first);
  head(table, own.map((_, i) => String(i)), "position");
  const body = make("tbody");
  const row = (name, texts, same) => {
    const made = make("tr", {}, make("th", { scope: "row" }, name));
    texts.forEach((text, i) => {
      const wrong = same && !same[i];
      made.append(make("td", { class: wrong ? "differs" : null }, wrong ? `✗ ${text}` : text));
    });
    body.append(made);
  };
  row("input", own);
  if (data.answers.interpreter) row("interpreter", data.answers.interpreter);
  row("transformer", data.answers.model, data.answers.same);
  table.append(body);
  find("answers").replaceChildren(table);
  const { differences, total, interpreter } = data.answers;
  const verdict = find("verdict");
  verdict.className = differences ? "differs" : "";
  verdict.textContent = !interpreter
    ? "There is no program with this model: nothing to compare it with."
    : differences
      ? `✗ They differ at ${differences} of ${total} positions.`
      : `✓ Interpreter and transformer agree at all ${total} positions.`;
}

function drawFacts() {
  const facts = find("facts");
  facts.replaceChildren();
  for (const [name, value] of Object.entries(model.facts)) {
    facts.append(make("dt", {}, name), make("dd", {}, value));
  }
  find("program").textContent = model.program;
}

function drawNodes() {
  const table = make("table", { class: "values" });
  head(table, data.positions.slice(data.first), "node", "computed in");
  table.tHead.rows[0].append(make("th", { scope: "col" }, "what it computes"));
  const body = make("tbody");
  for (const node of data.nodes) {
    const row = make("tr", { "data-node": node.label });
    row.append(make("th", { scope: "row" }, chooser(node.label)));
    nodeValues(node, row);
    const where = node.fused ? `inside of ${node.where}` : node.where;
    row.append(make("td", { class: "text" }, where), make("td", { class: "text", title: node.text }, node.text));
    body.append(row);
  }
  table.append(body);
  find("nodes").replaceChildren(table);
}

function nodeValues(node, row) {
  const count = data.positions.length - data.first;
  if (!node.values) {
    const what = node.kind === "Select" || node.kind === "Combine" ? "selector: see its head" : "not known";
    row.append(make("td", { colspan: Math.max(count, 1), class: "soft" }, what));
    return;
  }
  node.values.forEach((value, i) => {
    const other = node.model && !node.same[i];
    const made = make("td", { class: other ? "differs" : null }, other ? `${value} ≠ ${node.model[i]}` : value);
    row.append(made);
  });
}

function chooser(label) {
  const button = make("button", { type: "button", "data-choose": label, "aria-pressed": "false" }, label);
  button.addEventListener("click", () => choose(chosen === label ? null : label));
  return button;
}

function drawStream() {
  const table = grid("Residual stream");
  head(table, data.positions, "column");
  const now = data.steps[step];
  for (const group of data.groups) {
    const body = make("tbody", { "data-node": group.name, class: group.written[step] ? "written" : null });
    const known = data.nodes.some((node) => node.label === group.name);
    const title = make("tr", { class: "group" });
    title.append(make("th", { colspan: data.positions.length + 1, scope: "rowgroup" }, known ? chooser(group.name) : group.name));
    body.append(title);
    for (const row of group.rows) body.append(streamRow(table, group, row, now));
    table.append(body);
  }
  keepFocus(find("rows"), table);
}

function streamRow(table, group, row, now) {
  const made = make("tr", { class: row.silent ? "silent" : null }, make("th", { scope: "row", title: row.label }, row.label));
  row.values[step].forEach((value, i) => {
    const text = row.texts ? row.texts[step][i] : short(value);
    const name = row.label === group.name ? group.name : `${group.name}: ${row.label}`;
    const say = `${name} ${at(i)} after ${now.name}: ${row.texts ? `${text || "nothing"} (largest column ${value})` : value ?? "not a finite number"}`;
    made.append(cell(table, text, (value ?? 0) / group.scale, say));
  });
  return made;
}

function keepFocus(holder, table) {
  const old = [...holder.querySelectorAll("td[tabindex]")].findIndex((each) => each === document.activeElement);
  holder.replaceChildren(table);
  const cells = [...table.querySelectorAll("td[tabindex]")];
  if (old < 0 || !cells[old]) return;
  cells.forEach((each) => (each.tabIndex = -1));
  cells[old].tabIndex = 0;
  cells[old].focus();
}

function card(title, lines, nodes, slot, id) {
  const now = data.steps[step].slot === slot;
  const heading = make("h3", {}, title);
  if (now) heading.append(make("span", { class: "tag" }, " · this half-layer"));
  const made = make("div", { class: `card${now ? " now" : ""}`, id, tabindex: "-1" }, heading);
  made.dataset.nodes = JSON.stringify(nodes);
  lines.filter(Boolean).forEach((line) => made.append(make("p", {}, line)));
  return made;
}

function drawHeads() {
  const cards = data.heads.map((it) => {
    const title = `Layer ${it.layer} head ${it.head}${it.nodes ? ` → ${it.nodes}` : ""}`;
    const made = card(title, [it.selector], it.lights, 2 * it.layer, `head-${it.layer}-${it.head}`);
    const table = grid(title);
    head(table, data.positions, "query ↓ key →");
    const body = make("tbody");
    it.weights.forEach((weights, q) => {
      const row = make("tr", {}, make("th", { scope: "row" }, data.positions[q]));
      weights.forEach((weight, k) => row.append(attentionCell(table, it, q, k, weight)));
      body.append(row);
    });
    table.append(body);
    made.append(make("div", { class: "scroll" }, table));
    return made;
  });
  find("heads").replaceChildren(...(cards.length ? cards : ["No heads."]));
}

function attentionCell(table, it, q, k, weight) {
  const selected = it.selected && it.selected[q][k];
  const marked = selected ? "; the selector selects it" : it.selected && q >= data.first && k >= data.first ? "; the selector does not select it" : "";
  const made = cell(table, "", weight ?? 0, `query ${at(q)}, key ${at(k)}: weight ${weight}${marked}`);
  made.append(selected ? make("span", { class: "ring" }, short(weight) || "0") : short(weight));
  return made;
}

function drawNeurons() {
  const cards = data.neurons.map((it, number) => {
    const title = `Layer ${it.layer} neurons${it.node ? ` → ${it.node}` : ""}`;
    const shown = it.rows.length < it.active ? `; the ${it.rows.length} that are active most are shown` : "";
    const lines = [`${it.count} neurons, ${it.active} active on this input${shown}.`];
    const made = card(title, lines, it.lights, 2 * it.layer + 1, `neurons-${number}`);
    if (!it.rows.length) return made;
    const table = grid(title);
    head(table, data.positions, "neuron", "reads → writes");
    const peak = Math.max(...it.rows.flatMap((row) => row.values));
    const body = make("tbody");
    for (const row of it.rows) {
      const formula = `${row.reads} → ${row.writes}`;
      const line = make("tr", {}, make("th", { scope: "row" }, String(row.number)));
      row.values.forEach((value, i) => line.append(cell(table, short(value), (value ?? 0) / (peak || 1), `neuron ${row.number} ${at(i)}: ${value}; ${formula}`)));
      line.append(make("td", { class: "text", title: formula }, formula));
      body.append(line);
    }
    table.append(body);
    made.append(make("div", { class: "scroll" }, table));
    return made;
  });
  find("neurons").replaceChildren(...(cards.length ? cards : ["No neurons."]));
}

// The program graph

const SCALE = 100;
const SIDE = 92;
const BAND = 12;

function draw(tag, attributes, ...children) {
  const element = document.createElementNS("http://www.w3.org/2000/svg", tag);
  for (const [name, value] of Object.entries(attributes)) if (value !== null) element.setAttribute(name, value);
  element.append(...children);
  return element;
}

const graph = () => (find("inner").checked ? data.graph : data.short);

function drawGraph() {
  const { width, height, boxes, paths, bands } = graph();
  const [wide, high] = [width * SCALE + SIDE + BAND, height * SCALE + 2 * BAND];
  const svg = draw("svg", { width: wide, height: high, viewBox: `0 0 ${wide} ${high}`, role: "group", "aria-label": "Program graph" });
  for (const [name, top, bottom] of bands) {
    svg.append(draw("rect", { class: "band", x: 0, y: top * SCALE, width: wide, height: (bottom - top) * SCALE + 2 * BAND, rx: 4 }));
    const words = name.split(" ");
    const lines = words.length > 2 ? [words.slice(0, 2).join(" "), words[2]] : [name];
    lines.forEach((line, i) => svg.append(draw("text", { class: "dim", x: 6, y: ((top + bottom) / 2) * SCALE + BAND + 4 + 16 * (i - (lines.length - 1) / 2) }, line)));
  }
  const inner = draw("g", { transform: `translate(${SIDE} ${BAND})` });
  for (const path of paths) inner.append(...edge(path));
  for (const box of boxes) inner.append(graphBox(box));
  svg.append(inner);
  find("graph").replaceChildren(svg);
  const { box } = boxes.find((each) => each.label === chosen) || boxes[0] || { box: [0, 0, 0, 0] };
  centre(box);
}

// Scrolls the graph sideways, where it is wider than its place.
function centre([x, , width]) {
  const holder = find("graph");
  holder.scrollLeft = (x + width / 2) * SCALE + SIDE - holder.clientWidth / 2;
}

function edge({ from, to, points }) {
  const spots = points.map(([x, y]) => [x * SCALE, y * SCALE]);
  let line = `M${spots[0]}`;
  for (let i = 0; i + 1 < spots.length; i++) {
    const [[x0, y0], [x1, y1]] = [spots[i], spots[i + 1]];
    const middle = (y0 + y1) / 2;
    line += i % 2 ? `L${x1},${y1}` : `C${x0},${middle} ${x1},${middle} ${x1},${y1}`;
  }
  const [x, y] = spots[spots.length - 1];
  const made = draw("path", { class: "edge", d: line });
  made.dataset.from = from;
  made.dataset.to = to;
  return [made, draw("path", { class: "tip", d: `M${x},${y}l-4,-8h8z` })];
}

function graphBox({ label, lines, box: [x, y, width, height] }) {
  const node = data.nodes.find((each) => each.label === label);
  const group = draw("g", { role: "button", tabindex: 0, "aria-pressed": "false", "aria-label": `${label}: ${node.text}` });
  group.dataset.choose = label;
  group.setAttribute("class", `${node.fused ? "fused" : ""} ${node.output ? "output" : ""}`);
  group.append(draw("rect", { class: "box", x: x * SCALE, y: y * SCALE, width: width * SCALE, height: height * SCALE, rx: 5 }));
  lines.forEach((line, i) => group.append(draw("text", { class: i ? "dim" : "title", x: x * SCALE + 10, y: y * SCALE + 19 + 17 * i }, line)));
  const toggle = () => choose(chosen === label ? null : label);
  group.addEventListener("click", toggle);
  group.addEventListener("keydown", (event) => {
    if (event.key !== "Enter" && event.key !== " ") return;
    event.preventDefault();
    toggle();
  });
  return group;
}

// Choosing a node

function choose(label) {
  chosen = label;
  light();
  const place = find("chosen");
  place.replaceChildren();
  const node = data.nodes.find((each) => each.label === label);
  if (!node) return;
  const drawn = graph().boxes.find((each) => each.label === label);
  if (drawn) centre(drawn.box);
  const where = node.fused ? `computed inside of ${node.where}, without columns of its own` : node.columns ? `${node.where}; ${node.columns} column${node.columns === 1 ? "" : "s"}` : node.where;
  place.append(make("p", {}, make("b", {}, label), `${node.text ? ` = ${node.text}` : ""}; ${where}.`));
  const jumps = make("div", { class: "jumps" });
  for (const element of document.querySelectorAll(".card.lit, #rows tbody.lit")) {
    const name = element.matches("tbody") ? "its columns" : element.querySelector("h3").firstChild.textContent;
    const button = make("button", { type: "button" }, `Go to ${name}`);
    button.addEventListener("click", () => {
      const target = document.getElementById(element.id) || document.querySelector("#rows tbody.lit");
      target.scrollIntoView({ block: "center" });
      (target.matches("tbody") ? target.querySelector("button, td") : target).focus({ preventScroll: true });
    });
    jumps.append(button);
  }
  place.append(jumps);
}

function light() {
  find("clear").hidden = chosen === null;
  for (const element of document.querySelectorAll("[data-node]")) element.classList.toggle("lit", element.dataset.node === chosen);
  for (const element of document.querySelectorAll(".card")) element.classList.toggle("lit", JSON.parse(element.dataset.nodes).includes(chosen));
  for (const element of document.querySelectorAll("[data-choose]")) {
    const on = element.dataset.choose === chosen;
    element.setAttribute("aria-pressed", String(on));
    if (element.tagName === "g") element.classList.toggle("chosen-node", on);
  }
  for (const element of document.querySelectorAll(".edge")) element.classList.toggle("lit-edge", [element.dataset.from, element.dataset.to].includes(chosen));
}

// Steps

function go(to) {
  step = Math.max(0, Math.min(data.steps.length - 1, to));
  const slider = find("step");
  slider.max = data.steps.length - 1;
  slider.value = step;
  const { name, slot } = data.steps[step];
  slider.setAttribute("aria-valuetext", `after ${name}`);
  find("step-name").textContent = name;
  find("back").disabled = step === 0;
  find("next").disabled = step === data.steps.length - 1;
  drawStream();
  drawHeads();
  drawNeurons();
  for (const row of document.querySelectorAll("#nodes tbody tr")) {
    const node = data.nodes.find((each) => each.label === row.dataset.node);
    row.classList.toggle("later", node.slot > slot);
  }
  light();
}

function show(run) {
  data = run;
  for (const list of [data.heads, data.neurons]) list.forEach((it) => (it.lights = lights(it)));
  drawAnswers();
  drawNodes();
  drawGraph();
  find("notes").replaceChildren(...data.notes.map((note) => make("li", {}, note)));
  go(data.steps.length - 1);
  choose(data.nodes.some((node) => node.label === chosen) ? chosen : null);
}

function lights(it) {
  const inside = (place) => place.layer === it.layer && ("head" in it ? place.head === it.head : "neurons" in place && it.span && place.neurons[0] <= it.span[0] && it.span[1] <= place.neurons[1]);
  return data.nodes.filter((node) => node.label === it.node || node.places.some(inside)).map((node) => node.label);
}

// Controls

function setTheme(name) {
  document.documentElement.dataset.theme = name;
  const dark = name === "dark";
  find("theme").setAttribute("aria-pressed", String(dark));
  find("theme").textContent = dark ? "Light" : "Dark";
  find("theme").setAttribute("aria-label", dark ? "Use light colours" : "Use dark colours");
}

async function run(event) {
  event.preventDefault();
  const [error, button] = [find("error"), find("form").querySelector("button")];
  error.hidden = true;
  button.disabled = true;
  try {
    const answer = await fetch("run", { method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify({ input: find("input").value }) });
    const found = await answer.json();
    if (!answer.ok) throw new Error(found.error);
    show(found);
    find("details").textContent = `Ran: ${data.positions.slice(data.first).join(" ")}`;
  } catch (problem) {
    error.textContent = problem.message === "Failed to fetch" ? "The server does not answer; was it stopped?" : problem.message;
    error.hidden = false;
  } finally {
    button.disabled = false;
  }
}

const wantsDark = matchMedia("(prefers-color-scheme: dark)");
setTheme(wantsDark.matches ? "dark" : "light");
find("theme").addEventListener("click", () => {
  setTheme(document.documentElement.dataset.theme === "dark" ? "light" : "dark");
  go(step);
});
find("inner").checked = !data.many;
find("inner").addEventListener("change", () => {
  drawGraph();
  light();
});
find("back").addEventListener("click", () => go(step - 1));
find("next").addEventListener("click", () => go(step + 1));
find("step").addEventListener("input", (event) => go(Number(event.target.value)));
find("clear").addEventListener("click", () => choose(null));
document.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey) return;
  if (event.key === "Escape") choose(null);
  if (event.target.closest("input, .scroll")) return;
  if (event.key === "ArrowLeft" || event.key === "ArrowRight") go(step + (event.key === "ArrowRight" ? 1 : -1));
});
if (model.served) {
  find("form").hidden = false;
  find("static").hidden = true;
  find("input").value = model.input;
  find("known").textContent = model.known;
  find("form").addEventListener("submit", run);
}
drawFacts();
show(data);
