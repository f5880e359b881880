// Grounds, theme, keys.
function ground(name) {
  const colour = name === "brand" ? $("brand").value : name;
  document.documentElement.style.setProperty("--brand", $("brand").value);
  if (name === "checker") document.documentElement.style.removeProperty("--ground");
  else document.documentElement.style.setProperty("--ground", colour);
  const radio = document.querySelector(`[name="ground"][value="${name}"]`);
  radio.checked = true;
}
const grounded = () => document.querySelector('[name="ground"]:checked').value;
for (const radio of document.querySelectorAll('[name="ground"]')) radio.onchange = () => ground(radio.value);
$("brand").oninput = () => { ground("brand"); remember("gossamer-report:brand", $("brand").value); };

const dark = matchMedia("(prefers-color-scheme: dark)");
function theme(choice) {
  document.documentElement.dataset.theme = choice || (dark.matches ? "dark" : "light");
}
$("theme").onclick = () => {
  const other = document.documentElement.dataset.theme === "dark" ? "light" : "dark";
  theme(other);
  remember("gossamer-report:theme", other);
};
dark.onchange = () => theme(recall("gossamer-report:theme"));

function flip() {
  flipped = !flipped;
  $("flip").setAttribute("aria-pressed", String(flipped));
  for (const photo of document.querySelectorAll("#zooms .behind")) photo.classList.toggle("up", flipped);
}
$("flip").onclick = flip;
$("scale").onchange = () => show(rows[current]);
$("beside").onclick = () => { beside = !beside; show(rows[current]); };
$("previous").onclick = () => step(-1);
$("next").onclick = () => step(1);
for (const button of document.querySelectorAll(".verdict [data-decision]")) button.onclick = () => decide(button.dataset.decision);

let left = null; // where the page was when one picture took its place, on small screens
function open(yes) {
  if (yes === document.body.classList.contains("open")) return;
  document.body.classList.toggle("open", yes);
  if (getComputedStyle($("back")).display === "none") return;
  if (yes) { left = document.activeElement; $("picture").focus(); $("picture").scrollTop = 0; } else (left ?? $("list")).focus();
}
$("back").onclick = () => open(false);
$("keys").onclick = () => $("help").showModal();

const KEYS = {
  j: () => step(1), k: () => step(-1), a: () => decide("accept"), r: () => decide("reject"), d: () => decide("redo"), u: () => decide(""),
  b: () => ground(GROUNDS[(GROUNDS.indexOf(grounded()) + 1) % GROUNDS.length]), f: flip, s: () => $("beside").disabled || $("beside").click(),
  "/": () => $("search").focus(), "?": () => $("help").showModal(), Escape: () => open(false),
};
const LIST = { ArrowDown: 1, ArrowUp: -1, PageDown: 8, PageUp: -8, Home: -Infinity, End: Infinity };
addEventListener("keydown", event => {
  if (event.ctrlKey || event.metaKey || event.altKey || $("help").open) return;
  const where = event.target;
  if (where.id === "search" && event.key === "Escape") { where.blur(); return; }
  if (where.matches('input:not([type="range"], [type="radio"]), select')) return;
  if (where === $("list") && event.key in LIST) { event.preventDefault(); step(LIST[event.key]); return; }
  if (where === $("list") && event.key === "Enter") { open(true); return; }
  const act = KEYS[event.key.length === 1 ? event.key.toLowerCase() : event.key];
  if (act) { event.preventDefault(); act(); }
});

// Begin.
theme(recall("gossamer-report:theme"));
$("brand").value = recall("gossamer-report:brand") ?? $("brand").value;
ground("checker");
$("title").textContent = visible(data.title);
$("summary").textContent = visible(data.summary);
$("again").textContent = visible(data.again);
load();
if (data.notes.length && $("notice").hidden) notice(visible(data.notes.join(" ")));
for (const id of ["search", "folder", "decision"]) $(id).addEventListener("input", () => filter());
$("sort").addEventListener("input", () => filter(true));
$("turn").onclick = () => { $("turn").setAttribute("aria-pressed", String($("turn").getAttribute("aria-pressed") !== "true")); filter(true); };
folders();
chips();
tally();
filter();
addEventListener("resize", () => show(rows[current]));
document.addEventListener("DOMContentLoaded", () => { draw(true); show(rows[current]); });
