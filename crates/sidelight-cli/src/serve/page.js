// The served page. It asks the server it came from and nothing else:
// /v1/models, /v1/schema for the form, /v1/predict and /v1/explain for answers.
"use strict";

const $ = (id) => document.getElementById(id);
const SVG = "http://www.w3.org/2000/svg";
const SHOWN = 12; // fields before the others are folded away
const PAUSE = 120; // ms between the last change and the next question

const state = {
  schema: null,
  file: null,
  pictures: [], // of a model that reads several: {name, file, take(file), canvas, box}
  fields: [], // {name, read() -> value or null, write(value)}
  first: null, // {cells, answer} of the last "Predict": what changes are compared with
  answer: null,
  asking: null, // AbortController of the question under way
  timer: 0,
};

function element(tag, attributes = {}, ...children) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (value === false || value == null) continue;
    made.setAttribute(name, value === true ? "" : value);
  }
  made.append(...children.filter((child) => child != null));
  return made;
}

function drawn(tag, attributes = {}, ...children) {
  const made = document.createElementNS(SVG, tag);
  for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
  made.append(...children);
  return made;
}

/** To four significant digits, in full where that is shorter. */
function number(x) {
  if (x == null) return "–";
  if (x === 0) return "0";
  const size = Math.abs(x);
  if (size >= 1e9 || size < 1e-4) return x.toExponential(3);
  if (size >= 1000) return x.toLocaleString("en", { maximumFractionDigits: 0 }).replaceAll(",", "\u202f");
  return String(Number(x.toPrecision(4)));
}

const percent = (p) => (p == null ? "–" : `${(100 * p).toFixed(1)} %`);

// — asking —

async function ask(path, options = {}) {
  const headers = new Headers(options.headers);
  const token = sessionStorage.getItem("token");
  if (token) headers.set("authorization", `Bearer ${token}`);
  let response;
  try {
    response = await fetch(path, { ...options, headers });
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw { error: "the server does not answer", hint: "is it still running?" };
  }
  if (response.status === 401) {
    $("key").hidden = false;
    $("token").focus();
  }
  const text = await response.text();
  let answer;
  try {
    answer = JSON.parse(text);
  } catch {
    answer = { error: `the server returned status ${response.status}` };
  }
  if (!response.ok) throw answer;
  return answer;
}

function which() {
  const name = $("model").value;
  return name ? `?model=${encodeURIComponent(name)}` : "";
}

function question() {
  const form = new FormData();
  const { file, pictures } = state;
  if (file && pictures.length === 0 && !$("picture-part").hidden) form.append("image", file, file.name);
  for (const one of pictures) if (one.file) form.append(`images.${one.name}`, one.file, one.file.name);
  form.append("metadata", JSON.stringify(cells()));
  return { method: "POST", body: form };
}

function cells() {
  const cells = {};
  for (const field of state.fields) cells[field.name] = field.read();
  return cells;
}

function alarm(fault) {
  const box = $("alert");
  box.hidden = fault == null;
  box.replaceChildren();
  if (fault == null) return;
  box.append(element("p", {}, fault.error ?? String(fault)));
  if (fault.hint) box.append(element("p", {}, fault.hint));
  box.scrollIntoView({ block: "nearest" });
}

/** Asks for a prediction; `isFirst`: what later changes are compared with. */
async function predict(isFirst) {
  clearTimeout(state.timer);
  state.asking?.abort();
  const asking = (state.asking = new AbortController());
  $("predict").disabled = isFirst;
  try {
    const answer = await ask(`v1/predict${which()}`, { ...question(), signal: asking.signal });
    state.answer = answer;
    if (isFirst) state.first = { cells: cells(), answer };
    alarm(null);
    show();
  } catch (fault) {
    if (fault.name !== "AbortError") alarm(fault);
  } finally {
    if (isFirst) $("predict").disabled = false;
  }
}

/** Something of the row has changed: what would the model say? */
function changed() {
  forgetReasons();
  if (!state.first) return;
  clearTimeout(state.timer);
  state.timer = setTimeout(() => predict(false), PAUSE);
}

// — the form —

function rangeOf(schema) {
  const range = schema["x-training-range"];
  if (!range) return null;
  const text = schema["x-moment"] ? range.join(" – ") : range.map(number).join(" – ");
  return element("span", { class: "range" }, ` in training ${text}`);
}

function booleanField(name) {
  const group = element("fieldset", { class: "field" }, element("legend", {}, name));
  const line = element("div", { class: "line" });
  const inputs = [["yes", true], ["no", false], ["not known", null]].map(([text, value]) => {
    const input = element("input", { type: "radio", name: `f-${name}`, value: text, checked: value === null });
    line.append(element("label", { class: "choice" }, input, text));
    input.addEventListener("change", changed);
    return { input, value };
  });
  group.append(line);
  return {
    box: group,
    read: () => inputs.find(({ input }) => input.checked)?.value ?? null,
    write: (value) => inputs.forEach((one) => (one.input.checked = one.value === value)),
  };
}

function numberField(name, schema, id) {
  const [low, high] = schema["x-usual"] ?? [0, 1];
  const span = high > low ? high - low : 1;
  // On a logarithmic scale the slider goes from 0 to 200, evenly in the logarithm.
  const isLog = schema["x-scale"] === "log" && low > 0 && high > low;
  const toValue = (place) => (isLog ? low * (high / low) ** (place / 200) : place);
  const toPlace = (value) => (isLog ? 200 * Math.log(Math.max(value, low) / low) / Math.log(high / low) : value);
  const isWhole = Number.isInteger(low) && Number.isInteger(high) && span <= 20;
  const step = isWhole ? 1 : Number((span / 200).toPrecision(1));
  const slider = element("input", {
    type: "range", min: isLog ? 0 : low, max: isLog ? 200 : low + span, step: isLog ? 1 : step,
    "aria-label": `${name}, slider`, id: `${id}-slider`,
  });
  slider.value = String(isLog ? 100 : low + span / 2);
  const slid = () => String(Number(toValue(Number(slider.value)).toPrecision(isLog ? 3 : 6)));
  const exact = element("input", { type: "number", step: "any", id, placeholder: "not known" });
  const clear = element("button", { type: "button", "aria-label": `${name} is not known` }, "not known");
  const box = element("div", { class: "field unknown" },
    element("label", { for: id }, name, rangeOf(schema)),
    element("div", { class: "line" }, slider, exact, clear));
  const read = () => (exact.value.trim() === "" || Number.isNaN(exact.valueAsNumber) ? null : exact.valueAsNumber);
  const settle = () => box.classList.toggle("unknown", read() === null);
  const write = (value) => {
    exact.value = value === null ? "" : String(value);
    if (value !== null) slider.value = String(toPlace(value));
    settle();
  };
  slider.addEventListener("input", () => { exact.value = slid(); settle(); changed(); });
  exact.addEventListener("input", () => { if (read() !== null) slider.value = String(toPlace(read())); settle(); changed(); });
  clear.addEventListener("click", () => { write(null); changed(); });
  return { box, read, write };
}

function categoryField(name, schema, id) {
  const select = element("select", { id }, element("option", { value: "" }, "not known"));
  const names = schema["x-categories"];
  names.forEach((category, at) => select.append(element("option", { value: `c${at}` }, category)));
  select.append(element("option", { value: "other" }, "another (unknown to the model)"));
  const other = element("input", { type: "text", "aria-label": `${name}, another`, placeholder: "its name", hidden: true });
  const box = element("div", { class: "field" }, element("label", { for: id }, name),
    element("div", { class: "line" }, select, other));
  const settle = () => (other.hidden = select.value !== "other");
  select.addEventListener("change", () => { settle(); changed(); });
  other.addEventListener("input", changed);
  return {
    box,
    read: () => {
      if (select.value === "") return null;
      return select.value === "other" ? other.value.trim() || "another" : names[Number(select.value.slice(1))];
    },
    write: (value) => {
      const at = value === null ? -1 : names.indexOf(value);
      select.value = value === null ? "" : at >= 0 ? `c${at}` : "other";
      if (select.value === "other") other.value = value;
      settle();
    },
  };
}

function momentField(name, schema, id) {
  const input = element("input", { type: "datetime-local", step: 1, id });
  const clear = element("button", { type: "button", "aria-label": `${name} is not known` }, "not known");
  const box = element("div", { class: "field" }, element("label", { for: id }, name, rangeOf(schema)),
    element("div", { class: "line" }, input, clear));
  input.addEventListener("input", changed);
  const write = (value) => (input.value = value ?? "");
  clear.addEventListener("click", () => { write(null); changed(); });
  return { box, read: () => input.value || null, write };
}

function field(name, schema, at) {
  const id = `f${at}`;
  const type = schema.type[0];
  const made = type === "boolean" ? booleanField(name)
    : type === "number" ? numberField(name, schema, id)
    : schema["x-categories"] ? categoryField(name, schema, id)
    : momentField(name, schema, id);
  return { name, ...made };
}

function build(schema) {
  state.schema = schema;
  state.first = state.answer = null;
  const target = schema["x-target"];
  const readsImage = schema["x-reads-image"];
  const columns = schema["x-reads-metadata"] ? Object.entries(schema.properties.metadata.properties) : [];
  document.title = `${schema.title} – Sidelight`;
  $("title").textContent = schema.title;
  const names = readsImage ? schema["x-images"] : [];
  const from = [readsImage && (names.length > 1 ? `up to ${names.length} pictures` : "a picture"), columns.length && (columns.length === 1 ? "one column" : `${columns.length} columns`)];
  const what = {
    keypoints: `${target.names.length / 2} points`,
    class: `${target.column}: one of ${target.names.length} classes`,
    multilabel: `which of ${target.names.length} labels`,
    regression: target.names.join(", "),
  }[target.kind];
  $("lead").textContent = `Predicts ${what}, from ${from.filter(Boolean).join(" and ")}.`;
  $("picture-part").hidden = !readsImage;
  $("picture-title").textContent = names.length > 1 ? "Pictures" : "Picture";
  $("drop").hidden = names.length > 1;
  $("pictures").hidden = names.length < 2;
  state.pictures = names.length > 1 ? names.map(pictureField) : [];
  $("pictures").replaceChildren(...state.pictures.map((one) => one.figure));
  $("row-part").hidden = columns.length === 0;
  $("answer-part").hidden = true;
  for (const id of ["explain", "again"]) $(id).hidden = true;
  forgetReasons();
  state.fields = columns.map(([name, column], at) => field(name, column, at));
  const boxes = state.fields.map((one) => one.box);
  $("fields").replaceChildren(...boxes.slice(0, SHOWN));
  if (boxes.length > SHOWN) {
    const rest = element("div", { class: "fields" }, ...boxes.slice(SHOWN));
    $("fields").append(element("details", {}, element("summary", {}, `${boxes.length - SHOWN} more columns`), rest));
  }
  $("said").textContent = "";
  document.body.classList.toggle("has-points", target.kind === "keypoints");
  $("ask").hidden = false;
}

// — the picture, or the pictures —

/** One of several pictures: its name, itself, a button to choose it and one to leave it out. */
function pictureField(name, at) {
  const image = element("img", { alt: "", hidden: true });
  const canvas = element("canvas", { hidden: true });
  const box = element("div", { class: "shown" }, image, canvas);
  const input = element("input", { id: `p${at}`, class: "away", type: "file", accept: "image/*" });
  const clear = element("button", { type: "button", hidden: true, "aria-label": `leave ${name} out` }, "Leave out");
  const figure = element("figure", { class: "picture" }, element("figcaption", {}, name), box,
    element("p", { class: "choose" }, input, element("label", { for: `p${at}`, class: "button" }, "Choose"), clear));
  const one = { name, file: null, figure, canvas, box };
  one.take = (file) => {
    one.file = file;
    another();
    URL.revokeObjectURL(image.src);
    image.hidden = clear.hidden = file === null;
    image.alt = file ? `${name}, ${file.name}` : "";
    if (file) image.src = URL.createObjectURL(file);
    else input.value = "";
    alarm(null);
  };
  input.addEventListener("change", () => input.files[0] && one.take(input.files[0]));
  clear.addEventListener("click", () => one.take(null));
  return one;
}

/** Another picture: what was said is of the old one. */
function another() {
  state.first = state.answer = null;
  $("answer-part").hidden = true;
  for (const id of ["explain", "again"]) $(id).hidden = true;
  forgetReasons();
  $("said").textContent = "";
}

function take(file) {
  if (!file) return;
  if (state.pictures.length > 0) {
    (state.pictures.find((one) => !one.file) ?? state.pictures[0]).take(file);
    return;
  }
  state.file = file;
  another();
  $("marks").replaceChildren();
  const picture = $("picture");
  URL.revokeObjectURL(picture.src);
  picture.onload = () => {
    $("shown").classList.toggle("small", picture.naturalWidth < 352);
    $("shown").classList.toggle("tiny", picture.naturalWidth < 64);
  };
  // A TIFF, say: the server reads what the browser cannot show.
  picture.onerror = () => (picture.alt = `${file.name} (this browser cannot show it)`);
  picture.alt = `the chosen picture, ${file.name}`;
  picture.src = URL.createObjectURL(file);
  $("shown").hidden = false;
  alarm(null);
}

/** Where a point of the stored image is in the upright one. */
function upright(image, [x, y]) {
  const [a, b, c, d, e, f] = image.to_upright;
  return [a * x + b * y + c, d * x + e * y + f];
}

const sides = (image) => (image.to_upright[0] === 0 ? [image.height, image.width] : [image.width, image.height]);

function marks(answer, first) {
  const svg = $("marks");
  svg.replaceChildren();
  const points = answer.prediction.points;
  if (!points || !answer.image) return;
  const [width, height] = sides(answer.image);
  svg.setAttribute("viewBox", `0 0 ${width} ${height}`);
  const scale = width / ($("picture").clientWidth || width);
  const target = state.schema["x-target"];
  const visible = answer.prediction.visible;
  const bones = (points, kind) => {
    const lines = (target.skeleton ?? []).map(([a, b]) => [a, b].map((n) => upright(answer.image, points[n]).join(" ")).join("L"));
    if (!lines.length) return;
    const d = `M${lines.join("M")}`;
    svg.append(drawn("g", { class: `point ${kind}` }, drawn("path", { class: "edge", d }), drawn("path", { class: "face bone", d })));
  };
  const label = (x, y, words) => {
    const text = drawn("text", { x, y, "font-size": 11 * scale }, words);
    text.style.fontSize = `${11 * scale}px`;
    text.style.strokeWidth = `${3 * scale}px`;
    return text;
  };
  const mark = (at, n, kind) => {
    const [x, y] = upright(answer.image, at);
    const cross = `M${x - 6 * scale} ${y}h${12 * scale}M${x} ${y - 6 * scale}v${12 * scale}`;
    const group = drawn("g", { class: `point ${kind}` },
      drawn("path", { class: "edge", d: cross }), drawn("path", { class: "face predicted", d: cross }));
    if (n != null && points.length <= 12) group.append(label(x + 7 * scale, y - 5 * scale, pointName(target, n)));
    svg.append(group);
  };
  for (const candidate of others(answer.prediction)) {
    bones(candidate.points, "other");
    candidate.points.forEach((at) => mark(at, null, "other"));
    const [x, y] = upright(answer.image, candidate.points[0]);
    svg.append(drawn("g", { class: "point other" }, label(x, y - 8 * scale, percent(candidate.probability))));
  }
  bones(points, "");
  if (first && first !== answer) first.prediction.points.forEach((at) => mark(at, null, "before"));
  points.forEach((at, n) => mark(at, n, visible && visible[n] < 0.5 ? "unsure" : ""));
}

/** Where else the object may be: what is hardly possible is not drawn. */
const others = ({ candidates }) => (candidates ?? []).slice(1).filter(({ probability }) => probability >= 0.01);

/** What a point is called: its name, else its number. */
const pointName = (target, n) => target.points?.[n] ?? String(n);

// — the answer —

function bars(names, now, before, isMarked) {
  const table = element("table", { class: "bars" });
  const order = names.map((_, at) => at).sort((a, b) => now[names[b]] - now[names[a]]);
  for (const at of order.slice(0, 20)) {
    const name = names[at];
    const svg = drawn("svg", { viewBox: "0 0 100 10", preserveAspectRatio: "none", "aria-hidden": "true" },
      drawn("rect", { class: "room", width: 100, height: 10 }),
      drawn("rect", { class: "bar", width: 100 * now[name], height: 10 }));
    if (before) svg.append(drawn("rect", { class: "before", width: 100 * before[name], height: 10 }));
    table.append(element("tr", {},
      element("td", { class: "is" }, isMarked(name) ? "›" : ""), element("th", { scope: "row" }, name),
      element("td", { class: "bar" }, svg), element("td", { class: "num" }, percent(now[name]))));
  }
  if (order.length > 20) table.append(element("tr", {}, element("td"), element("th", {}, `and ${order.length - 20} more`)));
  return table;
}

function valueBox(name, value, before, range) {
  const [low, high] = [Math.min(range[0], value, before ?? value), Math.max(range[1], value, before ?? value)];
  const x = (v) => (high > low ? 1.5 + (97 * (v - low)) / (high - low) : 50);
  const svg = drawn("svg", { viewBox: "0 0 100 4", role: "img", "aria-label": `${number(value)}, in training ${range.map(number).join(" to ")}` },
    drawn("path", { class: "axis", d: `M${x(range[0])} 2H${x(range[1])}M${x(range[0])} 1v2M${x(range[1])} 1v2` }));
  if (before != null) svg.append(drawn("circle", { class: "before", cx: x(before), cy: 2, r: 1.1 }));
  svg.append(drawn("circle", { class: "predicted", cx: x(value), cy: 2, r: 1.1 }));
  const isBeyond = value < range[0] || value > range[1];
  return element("div", { class: "value" },
    element("span", { class: "name" }, name), element("b", { "data-name": name }, number(value)), svg,
    element("span", { class: "ends" }, element("span", {}, number(range[0])),
      element("span", {}, isBeyond ? "beyond the training range" : "training range"), element("span", {}, number(range[1]))));
}

function pointsTable({ points, visible, expected_error: error }) {
  const target = state.schema["x-target"];
  const cell = (text) => element("td", { class: "num" }, text);
  const rows = points.slice(0, 12).map((at, n) => element("tr", {},
    element("th", { scope: "row" }, target.points ? pointName(target, n) : `point ${n}`), cell(number(at[0])), cell(number(at[1])),
    ...(visible ? [cell(percent(visible[n])), cell(`± ${number(error[n])} px`)] : [])));
  if (points.length > 12) rows.push(element("tr", {}, element("th", {}, `and ${points.length - 12} more`)));
  return element("table", {}, ...rows);
}

/** How far points went, on average, in pixels of the stored image. */
function moved(now, before) {
  const far = now.map(([x, y], n) => Math.hypot(x - before[n][0], y - before[n][1]));
  return far.reduce((a, b) => a + b, 0) / far.length;
}

function sentence(answer) {
  const { kind, values, probability, points } = answer.prediction;
  if (kind === "class") return `${answer.prediction.class}, ${percent(probability)}`;
  if (kind === "regression") return Object.entries(values).map(([name, value]) => `${name} ${number(value)}`).join(", ");
  if (kind === "keypoints") {
    const [first] = answer.prediction.candidates ?? [];
    const sure = first ? `; probability that this is the object meant: ${percent(first.probability)}` : "";
    return `${points.length} points, in the picture${sure}`;
  }
  const likely = Object.entries(answer.prediction.probabilities).filter(([, p]) => p >= 0.5);
  return likely.length ? likely.map(([name, p]) => `${name} ${percent(p)}`).join(", ") : "no label is likelier than not";
}

function show() {
  const { answer, first, schema } = state;
  const target = schema["x-target"];
  const before = first.answer === answer ? null : first.answer;
  const now = answer.prediction;
  const box = $("answer");
  box.replaceChildren();
  if (now.kind === "regression") {
    target.names.forEach((name, at) =>
      box.append(valueBox(name, now.values[name], before?.prediction.values[name], target.training_range[at])));
  } else if (now.probabilities) {
    const isMarked = (name) => (now.kind === "class" ? name === now.class : now.probabilities[name] >= 0.5);
    box.append(bars(target.names, now.probabilities, before?.prediction.probabilities, isMarked));
  } else {
    box.append(pointsTable(now));
  }
  marks(answer, before);
  $("said").textContent = !before ? sentence(answer)
    : now.points ? `the points moved by ${number(moved(now.points, before.prediction.points))} px compared with before the changes`
    : `${sentence(answer)} — before the changes: ${sentence(before)}`;
  $("notes").replaceChildren(...answer.notes.map((note) => element("li", {}, note)));
  $("answer-part").hidden = false;
  $("explain").hidden = false;
  $("again").hidden = before === null;
}

// — the reasons —

function forgetReasons() {
  $("why").hidden = true;
  const drawn = [{ canvas: $("heat"), box: $("shown") }, ...state.pictures];
  for (const { canvas, box } of drawn) {
    canvas.hidden = true;
    box.classList.remove("hot");
  }
}

function shareTable(why) {
  const parts = [["without either", why.baseline], ["the picture adds", why.image_adds],
    ["the metadata add", why.metadata_adds], ["prediction", why.value]];
  if (!state.schema["x-reads-image"]) parts.splice(1, 1);
  const list = element("dl", { class: "facts" });
  for (const [name, value] of parts) {
    const sign = name.includes("add") && value > 0 ? "+" : "";
    list.append(element("div", {}, element("dt", {}, name), element("dd", {}, `${sign}${number(value)}`)));
  }
  return list;
}

function curveFigure(curve, of) {
  const points = curve.points.filter((point) => point.x != null);
  if (!curve.ordered || points.length < 2) {
    const rows = curve.points.map((point) => element("tr", {}, element("th", { scope: "row" }, point.value ?? "not known"),
      element("td", { class: "num" }, number(point.y))));
    return element("figure", { class: "curve" }, element("figcaption", {}, element("b", {}, `If ${curve.column} were`), ` — ${of}`),
      element("table", {}, ...rows));
  }
  const ys = [...curve.points, curve.own].map((point) => point.y);
  const [low, high] = [Math.min(...ys), Math.max(...ys)];
  const [from, to] = [points[0].x, points.at(-1).x];
  const schema = state.schema.properties.metadata.properties[curve.column];
  const along = schema["x-scale"] === "log" && from > 0 ? Math.log : (v) => v;
  const x = (v) => 8 + (284 * (along(v) - along(from))) / (along(to) - along(from) || 1);
  const y = (v) => (high > low ? 92 - (80 * (v - low)) / (high - low) : 50);
  const line = points.map((point, at) => `${at ? "L" : "M"}${x(point.x).toFixed(1)} ${y(point.y).toFixed(1)}`).join("");
  const svg = drawn("svg", { class: "chart", viewBox: "0 0 300 112", role: "img", "aria-label": `${of} as ${curve.column} varies` },
    drawn("path", { class: "axis", d: "M8 98H292" }), drawn("path", { class: "line c1", d: line }));
  const isWithin = curve.own.x != null && curve.own.x >= from && curve.own.x <= to;
  if (isWithin) svg.append(drawn("circle", { class: "mark c2", cx: x(curve.own.x), cy: y(curve.own.y), r: 4 }));
  const label = (text, at, anchor) => svg.append(drawn("text", { x: at, y: 110, "text-anchor": anchor, class: "tick" }, text));
  const end = (point) => (schema["x-moment"] ? point.value : number(point.x));
  label(end(points[0]), 8, "start");
  label(end(points.at(-1)), 292, "end");
  return element("figure", { class: "curve" }, element("figcaption", {},
    element("b", {}, `As ${curve.column} varies`), ` — ${of}, from ${number(low)} to ${number(high)}`), svg);
}

/** Draws a map over its picture: yellow raises, blue lowers, as strongly as `largest` is; both in the map's own unit. */
function heat(map, image, canvas, box, largest) {
  const [width, height] = sides(image);
  const scale = Math.min(1, 800 / Math.max(width, height));
  canvas.width = Math.max(1, Math.round(width * scale));
  canvas.height = Math.max(1, Math.round(height * scale));
  const small = element("canvas", { width: map.width, height: map.height });
  const pixels = new ImageData(map.width, map.height);
  map.values.forEach((value, at) => {
    const colour = value > 0 ? [255, 199, 26] : [64, 153, 255];
    pixels.data.set([...colour, Math.round((178 * Math.abs(value)) / (largest || 1))], 4 * at);
  });
  small.getContext("2d").putImageData(pixels, 0, 0);
  const draw = canvas.getContext("2d");
  // First from places to the stored image, then upright, then to the canvas.
  const [a, b, c, d, e, f] = map.to_stored;
  const [ua, ub, uc, ud, ue, uf] = image.to_upright;
  draw.setTransform(scale, 0, 0, scale, 0, 0);
  draw.transform(ua, ud, ub, ue, uc, uf);
  draw.transform(a, d, b, e, c, f);
  draw.imageSmoothingQuality = "high";
  draw.drawImage(small, 0, 0);
  canvas.hidden = false;
  box.classList.add("hot");
}

/** Draws where the network looks over each picture; by how much at most what is there lowers and raises the number. */
function heats(why) {
  const drawn = state.pictures.length > 0
    ? state.pictures.map((one, at) => [why.heats?.[at], why.images?.[at], one.canvas, one.box])
    : [[why.heat, state.answer?.image, $("heat"), $("shown")]];
  const shown = drawn.filter(([map, image]) => map && image);
  if (shown.length === 0) return null;
  const values = shown.flatMap(([map]) => map.values);
  const [low, high] = [Math.min(0, ...values), Math.max(0, ...values)];
  shown.forEach((one) => heat(...one, Math.max(high, -low)));
  return [low, high];
}

/** What the colours of a map mean. */
function legend([low, high], why) {
  const pictures = state.pictures.length > 0 ? "the pictures" : "the picture";
  if (low === 0 && high === 0) return [`Nothing in ${pictures} changes it.`];
  if (why.prediction.kind === "keypoints") return [`Hiding a yellow place moves the points, by up to ${number(high)} px.`];
  const raises = high > 0 ? [`Yellow places of ${pictures} raise it, by up to ${number(high)}.`] : [];
  const lowers = low < 0 ? [`Blue places of ${pictures} lower it, by up to ${number(-low)}.`] : [];
  return [...raises, ...lowers];
}

async function explain() {
  $("explain").disabled = true;
  try {
    const why = await ask(`v1/explain${which()}`, question());
    alarm(null);
    const reasons = $("reasons");
    reasons.replaceChildren(element("p", {}, `What makes up ${why.of}:`), shareTable(why));
    const ends = heats(why);
    if (ends !== null) reasons.append(element("p", { class: "note" }, legend(ends, why).join(" ")));
    const curves = why.curves.slice(0, 6).map((curve) => curveFigure(curve, why.of));
    reasons.append(element("div", { class: "curves" }, ...curves));
    $("why").hidden = false;
    $("why-title").scrollIntoView({ block: "nearest" });
  } catch (fault) {
    alarm(fault);
  } finally {
    $("explain").disabled = false;
  }
}

// — the beginning —

async function begin() {
  try {
    const names = await ask("v1/models");
    const select = $("model");
    const chosen = select.value;
    select.replaceChildren(...names.map((name) => element("option", { value: name, selected: name === chosen }, name)));
    $("models").hidden = names.length < 2;
    build(await ask(`v1/schema${which()}`));
    alarm(null);
  } catch (fault) {
    alarm(fault);
  }
}

$("key").addEventListener("submit", (event) => {
  event.preventDefault();
  sessionStorage.setItem("token", $("token").value.trim());
  $("key").hidden = true;
  begin();
});
$("model").addEventListener("change", begin);
$("ask").addEventListener("submit", (event) => {
  event.preventDefault();
  forgetReasons();
  predict(true);
});
$("explain").addEventListener("click", explain);
$("again").addEventListener("click", () => {
  state.fields.forEach((field) => field.write(state.first.cells[field.name]));
  forgetReasons();
  predict(false);
});
for (const id of ["file", "camera"]) $(id).addEventListener("change", (event) => take(event.target.files[0]));
for (const kind of ["dragover", "dragleave", "drop"]) {
  document.addEventListener(kind, (event) => {
    event.preventDefault();
    $("drop").classList.toggle("over", kind === "dragover");
    if (kind === "drop") take(event.dataTransfer.files[0]);
  });
}
document.addEventListener("paste", (event) => take(event.clipboardData.files[0]));
addEventListener("resize", () => state.answer && state.first && show());
begin();
