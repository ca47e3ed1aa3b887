// Charts as plain SVG, each with its numbers as a table. Knows rows; draws into its own view.
"use strict";
imgpipe.charts = (() => {
  const { element, number, bytes, named, moment, shortened } = imgpipe.texts;
  const view = document.getElementById("charts-view");
  const SVG = "http://www.w3.org/2000/svg";
  const MOST_BARS = 10;
  const MOST_LINES = 200; // of a table
  const MOST_WIDE = 96; // px of a column
  const LETTER = 7.4; // px, of most texts the mean is less
  const BESIDE = 14; // px that a label does not have

  function svg(tag, attributes = {}, ...children) {
    const made = document.createElementNS(SVG, tag);
    for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
    made.append(...children);
    return made;
  }

  function text(x, y, content, attributes = {}) {
    return svg("text", { x, y, ...attributes }, content);
  }

  // A figure: what it says, the drawing, and its numbers for who cannot see it.
  function figure(title, note, drawing, heads, lines, isWide = false) {
    const table = element("table", {},
      element("thead", {}, element("tr", {}, ...heads.map((head) => element("th", { scope: "col" }, head)))),
      element("tbody", {}, ...lines.map((cells) => element("tr", {}, ...cells.map((cell, place) =>
        (place ? element("td", {}, cell) : element("th", { scope: "row" }, cell)))))));
    const caption = element("figcaption", {}, element("h2", {}, title), element("p", {}, note));
    const numbers = element("details", {}, element("summary", {}, "Numbers"), element("div", {}, table));
    return element("figure", { class: isWide ? "chart is-wide" : "chart" }, caption, drawing, numbers);
  }

  function canvas(width, height, label) {
    return svg("svg", { viewBox: `0 0 ${width} ${height}`, width, height, role: "img", "aria-label": label });
  }

  // [label, value, isBad] as bars that lie; what is beyond ten is one more.
  function bars(width, title, pairs) {
    const shown = pairs.slice(0, MOST_BARS);
    const most = Math.max(...shown.map(([, value]) => value), 1);
    const rest = pairs.slice(MOST_BARS).reduce((sum, [, value]) => sum + value, 0);
    if (rest) shown.push([`${pairs.length - MOST_BARS} others`, rest, false]);
    const longest = Math.max(...shown.map(([label]) => label.length));
    const left = Math.min(longest * LETTER + BESIDE, 190, Math.round(width * 0.42));
    const room = width - left - 60;
    const drawing = canvas(width, shown.length * 28 + 4, title);
    shown.forEach(([label, value, isBad], place) => {
      const y = place * 28 + 4;
      // All others together are none that the rest is to be measured by.
      const isRest = place === MOST_BARS;
      const long = isRest ? 2 : Math.max((value / most) * room, 2);
      drawing.append(
        text(left - 10, y + 15, shortened(label, Math.round((left - BESIDE) / LETTER)), { class: "label", "text-anchor": "end" }),
        svg("rect", { x: left, y, width: long, height: 20, rx: 4, class: isBad ? "bar is-bad" : "bar" },
          svg("title", {}, `${label}: ${number(value)}`)),
        text(left + long + 8, y + 15, number(value), { class: "value" }));
    });
    return drawing;
  }

  function steps(most) {
    const rough = most / 4;
    const power = 10 ** Math.floor(Math.log10(rough));
    const step = [1, 2, 5, 10].map((factor) => factor * power).find((each) => each >= rough);
    const whole = Math.max(step, 1);
    return Array.from({ length: Math.floor(most / whole) + 1 }, (_, place) => place * whole);
  }

  // Bins as columns: { label, fine, bad, told }; labels of some of them below.
  function columns(width, title, bins, say = number) {
    const height = 190;
    const [top, bottom, left] = [10, 26, 52];
    const most = Math.max(...bins.map((bin) => bin.fine + bin.bad), 1);
    const scale = (value) => (value / most) * (height - top - bottom);
    const step = Math.min((width - left) / bins.length, MOST_WIDE);
    const drawing = canvas(width, height, title);
    for (const value of steps(most)) {
      const y = height - bottom - scale(value);
      drawing.append(
        svg("line", { x1: left, x2: width, y1: y, y2: y, class: "line-of" }),
        text(left - 8, y + 4, value ? say(value) : "0", { class: "tick", "text-anchor": "end" }));
    }
    const each = Math.ceil(74 / step);
    bins.forEach((bin, place) => {
      const x = left + place * step;
      const gap = Math.min(step * 0.16, 3);
      const column = (value, below, kind) => svg("rect", {
        x: x + gap / 2, y: height - bottom - scale(below + value), width: Math.max(step - gap, 0.75),
        height: Math.max(scale(value), value ? 1 : 0), class: kind, rx: step > 8 ? 2 : 0,
      }, svg("title", {}, bin.told));
      if (bin.fine) drawing.append(column(bin.fine, 0, "bar"));
      if (bin.bad) drawing.append(column(bin.bad, bin.fine, "bar is-bad"));
      const isInside = x + step / 2 + bin.label.length * 3.2 < width;
      if (place % each === 0 && isInside) {
        drawing.append(text(x + step / 2, height - 8, bin.label, { class: "tick", "text-anchor": "middle" }));
      }
    });
    return drawing;
  }

  function tally(rows, label) {
    const counts = new Map();
    for (const row of rows) counts.set(label(row), (counts.get(label(row)) ?? 0) + 1);
    return [...counts].sort((a, b) => b[1] - a[1] || (a[0] < b[0] ? -1 : 1));
  }

  // Bins whose bounds double.
  function doubling(rows, value, from, say) {
    const counts = new Map();
    for (const row of rows) {
      const count = value(row);
      if (!count) continue;
      const bin = Math.max(Math.floor(Math.log2(count / from)), 0);
      counts.set(bin, (counts.get(bin) ?? 0) + 1);
    }
    if (!counts.size) return [];
    const [low, high] = [Math.min(...counts.keys()), Math.max(...counts.keys())];
    return Array.from({ length: high - low + 1 }, (_, place) => {
      const [begin, end] = [from * 2 ** (low + place), from * 2 ** (low + place + 1)];
      const range = low + place ? `${say(begin)} to ${say(end)}` : `up to ${say(end)}`;
      const count = counts.get(low + place) ?? 0;
      return { label: `${low + place ? "" : "<"}${say(low + place ? begin : end)}`, fine: count, bad: 0, range, told: `${range}: ${number(count)}` };
    });
  }

  const SPANS = [0.1, 0.2, 0.5, 1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 21600, 43200, 86400,
    172800, 604800, 2592000, 31536000];

  function spanOf(seconds) {
    if (seconds < 60) return named(seconds, "second");
    if (seconds < 3600) return named(seconds / 60, "minute");
    return seconds < 86400 ? named(seconds / 3600, "hour") : named(seconds / 86400, "day");
  }

  function clock(seconds, span) {
    const options = span >= 2592000 ? { year: "numeric", month: "short" }
      : span >= 86400 ? { month: "short", day: "numeric" }
      : { hour: "2-digit", minute: "2-digit", hourCycle: "h23", ...(span < 60 ? { second: "2-digit" } : {}),
        ...(span < 1 ? { fractionalSecondDigits: 1 } : {}) };
    return new Date(seconds * 1000).toLocaleString("en", options);
  }

  function overTime(rows, most) {
    const timed = rows.filter((row) => row.time);
    if (!timed.length) return { bins: [], span: 0 };
    let [from, to] = [Infinity, 0];
    for (const row of timed) {
      from = Math.min(from, row.time);
      to = Math.max(to, row.time);
    }
    const rough = (to - from) / most;
    const span = SPANS.find((each) => each >= rough) ?? SPANS.at(-1) * Math.ceil(rough / SPANS.at(-1));
    // In whole spans: fractions of a second add up to others.
    const begin = Math.floor(from / span + 1e-6);
    const place = (time) => Math.max(Math.floor(time / span + 1e-6) - begin, 0);
    const bins = Array.from({ length: place(to) + 1 }, (_, number_) => ({
      at: (begin + number_) * span, fine: 0, bad: 0, bytes: 0,
    }));
    for (const row of timed) {
      const bin = bins[place(row.time)];
      if (row.isFailed) bin.bad += 1;
      else bin.fine += 1;
      bin.bytes += row.isRepeat ? 0 : row.bytes;
    }
    for (const bin of bins) {
      bin.label = clock(bin.at, span);
      bin.told = `${moment(bin.at)}: ${number(bin.fine)} fine, ${number(bin.bad)} failed, ${bytes(bin.bytes)}`;
    }
    return { bins, span };
  }

  function show(rows, about) {
    const wide = Math.max(view.clientWidth - 42, 240);
    const half = view.clientWidth >= 900 ? Math.floor((view.clientWidth - 16) / 2) - 42 : wide;
    const isFine = (outcome) => about.fine[about.outcomes.indexOf(outcome)] || !outcome;
    const files = rows.filter((row) => row.path && !row.isRepeat);
    const { bins, span } = overTime(rows, Math.max(Math.floor(wide / 14), 12));
    const drawn = [];
    if (bins.length) {
      const per = spanOf(span);
      drawn.push(figure("Throughput", `Sources that ended, in ${per} each`,
        columns(wide, "Sources that ended, over time", bins), ["From", "Fine", "Failed"],
        bins.map((bin) => [moment(bin.at), number(bin.fine), number(bin.bad)]), true));
      const heavy = bins.map((bin) => ({ ...bin, fine: bin.bytes, bad: 0 }));
      drawn.push(figure("Bytes over time", `Stored full images, in ${per} each`,
        columns(wide, "Bytes stored, over time", heavy, bytes), ["From", "Bytes"],
        bins.map((bin) => [moment(bin.at), bytes(bin.bytes)]), true));
    }
    const add = (title, note, pairs, head, isWide = false) => {
      if (!pairs.length) return;
      drawn.push(figure(title, note, bars(isWide ? wide : half, title, pairs), [head, "Sources"],
        pairs.slice(0, MOST_LINES).map(([label, count]) => [label, number(count)]), isWide));
    };
    const outcomes = tally(rows, (row) => about.outcomes[row.outcome] || "(unknown)");
    add("Outcomes", `How ${named(rows.length, "source")} ended`,
      outcomes.map(([label, count]) => [label, count, label !== "(unknown)" && !isFine(label)]), "Outcome");
    add("Formats", "Of full images", tally(files, (row) => about.formats[row.format] || "(unknown)"), "Format");
    const addBins = (title, note, some, head) => {
      if (!some.length) return;
      drawn.push(figure(title, note, columns(half, title, some), [head, "Pictures"],
        some.map((bin) => [bin.range, number(bin.fine)])));
    };
    addBins("File sizes", "Of full images", doubling(files, (row) => row.bytes, 1000, bytes), "Bytes");
    addBins("Longest sides", "Of full images, in pixels",
      doubling(files, (row) => Math.max(row.width, row.height), 50, number), "Pixels");
    add("Hosts", "That images were asked from", tally(rows, (row) => about.hosts[row.host] || "(none)"), "Host", true);
    view.replaceChildren(...drawn);
    if (!drawn.length) view.append(element("p", { class: "empty" }, "Nothing to draw."));
  }

  return { show };
})();
