// What is kept: in this browser where it allows that, else until the page is closed.
const KEY = `gossamer-report:${data.id}`;
let keeps = true, unsaved = false;
let decisions = new Map();
const recall = key => { try { return localStorage.getItem(key); } catch { keeps = false; return null; } };
const remember = (key, value) => { try { localStorage.setItem(key, value); keeps = true; } catch { keeps = false; } };

function load() {
  let kept = [];
  try { kept = JSON.parse(recall(KEY) ?? "[]"); } catch { /* of another program: nothing is lost that was ours */ }
  for (const [id, decision, finished] of Array.isArray(kept) ? kept : []) {
    // What was made again since it was judged has to be judged again.
    if (known.has(id) && SAID[decision] && known.get(id).finished === finished) decisions.set(id, decision);
  }
  remember(`${KEY}:try`, "");
  try { localStorage.removeItem(`${KEY}:try`); } catch { /* told below */ }
  if (!keeps) notice("This browser does not keep decisions for this page: export them before you close it.");
}

function store() {
  remember(KEY, JSON.stringify([...decisions].map(([id, decision]) => [id, decision, known.get(id).finished])));
  unsaved = !keeps;
}

function notice(text) {
  $("notice").textContent = text;
  $("notice").hidden = !text;
}
addEventListener("beforeunload", event => { if (unsaved && decisions.size) event.preventDefault(); });

// Decisions.
function verdict(row) {
  for (const button of document.querySelectorAll(".verdict [data-decision]")) {
    if (button.dataset.decision) button.setAttribute("aria-pressed", String(decisions.get(row.id) === button.dataset.decision));
  }
}

function decide(decision) {
  const row = rows[current];
  if (!row) return;
  const here = place();
  if (decision) decisions.set(row.id, decision); else decisions.delete(row.id);
  store();
  tally();
  say(`${visible(row.stem)}: ${SAID[decision] ?? "undecided"}.`);
  if ($("decision").value || $("sort").value === "decision") {
    // It may have left the list, or its place in it: what came after it is looked at next.
    current = (decision ? shown[here + 1] ?? shown[here - 1] ?? row : row).index;
    filter();
    return;
  }
  redraw(here);
  if (decision && here + 1 < shown.length) select(here + 1); else verdict(row);
}

function tally() {
  const counts = { accept: 0, reject: 0, redo: 0 };
  for (const decision of decisions.values()) counts[decision]++;
  const parts = Object.entries(counts).filter(([, count]) => count).map(([name, count]) => `${number(count)} ${SAID[name].toLowerCase()}`);
  $("tally").textContent = parts.length ? parts.join(" · ") : "Nothing decided yet";
  $("csv").disabled = $("json").disabled = !decisions.size;
}

function save(name, kind, text) {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(new Blob([text], { type: kind }));
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 10_000);
  unsaved = false;
}
const decided = () => rows.filter(row => decisions.has(row.id)).map(row => ({ source: row.id, decision: decisions.get(row.id) }));
const quoted = text => /[",\r\n]|^\s|\s$/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
$("csv").onclick = () => {
  const lines = decided();
  const odd = lines.filter(({ source }) => /[\p{Cs}\r]/u.test(source)).length;
  if (odd) notice(`CSV cannot hold ${counted(odd, "of these names", "of these names")}, which are not in UTF-8 or have line breaks: export JSON instead.`);
  save("decisions.csv", "text/csv", `\ufeffsource,decision\r\n${lines.map(({ source, decision }) => `${quoted(source)},${decision}\r\n`).join("")}`);
};
$("json").onclick = () => save("decisions.json", "application/json", `${JSON.stringify(decided(), null, 1)}\n`);
$("import").onclick = () => $("file").click();
$("file").onchange = async () => {
  const text = (await $("file").files[0]?.text() ?? "").replace(/^\ufeff/, "");
  $("file").value = "";
  let taken = 0;
  try {
    for (const { source, decision } of text.trimStart().startsWith("[") ? JSON.parse(text) : table(text)) {
      if (known.has(source) && SAID[decision]) { decisions.set(source, decision); taken++; }
    }
    notice(`${counted(taken, "decision")} taken.`);
  } catch { notice("That file holds no decisions: choose a CSV or JSON file that this page exported."); }
  store();
  tally();
  filter();
  show(rows[current]);
};

function table(text) { // RFC 4180
  const records = [[""]];
  for (let at = 0, within = false; at < text.length; at++) {
    const letter = text[at], line = records.at(-1);
    if (letter === '"' && within && text[at + 1] === '"') { line[line.length - 1] += '"'; at++; }
    else if (letter === '"') within = !within;
    else if (letter === "," && !within) line.push("");
    else if (letter === "\n" && !within) records.push([""]);
    else if (letter !== "\r" || within) line[line.length - 1] += letter;
  }
  const [head, ...body] = records;
  const columns = [head.indexOf("source"), head.indexOf("decision")];
  if (columns.includes(-1)) throw new Error("no such columns");
  return body.map(line => ({ source: line[columns[0]], decision: line[columns[1]] }));
}
