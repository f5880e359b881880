"use strict";
// Everything is in this file: rows as JSON below, pictures as JSON in one script element each, which is read when it is shown.
const $ = id => document.getElementById(id);
const data = JSON.parse($("data").textContent);
const rows = data.rows.map((row, index) => ({ ...row, index, words: wordsOf(row) }));
const HEIGHT = 76, SPARE = 6;
const GROUNDS = ["checker", "#000000", "#ffffff", "#ff00ff", "brand"];
const STATES = { done: "Done", failed: "Failed", "set-aside": "Set aside", skipped: "Skipped", pending: "Unfinished" };
const SAID = { accept: "Accepted", reject: "Rejected", redo: "To redo" };
const order = new Intl.Collator("en", { numeric: true }).compare;

// Text: names of files may hold anything, so they are shown as text alone, and what turns or hides text as escapes.
const HIDDEN = /(?![\u200c\u200d])[\p{Cc}\p{Cf}\p{Zl}\p{Zp}\p{Cs}]/gu;

function visible(text) {
  return String(text).replace(HIDDEN, letter => {
    const code = letter.codePointAt(0);
    if (code >= 0xdc80 && code <= 0xdcff) return `\\x${(code - 0xdc00).toString(16)}`; // a byte that is not UTF-8
    const short = { 9: "\\t", 10: "\\n", 13: "\\r" }[code];
    return short ?? (code < 256 ? `\\x${code.toString(16).padStart(2, "0")}` : `\\u${code.toString(16).padStart(4, "0")}`);
  });
}

function make(tag, kind = "", text = null, parts = []) {
  const element = document.createElement(tag);
  if (kind) element.className = kind;
  if (text !== null) element.textContent = visible(text);
  element.append(...parts);
  return element;
}

function wordsOf(row) { // for words that begin so; names are searched for any part of them
  const flags = row.flags.flatMap(flag => [flag.name, flag.reason]);
  const error = row.error ? [row.error.message, row.error.remedy] : [];
  return ` ${[...flags, ...error, ...row.warnings, ...row.notes].join(" ").toLowerCase()}`;
}

const pieces = row => {
  const parts = row.source.split(/[\\/]/);
  return { stem: parts.pop() || row.source, folder: parts.join("/") };
};
for (const row of rows) Object.assign(row, pieces(row), { lower: row.source.toLowerCase() });
const known = new Map(rows.map(row => [row.id, row])); // the id is what gossamer batch --only knows a picture by
const number = (value, digits = 1) => value.toLocaleString("en", { maximumFractionDigits: digits });
const counted = (count, one, many = `${one}s`) => `${number(count)} ${count === 1 ? one : many}`;
const say = text => { $("said").textContent = text; };
