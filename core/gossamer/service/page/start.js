// Where everything is joined: files, settings, grounds, theme.
const keep = (storage, name, value) => { try { storage.setItem(name, value); } catch { /* a browser that keeps nothing */ } };
const kept = (storage, name) => { try { return storage.getItem(name); } catch { return null; } };

$("file").onchange = () => { open($("file").files[0]); $("file").value = ""; };
$("another").onclick = () => $("file").click();
for (const kind of ["dragenter", "dragover"]) {
  addEventListener(kind, event => { event.preventDefault(); $("frame").classList.add("over"); });
}
addEventListener("dragleave", event => { if (!event.relatedTarget) $("frame").classList.remove("over"); });
addEventListener("drop", event => {
  event.preventDefault();
  $("frame").classList.remove("over");
  open(event.dataTransfer.files[0]);
});
addEventListener("paste", event => { if (event.clipboardData.files.length) open(event.clipboardData.files[0]); });

let soon = 0;
onchange = () => {
  written();
  clearTimeout(soon);
  soon = setTimeout(cut, 200);
};
$("reset").onclick = reset;
$("cancel").onclick = () => line?.abort();
$("save").onclick = save;
for (const id of ["format", "flat"]) $(id).onchange = written;

function grounded() {
  document.documentElement.style.setProperty("--own", $("own").value);
  if (ground()) document.documentElement.style.setProperty("--ground", ground());
  else document.documentElement.style.removeProperty("--ground");
  written();
}
for (const radio of document.querySelectorAll('[name="ground"]')) radio.onchange = grounded;
$("own").oninput = () => { document.querySelector('[name="ground"][value="own"]').checked = true; grounded(); };
$("zoom").onchange = zoomed;
addEventListener("resize", fit);
$("wipe").oninput = () => document.documentElement.style.setProperty("--cut", `${$("wipe").value}%`);

$("copy").onclick = async () => {
  try {
    await navigator.clipboard.writeText($("curl").textContent);
    say("The line is copied.");
  } catch { // only pages of this machine, or by https, may
    getSelection().selectAllChildren($("curl"));
    say("The line is selected: copy it with Ctrl+C.");
  }
};

const dark = matchMedia("(prefers-color-scheme: dark)");
const theme = choice => { document.documentElement.dataset.theme = choice || (dark.matches ? "dark" : "light"); };
$("theme").onclick = () => {
  const other = document.documentElement.dataset.theme === "dark" ? "light" : "dark";
  theme(other);
  keep(localStorage, "gossamer:theme", other);
};
dark.onchange = () => theme(kept(localStorage, "gossamer:theme"));
theme(kept(localStorage, "gossamer:theme"));

// The key stays in this tab, for as long as it is open.
$("keyed").hidden = !TOLD.keyed;
$("key").value = TOLD.keyed ? kept(sessionStorage, "gossamer:key") ?? "" : "";
async function greet() {
  if (TOLD.keyed && !$("key").value) { say("This service takes a key: give yours above."); return; }
  try {
    if (await models(headers())) { keep(sessionStorage, "gossamer:key", $("key").value); say(""); }
    else say("That key is not known here.", true);
  } catch { say("The service does not answer. Is it running?", true); }
}
$("key").onchange = greet;
$("keyed").onsubmit = event => { event.preventDefault(); greet(); };
grounded();
greet();
