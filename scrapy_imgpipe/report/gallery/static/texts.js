// Numbers, sizes and moments as people read them; elements whose text is text. No state, and
// nothing of the data. All that is shown goes through element(): nowhere is HTML made of text.
"use strict";
const imgpipe = {};
imgpipe.texts = (() => {
  const number = new Intl.NumberFormat("en");
  const moment = new Intl.DateTimeFormat("en", { dateStyle: "medium", timeStyle: "short" });
  const day = new Intl.DateTimeFormat("en", { dateStyle: "medium" });
  const UNITS = ["bytes", "kB", "MB", "GB", "TB"];

  function bytes(count) {
    let unit = 0;
    let left = count;
    while (left >= 999.5 && unit < UNITS.length - 1) {
      left /= 1000;
      unit += 1;
    }
    const digits = unit && left < 9.95 ? 1 : 0;
    return `${left.toLocaleString("en", { maximumFractionDigits: digits })} ${UNITS[unit]}`;
  }

  function sides(row) {
    return row.width && row.height ? `${row.width} × ${row.height}` : "";
  }

  function named(count, one, many = `${one}s`) {
    return `${number.format(count)} ${count === 1 ? one : many}`;
  }

  // What a picture is called where nobody has described it: the end of its URL, or its file.
  function name(row) {
    const whole = row.url.startsWith("data:") ? row.path || "data:" : row.url || row.path;
    const path = whole.replace(/[?#].*$/s, "").replace(/\/+$/, "");
    const last = path.slice(path.lastIndexOf("/") + 1) || whole;
    try {
      return decodeURIComponent(last);
    } catch {
      return last;
    }
  }

  function shortened(text, most) {
    return text.length > most ? `${text.slice(0, most - 1)}…` : text;
  }

  // A URL that a link may lead to; null for any other text.
  function link(text) {
    if (typeof text !== "string" || !/^https?:\/\/\S+$/i.test(text)) return null;
    try {
      const url = new URL(text);
      return url.protocol === "http:" || url.protocol === "https:" ? url.href : null;
    } catch {
      return null;
    }
  }

  function element(tag, attributes = {}, ...children) {
    const made = document.createElement(tag);
    for (const [key, value] of Object.entries(attributes)) {
      if (value === true) made.setAttribute(key, "");
      else if (value !== false && value != null) made.setAttribute(key, value);
    }
    made.append(...children); // text becomes a text node
    return made;
  }

  function linked(text) {
    const href = link(text);
    if (href === null) return text;
    return element("a", { href, target: "_blank", rel: "noopener noreferrer" }, text);
  }

  return {
    bytes,
    sides,
    named,
    name,
    element,
    linked,
    shortened,
    number: (value) => number.format(value),
    day: (seconds) => day.format(seconds * 1000),
    moment: (seconds) => moment.format(seconds * 1000),
  };
})();
