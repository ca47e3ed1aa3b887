// The data, as the scripts beside this page bring it: page() first, then rows() and, when they
// are asked for, records(). Knows the order of the cells; knows nothing of what is shown.
"use strict";
imgpipe.data = (() => {
  const AHEAD = 4; // scripts of rows that are under way at once
  const KEPT = 40; // scripts of records that are remembered
  const rows = [];
  const waiting = new Map(); // number of a script of records -> those who want it
  const kept = new Map();
  let about = null;
  let changed = () => {};

  function script(path, failed) {
    const element = document.createElement("script");
    element.src = path;
    element.async = true;
    element.addEventListener("load", () => element.remove());
    element.addEventListener("error", () => {
      element.remove();
      failed();
    });
    document.head.append(element);
  }

  function path(base, text) {
    return text.startsWith("@") ? base + text.slice(1) : text;
  }

  function row(cells, id) {
    const [url, file, source, thumb, width, height, outcome, format, host] = cells;
    const [bytes, time, flags, reason, fault, alt, words, colour] = cells.slice(9);
    const large = path(about.base, source);
    return {
      id, url, path: file, source: large, thumb: thumb === "=" ? large : thumb,
      width, height, outcome, format, host, bytes, time, reason, fault, alt, words, colour,
      isFailed: (flags & 1) === 1, isRepeat: (flags & 2) === 2, sought: null,
    };
  }

  imgpipe.page = (told) => {
    about = told;
    const parts = new Array(told.rows.length);
    let arrived = 0;
    let asked = 0;
    let placed = 0;
    const ask = () => {
      while (asked < parts.length && asked - arrived < AHEAD) {
        const number = asked++;
        // What cannot be read is left out, and said.
        script(told.rows[number], () => imgpipe.rows(number, []));
      }
    };
    imgpipe.rows = (number, some) => {
      if (!parts[number] && !some.length) about.isTorn = true;
      parts[number] = some;
      arrived += 1;
      while (parts[placed]) {
        for (const cells of parts[placed]) rows.push(row(cells, rows.length));
        parts[placed++] = [];
      }
      ask();
      changed(placed === parts.length);
    };
    if (parts.length) ask();
    else changed(true);
  };

  imgpipe.records = (number, some) => {
    kept.set(number, some);
    if (kept.size > KEPT) kept.delete(kept.keys().next().value);
    for (const give of waiting.get(number) ?? []) give(some);
    waiting.delete(number);
  };

  // Resolves to [name, value] pairs; to null where they cannot be read.
  async function record(id) {
    const number = Math.floor(id / about.recordsEach);
    const place = id % about.recordsEach;
    if (kept.has(number)) return kept.get(number)[place];
    const some = await new Promise((give) => {
      if (waiting.has(number)) {
        waiting.get(number).push(give);
        return;
      }
      waiting.set(number, [give]);
      script(about.records[number], () => imgpipe.records(number, []));
    });
    return some[place] ?? null;
  }

  return {
    rows,
    record,
    get about() {
      return about;
    },
    whenChanged: (listener) => {
      changed = listener;
    },
  };
})();
