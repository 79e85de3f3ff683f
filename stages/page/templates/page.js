"use strict";
(() => {
  const D = JSON.parse(document.getElementById("data").textContent);
  const $ = (id) => document.getElementById(id);
  const make = (tag, props = {}, ...children) => {
    const node = document.createElement(tag);
    for (const [key, value] of Object.entries(props)) {
      if (key === "class") node.className = value;
      else if (key.startsWith("on")) node.addEventListener(key.slice(2), value);
      else node.setAttribute(key, value);
    }
    node.append(...children.filter((one) => one !== null && one !== undefined));
    return node;
  };
  const svg = (tag, props = {}) => {
    const node = document.createElementNS("http://www.w3.org/2000/svg", tag);
    for (const [key, value] of Object.entries(props)) node.setAttribute(key, value);
    return node;
  };
  const source = (key) => (key in D.pic ? "data:image/jpeg;base64," + D.pics[D.pic[key]] : "");
  const image = (key, alt) => source(key) ? make("img", { src: source(key), alt, decoding: "async" })
    : make("span", { class: "nopic" }, D.words.nopic);
  for (const img of document.querySelectorAll("img[data-k]")) img.src = source(img.dataset.k);

  // One dialog for whatever is opened; Escape closes it, and the focus goes back to where it was.
  const dialog = $("dialog");
  const show = (title, ...content) => {
    $("dialog-title").textContent = title;
    $("dialog-body").replaceChildren(...content);
    if (!dialog.open) dialog.showModal();
    dialog.scrollTop = 0;
  };
  $("dialog-close").addEventListener("click", () => dialog.close());
  dialog.addEventListener("click", (event) => { if (event.target === dialog) dialog.close(); });
  const told = (pairs) => make("dl", {}, ...pairs.flatMap(([name, text]) => [make("dt", {}, name.trim()), make("dd", {}, text)]));
  const openRow = (key, extra = [], shown = key) => show(key, image(shown, key), told([...extra, ...(D.facts[key] || [])]),
    make("p", { class: "note" }, D.words.trace));
  const picture = (key, kind, text, extra) => make("button", { type: "button", class: "pic " + kind, "aria-label": `${text}: ${key}`, title: key,
    onclick: () => openRow(key, extra) }, image(key, ""), make("span", {}, text));
  document.addEventListener("click", (event) => {
    const opener = event.target.closest("[data-open]");
    if (opener) openRow(opener.dataset.open, [], opener.dataset.pic);
  });

  // Confusion matrices: a word on what the pointer or the focus is at, a click opens the pictures.
  for (const box of document.querySelectorAll(".matrix")) {
    const hint = box.querySelector(".hint");
    const tell = (event) => { const cell = event.target.closest("button"); if (cell) hint.textContent = cell.getAttribute("aria-label"); };
    box.addEventListener("mouseover", tell);
    box.addEventListener("focusin", tell);
    box.addEventListener("click", (event) => {
      const cell = event.target.closest("button");
      if (!cell) return;
      const keys = D.cells[cell.dataset.cell] || [];
      show(cell.getAttribute("aria-label"), make("p", { class: "rule" }, keys.length < +cell.dataset.n ? D.words.first.replace("N", keys.length) : ""),
        make("div", { class: "strip" }, ...keys.map(([key, text]) => picture(key, cell.classList.contains("diag") ? "right" : "wrong", text))));
    });
    box.addEventListener("keydown", (event) => {
      const move = { ArrowLeft: [0, -1], ArrowRight: [0, 1], ArrowUp: [-1, 0], ArrowDown: [1, 0] }[event.key];
      const cell = event.target.closest("td");
      if (!move || !cell) return;
      event.preventDefault();
      let row = cell.parentElement, at = cell.cellIndex;
      for (;;) {
        row = move[0] < 0 ? row.previousElementSibling : move[0] > 0 ? row.nextElementSibling : row;
        at += move[1];
        if (!row || !row.cells[at]) return;
        const next = row.cells[at].querySelector("button");
        if (next) { next.focus(); return; }
      }
    });
  }

  // The gallery.
  const G = D.gallery;
  if (G) {
    const PAGE = 8;
    let most = PAGE;
    const fill = (select, values, chosen) => select.replaceChildren(...values.map(([value, text]) => {
      const one = make("option", { value }, text);
      one.selected = value === chosen;
      return one;
    }));
    const names = G.encoders.map((name) => [name, name]);
    fill($("g-one"), names, G.encoders[G.first]);
    fill($("g-two"), [["", D.words.none], ...names], "");
    fill($("g-bench"), G.benchmarks.map((one) => [one.name, one.name]), G.benchmarks[0].name);
    const bench = () => G.benchmarks.find((one) => one.name === $("g-bench").value);
    const categories = () => fill($("g-cat"), [["", D.words.all], ...[...new Set(bench().queries.map((one) => one.category))].sort().map((name) => [name, name])], "");
    const outcome = (found) => found === null ? "missed" : found.results.length && found.results[0][2] ? "hit" : "miss";
    const side = (query, found, encoder, metric, gallery) => {
      if (found === null) return make("div", { class: "side" }, make("div", { class: "who" }, `${encoder}: ${D.words.uncut}`));
      const strip = make("div", { class: "strip" }, ...found.results.map(([at, score, right], place) =>
        picture(gallery[at], right ? "right" : "wrong", `${right ? "✓" : "✗"} ${score.toFixed(3)}`,
          [["found", `place ${place + 1} for ${query.row_id} by ${encoder}: ${score.toFixed(3)} (${metric}), ${right ? "right" : "wrong"}`]])));
      const match = found.match;
      if (match && match[1] > found.results.length) strip.append(picture(gallery[match[0]], "match", `… ${match[2].toFixed(3)}`,
        [["missed", `the best right row came at rank ${match[1]} of ${gallery.length}`]]));
      const words = match === null ? D.words.nomatch : `right one at rank ${match[1]}`;
      return make("div", { class: "side" }, make("div", { class: "who" }, `${encoder} (${metric}): ${words}`), strip);
    };
    const draw = () => {
      const one = bench(), first = $("g-one").value, second = $("g-two").value;
      const chosen = one.queries.map((query, at) => ({ query, found: [first, second].filter(Boolean).map((name) => [name, G.rankings[name][one.name][at]]) }))
        .filter(({ query, found }) => (!$("g-cat").value || query.category === $("g-cat").value)
          && (!$("g-hit").value || outcome(found[0][1]) === $("g-hit").value));
      $("g-count").textContent = `${chosen.length} of ${one.queries.length} queries shown here (${one.total} in all), ${Math.min(most, chosen.length)} on the page.`;
      $("g-list").replaceChildren(...chosen.slice(0, most).map(({ query, found }) => {
        const tag = { hit: "✓ hit", miss: "✗ miss", missed: "✗ no crop" }[outcome(found[0][1])];
        return make("div", { class: "result" }, make("div", { class: "strip" }, picture(query.key, "query", "query", [["query", query.row_id]]),
          make("div", { class: "says" }, make("strong", { class: tag[0] === "✓" ? "right-t" : "wrong-t" }, tag), make("br"), query.row_id, make("br"), `category ${query.category}`)),
          ...found.map(([name, result]) => side(query, result, name, G.metrics[name], one.gallery)));
      }));
      $("g-more").hidden = chosen.length <= most;
    };
    const again = () => { most = PAGE; draw(); };
    $("g-bench").addEventListener("change", () => { categories(); again(); });
    for (const id of ["g-one", "g-two", "g-cat", "g-hit"]) $(id).addEventListener("change", again);
    $("g-more").addEventListener("click", () => { most += PAGE; draw(); });
    categories();
    draw();
  }

  // The map: colors and shapes by an attribute, a thumbnail at the pointer or the focus.
  const M = D.space;
  if (M) {
    const COLORS = ["#0072b2", "#d55e00", "#009e73", "#cc79a7", "#8a6d00", "#56b4e9", "#1b1f23", "#e69f00"];
    const SHAPES = [
      (x, y, r) => `M${x - r},${y}a${r},${r} 0 1,0 ${2 * r},0a${r},${r} 0 1,0 ${-2 * r},0`,
      (x, y, r) => `M${x - r},${y - r}h${2 * r}v${2 * r}h${-2 * r}z`,
      (x, y, r) => `M${x},${y - 1.3 * r}L${x + 1.2 * r},${y + r}H${x - 1.2 * r}z`,
      (x, y, r) => `M${x},${y - 1.4 * r}L${x + 1.4 * r},${y}L${x},${y + 1.4 * r}L${x - 1.4 * r},${y}z`,
    ];
    const shape = (kind) => SHAPES[(kind + Math.floor(kind / COLORS.length)) % SHAPES.length];  // 32 pairs with a color
    const map = $("map");
    const option = (select, values) => select.replaceChildren(...values.map((value) => make("option", { value }, value)));
    option($("m-enc"), M.encoders);
    $("m-enc").value = M.first;
    option($("m-bench"), M.benchmarks.map((one) => one.name));
    let points = [], at = -1;
    const one = () => M.benchmarks.find((each) => each.name === $("m-bench").value);
    const attributes = () => option($("m-attr"), Object.keys(one().attributes));
    const look = (place) => {
      at = place;
      const point = points[at];
      map.querySelector(".at")?.remove();
      map.append(svg("path", { class: "at", d: SHAPES[0](point.x, point.y, 8) }));
      const value = point.value;
      $("m-card").replaceChildren(image(point.key, point.key), make("p", {}, point.key), make("p", { class: "note" }, `${$("m-attr").value}: ${value}`),
        make("button", { type: "button", class: "more", onclick: () => openRow(point.key) }, D.words.open));
    };
    const draw = () => {
      const each = one(), name = $("m-attr").value, places = M.places[$("m-enc").value][each.name];
      const values = each.attributes[name], kinds = [...new Set(values)].sort();
      const sign = (value) => kinds.indexOf(value);
      map.replaceChildren(svg("title"));
      map.firstChild.textContent = `${places.length} rows of ${each.name} by ${$("m-enc").value}, colored by ${name}`;
      points = places.map(([x, y], place) => ({ x, y, key: each.keys[place], value: values[place] }));
      points.forEach((point, place) => {
        const kind = sign(point.value);
        const mark = svg("path", { d: shape(kind)(point.x, point.y, 5), fill: COLORS[kind % COLORS.length], "fill-opacity": .8, "data-at": place });
        map.append(mark);
      });
      $("m-legend").replaceChildren(...kinds.map((value) => {
        const kind = sign(value), icon = svg("svg", { viewBox: "0 0 14 14", "aria-hidden": "true" });
        icon.append(svg("path", { d: shape(kind)(7, 7, 5), fill: COLORS[kind % COLORS.length] }));
        return make("li", {}, icon, `${value} (${values.filter((other) => other === value).length})`);
      }));
      if (points.length) look(0);
    };
    map.addEventListener("mouseover", (event) => { if (event.target.dataset.at) look(+event.target.dataset.at); });
    map.addEventListener("click", (event) => { if (event.target.dataset.at) look(+event.target.dataset.at); });
    map.addEventListener("keydown", (event) => {
      const step = { ArrowRight: 1, ArrowDown: 1, ArrowLeft: -1, ArrowUp: -1 }[event.key];
      if (step && points.length) { event.preventDefault(); look((at + step + points.length) % points.length); }
      if ((event.key === "Enter" || event.key === " ") && at >= 0) { event.preventDefault(); openRow(points[at].key); }
    });
    $("m-bench").addEventListener("change", () => { attributes(); draw(); });
    for (const id of ["m-enc", "m-attr"]) $(id).addEventListener("change", draw);
    attributes();
    draw();
  }
})();
