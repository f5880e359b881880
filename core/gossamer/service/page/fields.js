"use strict";
// The settings, made from what the service tells of them.
const $ = id => document.getElementById(id);
const TOLD = JSON.parse($("data").textContent);
const FIELDS = new Map(TOLD.groups.flatMap(group => group.fields.map(field => [field.name, field])));
const values = new Map(); // what differs from the defaults

function make(tag, attributes = {}, ...inside) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (value === false || value === null) continue;
    made.setAttribute(name, value === true ? "" : value);
  }
  made.append(...inside);
  return made;
}

// Sliders of wide ranges are finer near zero: their place is the root of the value.
const wide = field => field.most - field.least > 20;
function place(field, value) {
  if (!wide(field)) return value;
  return Math.sign(value) * Math.sqrt(Math.abs(value));
}
function worth(field, at) {
  const value = wide(field) ? Math.sign(at) * at * at : at;
  const step = field.step || (field.kind === "int" ? 1 : wide(field) ? 0.1 : 0.01);
  const rounded = Math.round(value / step) * step;
  return Number(Math.min(Math.max(rounded, field.least), field.most).toFixed(2));
}

function control(field, changed) {
  const id = `field-${field.name}`, help = `help-${field.name}`;
  const named = { id, "aria-describedby": help };
  if (field.kind === "bool") {
    const box = make("input", { ...named, type: "checkbox" });
    box.onchange = () => changed(box.checked);
    return { shown: box, show: value => { box.checked = value; } };
  }
  if (field.kind === "choice" || field.name === "model") {
    const select = make("select", named, ...(field.choices.length ? field.choices : ["auto"]).map(one => make("option", { value: one }, one)));
    select.onchange = () => changed(select.value);
    return { shown: select, show: value => { select.value = value; } };
  }
  if (field.kind === "text" || field.least === null || field.most === null) {
    const text = make("input", { ...named, type: "text", autocomplete: "off", spellcheck: "false" });
    text.oninput = () => changed(text.value.trim() || field.default);
    return { shown: text, show: value => { text.value = value ?? ""; } };
  }
  const number = make("input", {
    ...named, type: "number", min: field.least, max: field.most, step: field.step || (field.kind === "int" ? 1 : "any"), inputmode: "decimal",
  });
  const slider = make("input", {
    type: "range", min: place(field, field.least), max: place(field, field.most), step: "any", "aria-label": `${field.title}, slider`,
  });
  number.oninput = () => {
    const value = Number(number.value);
    if (number.value === "" || !number.checkValidity()) return;
    slider.value = place(field, value);
    changed(value);
  };
  slider.oninput = () => {
    number.value = worth(field, Number(slider.value));
    changed(Number(number.value));
  };
  // The keyboard goes by steps that are seen, not by thousandths of the range.
  slider.onkeydown = event => {
    const way = { ArrowRight: 1, ArrowUp: 1, ArrowLeft: -1, ArrowDown: -1 }[event.key];
    if (!way) return;
    event.preventDefault();
    const step = field.step || (field.kind === "int" || wide(field) ? 1 : 0.01);
    number.value = Number(Math.min(Math.max(Number(number.value) + way * step, field.least), field.most).toFixed(2));
    number.oninput();
  };
  return {
    shown: make("span", { class: "pair" }, slider, number),
    show: value => { number.value = value; slider.value = place(field, value); },
  };
}

const controls = new Map();
let onchange = () => {};

function set(name, value) {
  if (value === FIELDS.get(name).default) values.delete(name); else values.set(name, value);
  marks();
  onchange();
}

function marks() {
  for (const [name, { row }] of controls) row.classList.toggle("changed", values.has(name));
  for (const details of $("settings").children) {
    const count = details.querySelectorAll(".changed").length;
    details.querySelector(".count").textContent = count ? `${count} changed` : "";
  }
}

for (const group of TOLD.groups) {
  const rows = group.fields.map(field => {
    const made = control(field, value => set(field.name, value));
    const unit = field.unit && /^[%\w]+$/.test(field.unit) ? ` (${field.unit})` : field.unit.startsWith("px") ? " (px)" : "";
    const row = make("div", { class: "field" },
      make("label", { for: `field-${field.name}` }, field.title + unit),
      made.shown, make("p", { class: "help", id: `help-${field.name}` }, field.help));
    made.show(field.default);
    controls.set(field.name, { row, show: made.show });
    return row;
  });
  $("settings").append(make("details", { open: group.open }, make("summary", {}, group.title, make("span", { class: "count" })), ...rows));
}

function reset() {
  values.clear();
  for (const [name, { show }] of controls) show(FIELDS.get(name).default);
  marks();
  onchange();
}

// What is sent: lengths in pixels are those of the picture itself, smaller in a smaller one.
function sent(factor = 1) {
  const fields = {};
  for (const [name, value] of values) {
    const field = FIELDS.get(name);
    let own = value;
    if (factor !== 1 && field.unit.startsWith("px") && typeof value === "number") {
      own = value * factor;
      if (field.kind === "int") own = Math.max(field.least, Math.round(own));
    }
    fields[name] = String(own);
  }
  return fields;
}

async function models(headers) {
  const answered = await fetch("v1/models", { headers });
  if (!answered.ok) return false;
  const select = $("field-model"), chosen = select.value;
  const found = (await answered.json()).models;
  select.replaceChildren(make("option", { value: "auto" }, "auto"), ...found.map(one => make("option", { value: one.id }, `${one.title} (${one.id})`)));
  select.value = chosen;
  return true;
}
