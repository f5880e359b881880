// One picture.
let flipped = false, beside = false;

function show(row) {
  $("picture").hidden = !row;
  if (!row) return;
  $("name").replaceChildren(make("bdi", "", row.stem));
  const size = row.width ? `${row.width} × ${row.height}` : "", took = row.seconds ? `${number(row.seconds)} s` : "";
  const score = row.score === null ? "" : `score ${number(row.score)}`;
  $("about").textContent = visible([row.folder, size, score, row.model, took].filter(Boolean).join(" · "));
  const detail = pictures("d", row.index), small = pictures("t", row.index) ?? {};
  const before = detail?.photo || small.before || "", after = detail?.cutout || small.after || "";
  stage(row, before, after, Boolean(detail?.apart ?? small.apart), detail?.shadow || "");
  findings(row, detail, before || after);
  zooms(detail?.zooms ?? []);
  links(row);
  const numbers = Object.entries(row.measures ?? {}).filter(([, value]) => value !== null);
  $("numbers").hidden = !numbers.length;
  $("measures").replaceChildren(...numbers.map(([name, value]) => make("tr", "", null, [
    make("td", "", name.replaceAll("_", " ")), make("td", "", typeof value === "number" ? number(value, 4) : String(value))])));
  verdict(row);
}

function stage(row, before, after, apart, shadow) {
  const single = !before || !after, split = !single && (beside || apart);
  $("stage").className = single ? "single" : split ? "beside" : "";
  $("stage").hidden = $("grounds").hidden = !before && !after;
  $("beside").disabled = single || apart;
  $("beside").setAttribute("aria-pressed", String(split));
  for (const [id, picture, words] of [["before", before, "Photograph"], ["after", after, "Cut-out"]]) {
    $(id).parentElement.hidden = !picture;
    $(id).src = picture ? address(picture) : "data:,";
    $(id).alt = `${words} of ${visible(row.stem)}`;
  }
  $("shade").hidden = !shadow;
  $("shadow").src = shadow ? address(shadow) : "data:,";
  $("shadow").alt = `Shadow of ${visible(row.stem)}`;
  $("wipe").value = 50;
  wipe();
  const fit = () => {
    const image = after ? $("after") : $("before"), wide = row.width || image.naturalWidth || 4, high = row.height || image.naturalHeight || 3;
    const most = Math.max(innerHeight * 0.58, 220), columns = split ? 2 : 1;
    const one = Math.max(Math.min(most * wide / high, 1100), 120);
    $("stage").style.width = `${Math.round(one * columns)}px`;
    const left = $("stage").parentElement.clientWidth - one * columns - 16; // beside it, or below where that is too little
    $("shade").style.width = `${Math.floor(Math.min(one * 0.6, left < 140 ? Infinity : left))}px`;
    $("stage").style.aspectRatio = `${wide * columns} / ${high}`;
  };
  fit();
  (after ? $("after") : $("before")).onload = fit;
}

function wipe() {
  $("stage").style.setProperty("--cut", `${$("wipe").value}%`);
  $("wipe").setAttribute("aria-valuetext", `${$("wipe").value} % photograph`);
}
$("wipe").addEventListener("input", wipe);

function findings(row, detail, any) {
  const lines = [];
  if (row.error) lines.push(finding("failed", "Failed", row.error.message, row.error.remedy));
  for (const flag of row.flags) lines.push(finding(flag.severity === "note" ? "" : "fault", flag.name, flag.reason, flag.remedy));
  if (row.used) lines.push(finding("told", "Recipe", row.used));
  for (const text of [...row.notes, ...(detail?.notes ?? [])]) lines.push(finding("told", "Note", text));
  for (const text of row.warnings) lines.push(finding("told", "Warning", text));
  if (!detail && any) lines.push(finding("told", "Small", `This file is limited to ${data.megabytes} MB: of this picture it holds the small one alone.`));
  $("findings").replaceChildren(...lines);
}
const finding = (kind, title, text, remedy = "") => make("p", kind, null, [make("b", "", title), visible(text), " ", make("i", "", remedy)]);

function zooms(places) {
  $("edges").hidden = !places.length;
  const by = Number($("scale").value);
  $("zooms").replaceChildren(...places.map(zoom => {
    const own = Object.assign(new Image(), { src: address(zoom.after), alt: `Edge of the cut-out at ${zoom.left}, ${zoom.top}` });
    const layer = make("div", "layer ground", null, [own]);
    if (zoom.before) {
      const photo = make("img", `behind${flipped ? " up" : ""}`);
      Object.assign(photo, { src: address(zoom.before), alt: "The same of the photograph" });
      layer.append(photo);
      layer.addEventListener("pointerdown", () => photo.classList.toggle("up", !flipped));
      for (const end of ["pointerup", "pointerleave", "pointercancel"]) layer.addEventListener(end, () => photo.classList.toggle("up", flipped));
    }
    layer.style.width = layer.style.height = `${zoom.side * by}px`;
    return make("figure", "", null, [layer, make("figcaption", "", `at ${zoom.left}, ${zoom.top}; ${zoom.side} pixels`)]);
  }));
}

function links(row) {
  const parts = [["Open the cut-out", row.outputLink], ["Open its shadow", row.shadowLink], ["Open the photograph", row.sourceLink]].filter(([, link]) => link);
  $("files").replaceChildren(...parts.map(([text, link]) => {
    const anchor = make("a", "", text);
    anchor.href = link; // made by Gossamer of file names, percent-encoded: of the scheme file: or relative
    anchor.target = "_blank";
    anchor.rel = "noreferrer noopener";
    return anchor;
  }));
}
