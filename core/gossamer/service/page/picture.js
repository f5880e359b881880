// A picture: sent, waited for, shown.
const PREVIEW = 1_000_000; // pixels of what is shown while settings are tried
let photo = null; // {file, name, blob, url, width, height, factor}
let shown = null; // {blob, url, width, height} of the cut-out
let line = null; // the request that is waited for

const headers = () => ($("key").value ? { "X-Api-Key": $("key").value } : {});

function say(text, wrong = false) {
  if ($("said").textContent !== text) $("said").textContent = text;
  $("said").classList.toggle("wrong", wrong);
}

// Ask for a cut-out; `heard(fraction, message)` is told how far it is.
function ask(blob, name, fields, heard) {
  const form = new FormData();
  for (const [field, value] of Object.entries(fields)) form.append(field, value);
  form.append("image", blob, name);
  const request = new XMLHttpRequest();
  let read = 0, last = null;
  const take = () => {
    for (let end; (end = request.responseText.indexOf("\n", read)) >= 0; read = end + 1) {
      last = JSON.parse(request.responseText.slice(read, end));
      if ("progress" in last) heard(0.1 + 0.9 * last.progress, last.message);
    }
  };
  const done = new Promise((resolve, reject) => {
    request.open("POST", "v1/cutouts");
    request.setRequestHeader("Accept", "application/x-ndjson");
    for (const [header, value] of Object.entries(headers())) request.setRequestHeader(header, value);
    request.upload.onprogress = event => { if (event.lengthComputable) heard(0.1 * event.loaded / event.total, "Sending the picture"); };
    request.onprogress = () => { if (request.status === 200) take(); };
    request.onabort = () => reject(new DOMException("Stopped.", "AbortError"));
    request.onerror = () => reject(new Error("The service does not answer. Is it running?"));
    request.onload = () => {
      try {
        if (request.status === 200) take(); else last = JSON.parse(request.responseText);
        if (last?.error) throw new Error(`${last.error.message} ${last.error.remedy}`);
        if (!last?.image) throw new Error("The service ended in the middle of its answer.");
        const bytes = Uint8Array.from(atob(last.image), sign => sign.charCodeAt(0));
        resolve({ ...last, image: null, blob: new Blob([bytes], { type: last.media_type }) });
      } catch (error) { reject(error); }
    };
    request.send(form);
  });
  return { done, abort: () => request.abort() };
}

async function wait(make) {
  line?.abort();
  const own = line = make((fraction, message) => { if (own === line) { $("bar").value = fraction; say(message); } });
  $("bar").value = 0;
  $("bar").hidden = $("cancel").hidden = false;
  try {
    return await own.done;
  } catch (error) {
    if (own === line) say(error.message, error.name !== "AbortError");
    return null;
  } finally {
    if (own === line) { line = null; $("bar").hidden = $("cancel").hidden = true; }
  }
}

async function open(file) {
  if (!file) return;
  if (file.size > TOLD.megabytes * 1e6) { say(`The picture is larger than the ${TOLD.megabytes} MB that this service takes.`, true); return; }
  line?.abort();
  if (photo) URL.revokeObjectURL(photo.url);
  photo = { file, name: file.name || "picture.png", blob: file, url: null, width: 0, height: 0, factor: 1 };
  show(null);
  try {
    const bitmap = await createImageBitmap(file);
    Object.assign(photo, { width: bitmap.width, height: bitmap.height });
    const factor = Math.sqrt(PREVIEW / (bitmap.width * bitmap.height));
    if (factor < 1) {
      const canvas = document.createElement("canvas");
      canvas.width = Math.round(bitmap.width * factor);
      canvas.height = Math.round(bitmap.height * factor);
      const draw = canvas.getContext("2d");
      draw.imageSmoothingQuality = "high";
      draw.drawImage(bitmap, 0, 0, canvas.width, canvas.height);
      photo.blob = await new Promise(resolve => canvas.toBlob(resolve, "image/png"));
      photo.factor = factor;
    }
    bitmap.close();
    photo.url = URL.createObjectURL(photo.blob);
  } catch {
    photo.url = ""; // the browser cannot read it; the service may
  }
  $("before").src = photo.url || "data:,";
  $("another").hidden = false;
  $("save").disabled = false;
  written();
  await cut();
}

async function cut() {
  if (!photo) return;
  const mine = photo;
  const made = await wait(heard => ask(mine.blob, mine.name, { ...sent(mine.factor), format: "png", keep_mask: "true" }, heard));
  if (!made || mine !== photo) return;
  show(made);
  const seconds = Object.values(made.seconds).reduce((sum, each) => sum + each, 0);
  say([`Cut out with ${made.model || "no model"} in ${seconds.toFixed(1)} s.`, ...made.warnings].join(" "));
}

function show(made) {
  if (shown) URL.revokeObjectURL(shown.url);
  shown = made && { ...made, url: URL.createObjectURL(made.blob) };
  $("drop").hidden = Boolean(photo);
  $("stage").hidden = !shown;
  if (!shown) { $("about").textContent = ""; return; }
  $("after").src = shown.url;
  const [width, height] = [Math.round(photo.width * photo.factor), Math.round(photo.height * photo.factor)];
  $("stage").classList.toggle("single", !photo.url || shown.width !== width || shown.height !== height);
  $("about").textContent = photo.factor < 1
    ? `Shown at ${shown.width} × ${shown.height}; the file is made from all ${photo.width} × ${photo.height} pixels.`
    : `${shown.width} × ${shown.height}`;
  fit();
}

function fit() {
  if (!shown) return;
  const zoom = Number($("zoom").value), frame = $("frame");
  const whole = Math.min(frame.clientWidth / shown.width, frame.clientHeight / shown.height, 1);
  const scale = zoom ? zoom / devicePixelRatio : whole;
  $("stage").style.width = `${Math.round(shown.width * scale)}px`;
  $("stage").style.height = `${Math.round(shown.height * scale)}px`;
  $("stage").classList.toggle("large", zoom > 1);
}

function zoomed() {
  fit();
  const frame = $("frame"); // the middle first: there the subject is, mostly
  frame.scrollTo((frame.scrollWidth - frame.clientWidth) / 2, (frame.scrollHeight - frame.clientHeight) / 2);
}

const ground = () => {
  const chosen = document.querySelector('[name="ground"]:checked').value;
  return chosen === "own" ? $("own").value : chosen === "checker" ? "" : chosen;
};

// What the file is: a JPEG has a background always.
function finished() {
  const fields = { ...sent(), format: $("format").value };
  if ($("flat").checked && ground()) fields.background = ground();
  if (fields.format === "jpeg" && !fields.background) fields.background = ground() || "#ffffff";
  return fields;
}

function fileName() {
  return `${photo.name.replace(/\.[^.]*$/, "")}.cutout.${$("format").value === "jpeg" ? "jpg" : $("format").value}`;
}

async function save() {
  const mine = photo, fields = finished(), name = fileName();
  const made = await wait(heard => ask(mine.file, mine.name, { ...fields, keep_mask: "true" }, heard));
  if (!made) return;
  const link = make("a", { href: URL.createObjectURL(made.blob), download: name });
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 60_000);
  say(`${name}: ${made.width} × ${made.height}, ${(made.blob.size / 1e6).toFixed(1)} MB.`);
}

// The line for a shell of POSIX.
const quoted = text => (/^[\w@%+=:,.\/-]+$/.test(text) ? text : `'${text.replaceAll("'", "'\\''")}'`);
function written() {
  const name = photo?.name ?? "photo.jpg";
  const path = /[",;\\]/.test(name) ? `"${name.replace(/["\\]/g, "\\$&")}"` : name;
  const parts = ["curl"];
  if (TOLD.keyed) parts.push('-H "X-Api-Key: $KEY"');
  parts.push(`-F ${quoted(`image=@${path}`)}`);
  const fields = photo ? finished() : { ...sent(), format: $("format").value };
  for (const [field, value] of Object.entries(fields)) {
    if (field === "format" && value === "png") continue;
    parts.push(`${/^[@<]|;/.test(value) ? "--form-string" : "-F"} ${quoted(`${field}=${value}`)}`);
  }
  parts.push(new URL("v1/cutouts", location.href).href, `-o ${quoted(photo ? fileName() : "photo.cutout.png")}`);
  $("curl").textContent = parts.join(" ");
}
