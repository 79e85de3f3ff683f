// Sends a photo, shows the answer, draws boxes. All text comes from the server as escaped HTML or is set as text.
"use strict";
const at = (id) => document.getElementById(id);
let asked = 0; // number of the newest question: an older answer that comes later is dropped
let box = null; // [left, top, right, bottom] of the chosen garment, in pixels of the photo
let drag = null;

function say(text) { at("said").textContent = text; }

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
const post = (address, words) => send(address, { method: "POST", headers: { "content-type": "application/json" }, body: words === undefined ? "" : JSON.stringify(words) });

function put(id, html) { // keeps the keyboard where it was, and opened details open
  const place = at(id), focused = document.activeElement && place.contains(document.activeElement) ? document.activeElement.id : "";
  const open = [...place.querySelectorAll("details[open][id]")].map((one) => one.id);
  place.innerHTML = html;
  for (const one of open) if (at(one)) at(one).open = true;
  if (focused && at(focused)) at(focused).focus({ preventScroll: true });
}

async function doing(words, job) { // one question to the server; says what it waits for, and what went wrong
  const own = ++asked;
  say("");
  document.querySelector("main").setAttribute("aria-busy", "true");
  const late = setTimeout(() => { if (own === asked) at("busy").textContent = words; }, 150);
  try {
    const done = await job();
    if (own === asked) done();
  } catch (error) {
    if (own === asked) { say(error.message); at("said").scrollIntoView({ block: "nearest" }); }
  } finally {
    clearTimeout(late);
    if (own === asked) { at("busy").textContent = ""; document.querySelector("main").setAttribute("aria-busy", "false"); }
  }
}

// ---- the photo

function choose(file) {
  const most = Number(at("file").dataset.most);
  if (file.size > most) { say(`${file.name} has ${(file.size / 1e6).toFixed(0)} MB; the page takes up to ${(most / 1e6).toFixed(0)}. Send a smaller photo.`); return; }
  doing("Looking at the photo …", async () => {
    const html = await send(`/photos?name=${encodeURIComponent(file.name.slice(0, 200))}`, { method: "POST", headers: { "content-type": "application/octet-stream" }, body: file });
    return () => { put("result", html); opened(); at("result").focus({ preventScroll: true }); at("result").scrollIntoView({ block: "start", behavior: matchMedia("(prefers-reduced-motion: reduce)").matches ? "auto" : "smooth" }); };
  });
}

const photo = () => `/photos/${at("query").dataset.photo}`;
const number = () => Number(at("query").dataset.number);
const tab = (wanted) => document.querySelector(`.tab[data-number="${wanted}"]`);

function narrowed(form) {
  const words = Object.fromEntries([...new FormData(form)].filter(([, value]) => value));
  const superclass = words.superclass || "";
  delete words.superclass;
  return { superclass, attributes: words };
}

function search() {
  const words = { garment: number(), mode: document.querySelector("#mode input:checked").value, ...narrowed(at("q-narrow")) };
  doing("Searching …", async () => {
    const html = await post(`${photo()}/search`, words);
    return () => put("found", html);
  });
}

function select(wanted) {
  at("query").dataset.number = wanted;
  for (const one of document.querySelectorAll(".tab")) one.setAttribute("aria-pressed", String(Number(one.dataset.number) === wanted));
  opened();
}

function opened() { // fields and boxes of the chosen garment
  const own = tab(number());
  box = own.dataset.box ? own.dataset.box.split(",").map(Number) : null;
  const classes = at("c-superclass");
  if ([...classes.options].some((one) => one.value === own.dataset.superclass)) classes.value = own.dataset.superclass;
  fields();
  draw();
}

function correct(another) {
  const words = { garment: another ? null : number(), superclass: at("c-superclass").value, box: box && box.map(Math.round) };
  const selected = [...at("q-narrow").querySelectorAll("select")].filter((one) => one.value).map((one) => [one.id, one.value]);
  const mode = document.querySelector("#mode input:checked").id;
  doing("Looking at the box …", async () => {
    const html = await post(`${photo()}/garments`, words);
    return () => {
      put("result", html);
      opened();
      for (const [id, value] of selected) at(id).value = value;
      at(mode).checked = true;
      if (selected.length || mode !== "m-nearest") search();
    };
  });
}

// ---- boxes on the photo

const EDGES = ["left", "top", "right", "bottom"];
const size = () => { const view = at("boxes").viewBox.baseVal; return [view.width, view.height]; };
const whole = () => [0, 0, ...size()];
function fields() { EDGES.forEach((name, place) => { at(`c-${name}`).value = Math.round((box || whole())[place]); }); }

function shape(name, values, text) {
  const one = document.createElementNS("http://www.w3.org/2000/svg", name);
  for (const [key, value] of Object.entries(values)) one.setAttribute(key, value);
  if (text !== undefined) one.textContent = text;
  return one;
}

function draw() {
  const boxes = at("boxes"), scale = size()[0] / (boxes.clientWidth || size()[0]);
  at("canvas").classList.toggle("edit", at("correct").open);
  boxes.replaceChildren();
  const tabs = [...document.querySelectorAll(".tab")].sort((one) => (Number(one.dataset.number) === number() ? 1 : -1));
  for (const one of tabs) {
    const on = Number(one.dataset.number) === number();
    const edges = on ? box : one.dataset.box ? one.dataset.box.split(",").map(Number) : null;
    if (!edges) continue;
    const [left, top, right, bottom] = edges, group = shape("g", { class: on ? "on" : "" }), side = 22 * scale;
    group.append(shape("rect", { class: on ? "box on" : "box", x: left, y: top, width: Math.max(0, right - left), height: Math.max(0, bottom - top), rx: 2 * scale }));
    const mark = shape("g", { transform: `translate(${left} ${top}) scale(${scale})` });
    mark.append(shape("rect", { class: "tag", width: 22, height: 22, rx: 3 }), shape("text", { class: "tag-text", x: 11, y: 11.5 }, Number(one.dataset.number) + 1));
    group.append(mark);
    if (on && at("correct").open) for (const [x, y, other] of [[left, top, 0], [right, top, 1], [right, bottom, 0], [left, bottom, 1]]) group.append(shape("circle", { class: other ? "handle other" : "handle", cx: x, cy: y, r: side / 3 }));
    boxes.append(group);
  }
}

function point(event) {
  const frame = at("boxes").getBoundingClientRect(), [width, height] = size();
  const within = (value, most) => Math.min(most, Math.max(0, value));
  return [within(((event.clientX - frame.left) / frame.width) * width, width), within(((event.clientY - frame.top) / frame.height) * height, height)];
}

function begin(event) {
  if (!at("correct").open || event.button) return;
  const [x, y] = point(event), near = (22 * size()[0]) / at("boxes").clientWidth;
  const corner = box && [[0, 1], [2, 1], [2, 3], [0, 3]].find(([one, other]) => Math.hypot(box[one] - x, box[other] - y) < near);
  drag = { fixed: corner ? [box[2 - corner[0]], box[4 - corner[1]]] : [x, y], before: box, moved: false };
  at("boxes").setPointerCapture(event.pointerId);
  event.preventDefault();
}
function move(event) {
  if (!drag) return;
  const [x, y] = point(event), [fixed, other] = drag.fixed;
  drag.moved = drag.moved || Math.hypot(x - fixed, y - other) > size()[0] / 100;
  if (!drag.moved) return;
  box = [Math.min(x, fixed), Math.min(y, other), Math.max(x, fixed), Math.max(y, other)];
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
    if (before.dataset.running && !after.dataset.running) await renewed();
    else if (before.dataset.garments === "0" && after.dataset.garments !== "0") await list();
  } catch (error) { say(error.message); }
  poll();
}
async function renewed() { put("w-narrow", await send("/narrow")); await list(); }

const wanted = () => { const { superclass, attributes } = narrowed(at("w-narrow")); return new URLSearchParams({ ...attributes, ...(superclass ? { superclass } : {}) }); };
async function list(start) {
  const words = wanted();
  if (start) words.set("start", start);
  const html = await send(`/items?${words}`);
  if (!start) { put("items", html); return; }
  const old = document.querySelector("#items .more"), added = document.createElement("template");
  added.innerHTML = html;
  const first = added.content.querySelector(".card");
  const more = added.content.querySelector(".more");
  document.querySelector("#items .cards").append(...added.content.querySelectorAll("li"));
  old.remove();
  if (more) at("items").append(more);
  if (first) first.focus({ preventScroll: true });
}
function change(job) { // of the wardrobe; beside a search that runs
  say("");
  job().then((html) => { put("state", html); poll(); }).catch((error) => say(error.message));
}

async function show(id) {
  try {
    at("dialog-body").innerHTML = await send(`/items/${encodeURIComponent(id)}`);
    at("dialog").showModal();
  } catch (error) { say(error.message); }
}

// ---- what a visitor does

document.addEventListener("click", (event) => {
  const on = (selector) => event.target.closest(selector);
  let own;
  if ((own = on(".card"))) show(own.dataset.item);
  else if ((own = on(".tab"))) { select(Number(own.dataset.number)); search(); }
  else if ((own = on(".more[data-next]"))) list(own.dataset.next).catch((error) => say(error.message));
  else if (on("#another")) correct(true);
  else if (on("#keep")) doing("Adding the photo …", async () => { const html = await post(`${photo()}/keep`); return () => { put("kept", html); refresh(); renewed(); }; });
  else if (on("#again")) change(() => post("/wardrobe/look-again"));
  else if (on("#stop")) change(() => post("/wardrobe/stop"));
  else if (event.target === at("dialog")) at("dialog").close();
});
document.addEventListener("submit", (event) => {
  if (event.target.method === "dialog") return;
  event.preventDefault();
  if (event.target.id === "add") { const folder = at("folder").value; change(() => post("/wardrobe/folders", { folder })); }
  if (event.target.id === "correction") correct(false);
});
document.addEventListener("change", (event) => {
  if (event.target.id === "file") { if (event.target.files.length) choose(event.target.files[0]); event.target.value = ""; }
  else if (event.target.closest("#q-narrow,#mode")) search();
  else if (event.target.closest("#w-narrow")) list().catch((error) => say(error.message));
});
document.addEventListener("input", (event) => {
  if (!event.target.closest(".edges")) return;
  box = EDGES.map((name) => Number(at(`c-${name}`).value));
  draw();
});
document.addEventListener("toggle", (event) => { if (event.target.id === "correct") draw(); }, true);
document.addEventListener("pointerdown", (event) => { if (event.target.closest("#boxes")) begin(event); });
document.addEventListener("pointermove", move);
document.addEventListener("pointerup", end);
document.addEventListener("pointercancel", end);
addEventListener("resize", () => { if (at("boxes")) draw(); });

for (const kind of ["dragover", "drop", "dragleave"]) document.addEventListener(kind, (event) => {
  if (!event.dataTransfer || ![...event.dataTransfer.types].includes("Files")) return;
  event.preventDefault();
  at("drop").classList.toggle("over", kind === "dragover");
  if (kind === "drop" && event.dataTransfer.files.length) choose(event.dataTransfer.files[0]);
});
document.addEventListener("paste", (event) => { const file = [...event.clipboardData.files][0]; if (file) choose(file); });
poll();
