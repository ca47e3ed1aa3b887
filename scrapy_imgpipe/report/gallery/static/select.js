// Which rows, and in which order: search, filters, sorting. Pure: rows and wishes in, rows out.
"use strict";
imgpipe.select = (() => {
  // Longest side in pixels: from, and up to but without.
  const SIZES = [
    ["tiny", "under 200 px", 1, 200],
    ["small", "200 to 499 px", 200, 500],
    ["medium", "500 to 999 px", 500, 1000],
    ["large", "1,000 to 1,999 px", 1000, 2000],
    ["huge", "2,000 px and more", 2000, Infinity],
  ];
  const by = (value) => (a, b) => value(a) - value(b) || a.id - b.id;
  const SORTS = {
    order: ["Original order", null],
    newest: ["Newest first", by((row) => -row.time)],
    oldest: ["Oldest first", by((row) => row.time || Infinity)],
    heaviest: ["Largest files first", by((row) => -row.bytes)],
    lightest: ["Smallest files first", by((row) => row.bytes || Infinity)],
    most: ["Most pixels first", by((row) => -row.width * row.height)],
    fewest: ["Fewest pixels first", by((row) => row.width * row.height || Infinity)],
    widest: ["Widest first", by((row) => -row.width / row.height || 0)],
    tallest: ["Tallest first", by((row) => -row.height / row.width || 0)],
    url: ["URL", (a, b) => (a.url < b.url ? -1 : a.url > b.url ? 1 : a.id - b.id)],
  };

  const side = (row) => Math.max(row.width, row.height);

  function sizeOf(row) {
    const found = SIZES.find(([, , from, to]) => side(row) >= from && side(row) < to);
    return found ? found[0] : "";
  }

  function sought(row, about) {
    row.sought ??= [
      row.url, row.path, row.reason, row.fault, row.alt, row.words,
      about.outcomes[row.outcome], about.formats[row.format],
    ].join("\n").toLowerCase();
    return row.sought;
  }

  // Every word has to be there, anywhere. A wish that is empty asks for nothing.
  function matching(rows, wishes, about) {
    const words = wishes.q.toLowerCase().split(/\s+/).filter(Boolean);
    const outcome = about.outcomes.indexOf(wishes.outcome);
    const format = about.formats.indexOf(wishes.format);
    const host = about.hosts.indexOf(wishes.host);
    return rows.filter((row) =>
      (!wishes.outcome || row.outcome === outcome)
      && (!wishes.format || row.format === format)
      && (!wishes.host || row.host === host)
      && (!wishes.size || sizeOf(row) === wishes.size)
      && words.every((word) => sought(row, about).includes(word)));
  }

  function sorted(rows, order) {
    const compare = (SORTS[order] ?? SORTS.order)[1];
    return compare ? rows.sort(compare) : rows;
  }

  // Pictures are each file once, unless repeats are wished for.
  function pictures(rows, wishes) {
    const some = rows.filter((row) => row.path && (wishes.repeats || !row.isRepeat));
    return sorted(some, wishes.sort);
  }

  const failures = (rows) => rows.filter((row) => row.isFailed);

  return { SIZES, SORTS, matching, pictures, failures, sizeOf };
})();
