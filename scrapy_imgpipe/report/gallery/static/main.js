// Ties it together: wishes in the form and in the address, views, counts. Knows every other file.
"use strict";
(() => {
  const { data, select, grid, failures, charts, lightbox } = imgpipe;
  const { element, named, number, bytes, day, shortened } = imgpipe.texts;
  const VIEWS = ["pictures", "failures", "charts"];
  const NO_WISHES = { q: "", outcome: "", format: "", size: "", host: "", sort: "order", height: "220", repeats: "" };
  const PAUSE = 120; // ms between the last letter and the search

  const form = document.getElementById("tools");
  const fields = form.elements;
  const clear = document.getElementById("clear");
  let view = "pictures";
  let wishes = { ...NO_WISHES };
  let found = { rows: [], pictures: [], failures: [] };
  let isWhole = false;
  let timer = 0;
  let announcing = 0;

  // --- the address ---

  function read() {
    const [name, query = ""] = location.hash.slice(1).split("?");
    if (!VIEWS.includes(name) && name) return; // the link that skips
    view = name || "pictures";
    const given = new URLSearchParams(query);
    wishes = { ...NO_WISHES };
    for (const key of Object.keys(NO_WISHES)) wishes[key] = given.get(key) ?? NO_WISHES[key];
  }

  function write() {
    const given = new URLSearchParams();
    for (const [key, value] of Object.entries(wishes)) {
      if (value !== NO_WISHES[key]) given.set(key, value);
    }
    const query = String(given);
    const hash = query ? `#${view}?${query}` : `#${view}`;
    if (location.hash !== hash) history.replaceState(null, "", hash);
    for (const link of document.querySelectorAll(".views a")) {
      link.href = query ? `#${link.dataset.view}?${query}` : `#${link.dataset.view}`;
    }
  }

  // --- the form ---

  function option(value, label) {
    return element("option", { value }, label);
  }

  function choices(select_, all, counts, texts = null) {
    const options = [...counts].filter(([, count]) => count).map(([value, count]) =>
      option(value, `${texts?.get(value) ?? shortened(value, 60)} (${number(count)})`));
    select_.replaceChildren(option("", all), ...options);
    select_.closest("label").hidden = options.length < 2 && !wishes[select_.name];
  }

  function tally(key, names) {
    const counts = new Array(names.length).fill(0);
    for (const row of data.rows) counts[row[key]] += 1;
    const pairs = names.map((name, place) => [name, counts[place]]).filter(([name]) => name);
    return pairs.sort((a, b) => b[1] - a[1]);
  }

  function fillChoices() {
    const { about } = data;
    choices(fields.outcome, "Any", tally("outcome", about.outcomes));
    choices(fields.format, "Any", tally("format", about.formats));
    choices(fields.host, "Any", tally("host", about.hosts));
    const sizes = new Map(select.SIZES.map(([key]) => [key, 0]));
    for (const row of data.rows) {
      const size = select.sizeOf(row);
      if (size && !row.isRepeat) sizes.set(size, sizes.get(size) + 1);
    }
    choices(fields.size, "Any", sizes, new Map(select.SIZES.map(([key, label]) => [key, label])));
    fields.sort.replaceChildren(...Object.entries(select.SORTS).map(([key, [label]]) => option(key, label)));
    document.getElementById("repeats").hidden = !data.rows.some((row) => row.isRepeat);
    fillFields();
  }

  function fillFields() {
    for (const key of Object.keys(NO_WISHES)) {
      if (key === "repeats") fields.repeats.checked = wishes.repeats === "1";
      else if (fields[key].value !== wishes[key]) fields[key].value = wishes[key];
      if (key === "height") wishes.height = fields.height.value; // one that there is
      // What the data does not have is not to be chosen.
      if (fields[key].tagName === "SELECT" && fields[key].value !== wishes[key]) {
        wishes[key] = NO_WISHES[key];
        fields[key].value = wishes[key];
      }
    }
  }

  function wished() {
    for (const key of Object.keys(NO_WISHES)) {
      wishes[key] = key === "repeats" ? (fields.repeats.checked ? "1" : "") : fields[key].value;
    }
  }

  const narrowing = () => ["outcome", "format", "size", "host"].filter((key) => wishes[key]).length;

  // --- what is shown ---

  function find() {
    const { about } = data;
    const rows = select.matching(data.rows, wishes, about);
    found = { rows, pictures: select.pictures(rows, wishes), failures: select.failures(rows) };
  }

  function show({ keep = false } = {}) {
    const { about } = data;
    for (const name of VIEWS) {
      document.getElementById(`${name}-view`).hidden = name !== view;
      const link = document.querySelector(`.views [data-view="${name}"]`);
      if (name === view) link.setAttribute("aria-current", "page");
      else link.removeAttribute("aria-current");
    }
    document.body.dataset.view = view;
    write();
    if (view === "pictures") {
      grid.show(found.pictures, about, { keep });
      showEmpty();
    } else if (view === "failures") failures.show(found.failures, about);
    else charts.show(found.rows, about);
    count();
  }

  function showEmpty() {
    const empty = document.getElementById("pictures-empty");
    empty.hidden = found.pictures.length > 0 || !isWhole;
    if (empty.hidden) return;
    const failed = found.failures.length;
    empty.replaceChildren(data.rows.length ? "No picture is like that." : "There is nothing here.");
    if (failed) {
      const href = document.querySelector('.views [data-view="failures"]').getAttribute("href");
      empty.append(" ", element("a", { href }, `See ${named(failed, "failure")}`));
    }
  }

  function count() {
    const all = { pictures: 0, shown: 0, failures: 0 };
    let stored = 0;
    for (const row of data.rows) {
      if (row.path && !row.isRepeat) {
        all.pictures += 1;
        stored += row.bytes;
      }
      if (row.path && (wishes.repeats || !row.isRepeat)) all.shown += 1;
      if (row.isFailed) all.failures += 1;
    }
    document.getElementById("pictures-count").textContent = number(found.pictures.length);
    document.getElementById("failures-count").textContent = number(found.failures.length);
    const hosts = new Set(data.rows.map((row) => data.about.hosts[row.host]).filter(Boolean)).size;
    document.getElementById("summary").textContent = [
      named(all.pictures, "picture"), bytes(stored), hosts ? named(hosts, "host") : "",
      all.failures ? `${number(all.failures)} failed` : "",
      `written ${day(Date.parse(data.about.made) / 1000)}`,
    ].filter(Boolean).join(" · ");
    const isNarrowed = Boolean(wishes.q || narrowing());
    clear.hidden = !isNarrowed && wishes.sort === NO_WISHES.sort;
    document.getElementById("active").textContent = narrowing() ? `(${narrowing()})` : "";
    announce(isNarrowed, all);
  }

  function announce(isNarrowed, all) {
    const pictures = found.pictures.length;
    const failed = found.failures.length;
    let text = view === "failures" ? named(failed, "failure") : named(pictures, "picture");
    if (view === "charts") text = named(found.rows.length, "source");
    if (isNarrowed && view === "pictures") text = `${number(pictures)} of ${named(all.shown, "picture")}`;
    if (isNarrowed && view === "failures") text = `${number(failed)} of ${named(all.failures, "failure")}`;
    if (!isWhole) text = `Reading: ${number(data.rows.length)} of ${number(data.about.count)} rows`;
    else if (data.about.isTorn) text += "; a part of the data cannot be read";
    clearTimeout(announcing);
    announcing = setTimeout(() => {
      document.getElementById("count").textContent = text;
    }, 0);
  }

  function changed() {
    if (!data.about) return;
    wished();
    find();
    show();
  }

  // --- events ---

  form.addEventListener("submit", (event) => event.preventDefault());
  form.addEventListener("input", (event) => {
    if (event.target.name === "height" && data.about) {
      wished();
      grid.setTarget(Number(wishes.height));
      write();
      return;
    }
    clearTimeout(timer);
    timer = setTimeout(changed, event.target.name === "q" ? PAUSE : 0);
  });
  clear.addEventListener("click", () => {
    wishes = { ...NO_WISHES, height: wishes.height, repeats: wishes.repeats };
    fillFields();
    changed();
    fields.q.focus();
  });
  const more = document.getElementById("more");
  more.addEventListener("click", () => {
    const isOpen = form.classList.toggle("is-open");
    more.setAttribute("aria-expanded", String(isOpen));
  });
  window.addEventListener("hashchange", () => {
    const before = view;
    read();
    if (!data.about) return;
    fillFields();
    grid.setTarget(Number(wishes.height));
    find();
    show();
    if (view !== before) window.scrollTo(0, 0);
  });
  document.addEventListener("keydown", (event) => {
    const isTyping = event.target.closest?.("input, select, textarea, .pswp");
    if (event.key === "/" && !isTyping) {
      event.preventDefault();
      fields.q.focus();
    }
  });
  grid.whenOpened((place, rows) => lightbox.open(place, rows, data.about));
  let width = window.innerWidth;
  window.addEventListener("resize", () => {
    if (view === "charts" && window.innerWidth !== width) charts.show(found.rows, data.about);
    width = window.innerWidth;
  });

  read();
  data.whenChanged((isLast) => {
    isWhole = isLast;
    if (data.rows.length && !isLast && found.rows.length) {
      announce(false, {});
      return; // the first ones are there already, and so is the scroll bar's length for all
    }
    fillChoices();
    grid.setTarget(Number(wishes.height));
    find();
    show({ keep: true });
  });
})();
