// The record of one row as a list of names and values. Knows one record at a time.
"use strict";
imgpipe.record = (() => {
  const { element, linked, bytes, number } = imgpipe.texts;
  const FIRST = ["url", "page", "item", "alt", "caption"]; // what says what it is
  const LAST = ["checksum", "renditions", "phash", "blurhash", "exif"];

  function rank(name) {
    if (FIRST.includes(name)) return FIRST.indexOf(name) - FIRST.length;
    return LAST.includes(name) ? LAST.indexOf(name) + 1 : 0;
  }

  function shown(name, value) {
    if (Array.isArray(value)) {
      return element("ul", {}, ...value.map((line) => element("li", {}, String(line))));
    }
    if (typeof value === "number") {
      if (name.startsWith("bytes")) return value < 1000 ? bytes(value) : `${bytes(value)} (${number(value)})`;
      if (name.startsWith("seconds_")) return `${value.toFixed(3)} s`;
      return String(value);
    }
    if (name === "dominant_colour" && /^#[0-9a-f]{6}$/i.test(value)) {
      const swatch = element("span", { class: "swatch" });
      swatch.style.background = value;
      return element("span", {}, swatch, value);
    }
    return linked(String(value));
  }

  // Draws it into the element once it has come; a later call for the same element wins.
  async function draw(into, id) {
    into.dataset.id = id;
    const record = await imgpipe.data.record(id);
    if (into.dataset.id !== String(id)) return;
    if (record === null) {
      into.replaceChildren(element("p", {}, "The record cannot be read."));
      return;
    }
    const list = element("dl", { class: "record" });
    const inOrder = record.map((cell, place) => [rank(cell[0]), place, cell]);
    inOrder.sort((a, b) => a[0] - b[0] || a[1] - b[1]);
    for (const [, , [name, value]] of inOrder) {
      list.append(element("dt", {}, name.replaceAll("_", " ")), element("dd", {}, shown(name, value)));
    }
    into.replaceChildren(list);
  }

  return { draw };
})();
