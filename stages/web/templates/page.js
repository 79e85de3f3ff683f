// Sends a photo, shows the answer, draws boxes. All text comes from the server as escaped HTML or is set as text.
"use strict";
const byId = (id) => document.getElementById(id);
let newest = 0; // number of the newest request: an older answer that comes later is dropped
let box = null; // [left, top, right, bottom] of the chosen garment, in pixels of the photo
let drag = null;

function showMessage(text) { byId("message").textContent = text; }

async function send(address, options) {
  let answer;
  try {
    answer = await fetch(address, options);
  } catch {
    throw new Error("The page's server does not answer. Is the terminal in which you started it still open?");
  }
  const text = await answer.text();
  if (!answer.ok) throw new Error(text.slice(0, 1000) || `The server answered ${answer.status}.`);
  return text;
}
const post = (address, content) => send(address, { method: "POST", headers: { "content-type": "application/json" }, body: content === undefined ? "" : JSON.stringify(content) });

function put(id, html) { // keeps the keyboard focus, and opened details open
  const element = byId(id), focused = document.activeElement && element.contains(document.activeElement) ? document.activeElement.id : "";
  const open = [...element.querySelectorAll("details[open][id]")].map((details) => details.id);
  element.innerHTML = html;
  for (const details of open) if (byId(details)) byId(details).open = true;
  if (focused && byId(focused)) byId(focused).focus({ preventScroll: true });
}

async function run(busyText, job) { // one request to the server: shows what it waits for, and what went wrong
  const request = ++newest;
  showMessage("");
  document.querySelector("main").setAttribute("aria-busy", "true");
  const late = setTimeout(() => { if (request === newest) byId("busy").textContent = busyText; }, 150);
  try {
    const done = await job();
    if (request === newest) done();
  } catch (error) {
    if (request === newest) { showMessage(error.message); byId("message").scrollIntoView({ block: "nearest" }); }
  } finally {
    clearTimeout(late);
    if (request === newest) { byId("busy").textContent = ""; document.querySelector("main").setAttribute("aria-busy", "false"); }
  }
}

// ---- the photo

function choose(file) {
  const most = Number(byId("file").dataset.most);
  if (file.size > most) { showMessage(`${file.name} has ${(file.size / 1e6).toFixed(0)} MB; the page takes up to ${(most / 1e6).toFixed(0)}. Send a smaller photo.`); return; }
  run("Looking at the photo …", async () => {
    const html = await send(`/photos?name=${encodeURIComponent(file.name.slice(0, 200))}`, { method: "POST", headers: { "content-type": "application/octet-stream" }, body: file });
    return () => { put("result", html); showGarment(); byId("result").focus({ preventScroll: true }); byId("result").scrollIntoView({ block: "start", behavior: matchMedia("(prefers-reduced-motion: reduce)").matches ? "auto" : "smooth" }); };
  });
}

const photo = () => `/photos/${byId("query").dataset.photo}`;
const number = () => Number(byId("query").dataset.number);
const tab = (wanted) => document.querySelector(`.tab[data-number="${wanted}"]`);

function filters(form) { // what is selected in a form: a superclass, and attributes by head
  const attributes = Object.fromEntries([...new FormData(form)].filter(([, value]) => value));
  const superclass = attributes.superclass || "";
  delete attributes.superclass;
  return { superclass, attributes };
}

function search() {
  const content = { garment: number(), mode: document.querySelector("#mode input:checked").value, ...filters(byId("q-narrow")) };
  run("Searching …", async () => {
    const html = await post(`${photo()}/search`, content);
    return () => put("matches", html);
  });
}

function select(wanted) {
  byId("query").dataset.number = wanted;
  for (const button of document.querySelectorAll(".tab")) button.setAttribute("aria-pressed", String(Number(button.dataset.number) === wanted));
  showGarment();
}

function showGarment() { // fields and boxes of the chosen garment
  const chosen = tab(number());
  box = chosen.dataset.box ? chosen.dataset.box.split(",").map(Number) : null;
  const classes = byId("c-superclass");
  if ([...classes.options].some((option) => option.value === chosen.dataset.superclass)) classes.value = chosen.dataset.superclass;
  fields();
  draw();
}

function correct(another) { // another: a new garment, instead of the chosen one
  const content = { garment: another ? null : number(), superclass: byId("c-superclass").value, box: box && box.map(Math.round) };
  const selected = [...byId("q-narrow").querySelectorAll("select")].filter((field) => field.value).map((field) => [field.id, field.value]);
  const mode = document.querySelector("#mode input:checked").id;
  run("Looking at the box …", async () => {
    const html = await post(`${photo()}/garments`, content);
    return () => {
      put("result", html);
      showGarment();
      for (const [id, value] of selected) byId(id).value = value;
      byId(mode).checked = true;
      if (selected.length || mode !== "m-nearest") search();
    };
  });
}

// ---- boxes on the photo

const EDGES = ["left", "top", "right", "bottom"];
const size = () => { const view = byId("boxes").viewBox.baseVal; return [view.width, view.height]; };
const whole = () => [0, 0, ...size()];
function fields() { EDGES.forEach((name, place) => { byId(`c-${name}`).value = Math.round((box || whole())[place]); }); }

function shape(name, values, text) {
  const element = document.createElementNS("http://www.w3.org/2000/svg", name);
  for (const [key, value] of Object.entries(values)) element.setAttribute(key, value);
  if (text !== undefined) element.textContent = text;
  return element;
}

function draw() {
  const boxes = byId("boxes"), scale = size()[0] / (boxes.clientWidth || size()[0]);
  byId("canvas").classList.toggle("edit", byId("correct").open);
  boxes.replaceChildren();
  const tabs = [...document.querySelectorAll(".tab")].sort((button) => (Number(button.dataset.number) === number() ? 1 : -1));
  for (const button of tabs) {
    const chosen = Number(button.dataset.number) === number();
    const edges = chosen ? box : button.dataset.box ? button.dataset.box.split(",").map(Number) : null;
    if (!edges) continue;
    const [left, top, right, bottom] = edges, group = shape("g", { class: chosen ? "on" : "" }), side = 22 * scale;
    group.append(shape("rect", { class: chosen ? "box on" : "box", x: left, y: top, width: Math.max(0, right - left), height: Math.max(0, bottom - top), rx: 2 * scale }));
    const label = shape("g", { transform: `translate(${left} ${top}) scale(${scale})` });
    label.append(shape("rect", { class: "tag", width: 22, height: 22, rx: 3 }), shape("text", { class: "tag-text", x: 11, y: 11.5 }, Number(button.dataset.number) + 1));
    group.append(label);
    if (chosen && byId("correct").open) for (const [x, y, rising] of [[left, top, 0], [right, top, 1], [right, bottom, 0], [left, bottom, 1]]) group.append(shape("circle", { class: rising ? "handle rising" : "handle", cx: x, cy: y, r: side / 3 }));
    boxes.append(group);
  }
}

function point(event) {
  const frame = byId("boxes").getBoundingClientRect(), [width, height] = size();
  const within = (value, most) => Math.min(most, Math.max(0, value));
  return [within(((event.clientX - frame.left) / frame.width) * width, width), within(((event.clientY - frame.top) / frame.height) * height, height)];
}

function begin(event) {
  if (!byId("correct").open || event.button) return;
  const [x, y] = point(event), near = (22 * size()[0]) / byId("boxes").clientWidth;
  const corner = box && [[0, 1], [2, 1], [2, 3], [0, 3]].find(([column, row]) => Math.hypot(box[column] - x, box[row] - y) < near);
  drag = { fixed: corner ? [box[2 - corner[0]], box[4 - corner[1]]] : [x, y], before: box, moved: false };
  byId("boxes").setPointerCapture(event.pointerId);
  event.preventDefault();
}
function move(event) {
  if (!drag) return;
  const [x, y] = point(event), [fixedX, fixedY] = drag.fixed;
  drag.moved = drag.moved || Math.hypot(x - fixedX, y - fixedY) > size()[0] / 100;
  if (!drag.moved) return;
  box = [Math.min(x, fixedX), Math.min(y, fixedY), Math.max(x, fixedX), Math.max(y, fixedY)];
  fields();
  draw();
}
function end(event) {
  if (!drag) return;
  const { moved, before } = drag;
  drag = null;
  if (!moved || event.type === "pointercancel") { box = before; fields(); draw(); return; }
  correct(false);
}

// ---- the wardrobe

let polling = 0;
function poll() {
  clearTimeout(polling);
  const state = document.querySelector(".state");
  if (state.dataset.running) polling = setTimeout(refresh, 700);
}
async function refresh() {
  const before = document.querySelector(".state");
  try {
    const html = await send("/wardrobe");
    put("state", html);
    const after = document.querySelector(".state");
    if (before.dataset.running && !after.dataset.running) await renew();
    else if (before.dataset.garments === "0" && after.dataset.garments !== "0") await list();
  } catch (error) { showMessage(error.message); }
  poll();
}
async function renew() { put("w-narrow", await send("/narrow")); await list(); }

const query = () => { const { superclass, attributes } = filters(byId("w-narrow")); return new URLSearchParams({ ...attributes, ...(superclass ? { superclass } : {}) }); };
async function list(start) {
  const selected = query();
  if (start) selected.set("start", start);
  const html = await send(`/items?${selected}`);
  if (!start) { put("items", html); return; }
  const old = document.querySelector("#items .more"), added = document.createElement("template");
  added.innerHTML = html;
  const first = added.content.querySelector(".card");
  const more = added.content.querySelector(".more");
  document.querySelector("#items .cards").append(...added.content.querySelectorAll("li"));
  old.remove();
  if (more) byId("items").append(more);
  if (first) first.focus({ preventScroll: true });
}
function change(job) { // changes the wardrobe, also while a search runs
  showMessage("");
  job().then((html) => { put("state", html); poll(); }).catch((error) => showMessage(error.message));
}

async function show(id) {
  try {
    byId("dialog-body").innerHTML = await send(`/items/${encodeURIComponent(id)}`);
    byId("dialog").showModal();
  } catch (error) { showMessage(error.message); }
}

// ---- what a visitor does

document.addEventListener("click", (event) => {
  const on = (selector) => event.target.closest(selector);
  let clicked;
  if ((clicked = on(".card"))) show(clicked.dataset.item);
  else if ((clicked = on(".tab"))) { select(Number(clicked.dataset.number)); search(); }
  else if ((clicked = on(".more[data-next]"))) list(clicked.dataset.next).catch((error) => showMessage(error.message));
  else if (on("#another")) correct(true);
  else if (on("#keep")) run("Adding the photo …", async () => { const html = await post(`${photo()}/keep`); return () => { put("add-upload", html); refresh(); renew(); }; });
  else if (on("#again")) change(() => post("/wardrobe/rescan"));
  else if (on("#stop")) change(() => post("/wardrobe/stop"));
  else if (event.target === byId("dialog")) byId("dialog").close();
});
document.addEventListener("submit", (event) => {
  if (event.target.method === "dialog") return;
  event.preventDefault();
  if (event.target.id === "add") { const folder = byId("folder").value; change(() => post("/wardrobe/folders", { folder })); }
  if (event.target.id === "correction") correct(false);
});
document.addEventListener("change", (event) => {
  if (event.target.id === "file") { if (event.target.files.length) choose(event.target.files[0]); event.target.value = ""; }
  else if (event.target.closest("#q-narrow,#mode")) search();
  else if (event.target.closest("#w-narrow")) list().catch((error) => showMessage(error.message));
});
document.addEventListener("input", (event) => {
  if (!event.target.closest(".edges")) return;
  box = EDGES.map((name) => Number(byId(`c-${name}`).value));
  draw();
});
document.addEventListener("toggle", (event) => { if (event.target.id === "correct") draw(); }, true);
document.addEventListener("pointerdown", (event) => { if (event.target.closest("#boxes")) begin(event); });
document.addEventListener("pointermove", move);
document.addEventListener("pointerup", end);
document.addEventListener("pointercancel", end);
addEventListener("resize", () => { if (byId("boxes")) draw(); });

for (const kind of ["dragover", "drop", "dragleave"]) document.addEventListener(kind, (event) => {
  if (!event.dataTransfer || ![...event.dataTransfer.types].includes("Files")) return;
  event.preventDefault();
  byId("drop").classList.toggle("over", kind === "dragover");
  if (kind === "drop" && event.dataTransfer.files.length) choose(event.dataTransfer.files[0]);
});
document.addEventListener("paste", (event) => { const file = [...event.clipboardData.files][0]; if (file) choose(file); });
poll();
