// Which rows are shown, and in which order.
const chosen = { state: "", flags: new Set() };
let shown = [], current = -1; // the rows that pass, and the index in `rows` of the one that is looked at
const faults = row => row.flags.filter(flag => flag.severity !== "note").length;
const GRAVE = ["failed", "pending", "set-aside"]; // and then what has a fault or was changed, what is done, what was no picture
const trouble = row => GRAVE.includes(row.state) ? 5 - GRAVE.indexOf(row.state) : row.state === "skipped" ? 0 : faults(row) || row.changed ? 2 : 1;
const nothing = value => value ?? Infinity;
const SORTS = {
  worst: (a, b) => trouble(b) - trouble(a) || nothing(a.score) - nothing(b.score),
  name: (a, b) => order(a.stem, b.stem),
  folder: (a, b) => order(a.folder, b.folder),
  score: (a, b) => nothing(a.score) - nothing(b.score),
  flags: (a, b) => b.flags.length - a.flags.length,
  state: (a, b) => order(a.state, b.state),
  decision: (a, b) => order(decisions.get(a.id) ?? "~", decisions.get(b.id) ?? "~"),
  size: (a, b) => b.width * b.height - a.width * a.height,
  seconds: (a, b) => b.seconds - a.seconds,
  finished: (a, b) => order(a.finished, b.finished),
};

function passes(row) {
  const words = $("search").value.toLowerCase().split(/\s+/).filter(Boolean);
  const folder = $("folder").value, decision = $("decision").value, said = decisions.get(row.id) ?? "none";
  return words.every(word => row.lower.includes(word) || row.words.includes(` ${word}`))
    && (!folder || row.folder === folder.slice(1) || row.folder.startsWith(`${folder.slice(1)}/`))
    && (!decision || decision === said)
    && (!chosen.state || row.state === chosen.state)
    && (!chosen.flags.size || row.flags.some(flag => chosen.flags.has(flag.name))
      || (chosen.flags.has("") && !row.flags.length));
}

function filter(again = false) { // again: from the first row on
  const compare = SORTS[$("sort").value], turned = $("turn").getAttribute("aria-pressed") === "true" ? -1 : 1;
  shown = rows.filter(passes).sort((a, b) => turned * compare(a, b) || order(a.source, b.source));
  $("shown").textContent = shown.length === rows.length ? counted(rows.length, "picture") : `${number(shown.length)} of ${counted(rows.length, "picture")}`;
  $("rows").style.height = `${shown.length * HEIGHT}px`;
  draw(true);
  const here = again ? -1 : place();
  select(here < 0 && shown.length ? 0 : here);
}

// What can be chosen.
function tallied(values) {
  const counts = new Map();
  for (const value of values) counts.set(value, (counts.get(value) ?? 0) + 1);
  return counts;
}

function chip(text, count, pressed, act) {
  const button = make("button", "", text, []);
  button.type = "button";
  button.append(make("span", "count", number(count)));
  button.setAttribute("aria-pressed", String(pressed));
  button.onclick = () => { act(); chips(); filter(); };
  return button;
}

function chips() {
  const states = tallied(rows.map(row => row.state)), flags = tallied(rows.flatMap(row => [...new Set(row.flags.map(flag => flag.name))]));
  const focused = document.activeElement?.dataset?.chip;
  $("states").replaceChildren(
    chip("All", rows.length, !chosen.state, () => { chosen.state = ""; }),
    ...[...states].sort().map(([state, count]) => chip(STATES[state] ?? state, count, chosen.state === state, () => { chosen.state = chosen.state === state ? "" : state; })),
  );
  const toggle = name => () => { if (!chosen.flags.delete(name)) chosen.flags.add(name); };
  const clear = rows.filter(row => !row.flags.length).length;
  $("flags").replaceChildren(...(flags.size ? [
    ...[...flags].sort((a, b) => b[1] - a[1]).map(([name, count]) => chip(name, count, chosen.flags.has(name), toggle(name))),
    chip("no flag", clear, chosen.flags.has(""), toggle("")),
  ] : []));
  for (const line of ["states", "flags"]) [...$(line).children].forEach((button, at) => { button.dataset.chip = `${line}${at}`; });
  if (focused) document.querySelector(`[data-chip="${focused}"]`)?.focus();
}

function folders() {
  const every = new Set(rows.map(row => row.folder));
  for (const folder of [...every]) { // and those that hold them
    const parts = folder.split("/");
    while (parts.length > 1) { parts.pop(); every.add(parts.join("/")); }
  }
  const option = (value, text) => Object.assign(make("option", "", text), { value });
  $("folder").replaceChildren(option("", "All folders"), ...[...every].filter(Boolean).sort(order).map(name => option(`/${name}`, name)));
  $("folder").parentElement.hidden = every.size < 2;
}

// The list: only what is in sight exists.
const living = new Map(); // position -> element
let waiting = false;
$("list").addEventListener("scroll", () => {
  if (!waiting) { waiting = true; requestAnimationFrame(() => { waiting = false; draw(); }); }
}, { passive: true });
new ResizeObserver(() => draw()).observe($("list"));

function draw(anew = false) {
  const top = $("list").scrollTop, tall = $("list").clientHeight;
  const first = Math.max(Math.floor(top / HEIGHT) - SPARE, 0);
  const last = Math.min(Math.ceil((top + tall) / HEIGHT) + SPARE, shown.length);
  for (const [place, element] of living) {
    if (anew || place < first || place >= last) { element.remove(); living.delete(place); }
  }
  for (let place = first; place < last; place++) {
    if (living.has(place)) continue;
    const element = rowOf(shown[place], place);
    living.set(place, element);
    $("rows").append(element);
  }
}

function redraw(place) {
  const element = living.get(place);
  if (!element) return;
  living.set(place, rowOf(shown[place], place));
  element.replaceWith(living.get(place));
}

function rowOf(row, place) {
  const element = make("div", "row"), said = decisions.get(row.id);
  element.id = `row-${row.index}`;
  element.style.top = `${place * HEIGHT}px`;
  element.setAttribute("role", "option");
  element.setAttribute("aria-selected", String(row.index === current));
  element.setAttribute("aria-setsize", shown.length);
  element.setAttribute("aria-posinset", place + 1);
  element.setAttribute("aria-label", visible([
    row.source, STATES[row.state] ?? row.state, row.score === null ? "" : `score ${number(row.score)}`,
    row.flags.length ? `flags ${row.flags.map(flag => flag.name).join(", ")}` : "", SAID[said] ?? "",
  ].filter(Boolean).join(", ")));
  const small = pictures("t", row.index);
  const before = make("span"), after = make("span", small?.after ? "ground" : "");
  for (const [place, picture] of [[before, small?.before], [after, small?.after]]) {
    if (picture) place.append(Object.assign(new Image(), { src: address(picture), alt: "", decoding: "async" }));
  }
  const marks = make("span", "marks");
  if (row.state !== "done") marks.append(make("span", `mark ${row.state}`, STATES[row.state] ?? row.state));
  for (const flag of row.flags) marks.append(make("span", `mark ${flag.severity === "note" ? "" : "fault"}`, flag.name));
  if (row.changed) marks.append(make("span", "mark set-aside", "changed"));
  const name = make("bdi", "stem", row.stem);
  name.title = visible(row.source);
  const tail = make("span", "tail", null, [
    make("span", "score", row.score === null ? "–" : number(row.score, 0)), make("span", `said ${said ?? ""}`, SAID[said] ?? ""),
  ]);
  element.append(
    make("span", "pair", null, [before, after]),
    make("span", "what", null, [name, make("bdi", "where", row.error ? row.error.message : row.folder), marks]), tail,
  );
  return element;
}

function pictures(kind, index) {
  const element = $(`${kind}${index}`); // it may not have arrived yet while the file is being read
  return element ? JSON.parse(element.textContent) : null;
}
const address = picture => `data:image/webp;base64,${picture}`;

$("list").addEventListener("click", event => {
  const element = event.target.closest(".row");
  if (element) { select(shown.findIndex(row => `row-${row.index}` === element.id)); open(true); }
});

function select(place, bring = true) {
  const row = shown[place];
  for (const element of living.values()) element.setAttribute("aria-selected", String(row !== undefined && element.id === `row-${row.index}`));
  current = row ? row.index : -1;
  if (row && bring) {
    const list = $("list"), top = place * HEIGHT;
    if (top < list.scrollTop) list.scrollTop = top;
    if (top + HEIGHT > list.scrollTop + list.clientHeight) list.scrollTop = top + HEIGHT - list.clientHeight;
    draw();
  }
  if (row) $("list").setAttribute("aria-activedescendant", `row-${row.index}`);
  else $("list").removeAttribute("aria-activedescendant");
  show(row);
}
const place = () => shown.findIndex(row => row.index === current);
const step = by => { if (shown.length) select(Math.min(Math.max(place() + by, 0), shown.length - 1)); };
