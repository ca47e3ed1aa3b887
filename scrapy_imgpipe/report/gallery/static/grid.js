// The rows of pictures: draws those that are near the window, and no others. Knows the grid's
// element, and rows in the order in which they are shown; not how these were chosen.
"use strict";
imgpipe.grid = (() => {
  const { element, bytes, sides, name } = imgpipe.texts;
  const { justify, lineAt, lineOf } = imgpipe.layout;
  const NEAR = 0.75; // heights of the window above and below it that are drawn as well
  const RUSH = 0.4; // of that height in a frame: too fast to see a picture, so none is read
  const REST = 90; // ms without scrolling after which it is over
  const TINY = 64; // px high; larger than they are, such pictures show nothing but pixels
  const grid = document.getElementById("grid");
  const drawn = new Map(); // number of a line -> its element
  let rows = [];
  let lines = [];
  let height = 0;
  let target = 220;
  let about = null;
  let active = 0; // place of the picture that the keyboard is at
  let column = null; // where it goes up and down, in pixels from the left
  let isAsked = false;
  let isRushing = false;
  let before = 0; // where the last update was
  let resting = 0;
  let width = 0;
  let open = () => {};

  // Asked for once in each arrangement: a question in each frame would cost a layout.
  let offset = 0;
  const measured = () => grid.getBoundingClientRect().top + window.scrollY;

  function tile(row, place) {
    const button = element("button", { type: "button", class: "tile" });
    button.dataset.place = place;
    button.tabIndex = place === active ? 0 : -1;
    if (row.colour) button.style.setProperty("--colour", row.colour);
    if (row.fault || !row.thumb) {
      button.classList.add("is-fault");
      button.append(fault(row.fault));
    } else {
      const picture = element("img", { alt: row.alt, draggable: "false", decoding: "async" });
      if (row.height < TINY) picture.classList.add("is-tiny");
      picture.addEventListener("load", () => picture.classList.add("is-there"));
      picture.addEventListener("error", () => {
        button.classList.add("is-fault");
        picture.replaceWith(fault("The file cannot be shown"));
      });
      if (isRushing) picture.dataset.src = row.thumb;
      else picture.src = row.thumb;
      button.append(picture);
    }
    if (row.isFailed) {
      button.append(element("span", { class: "badge" }, about.outcomes[row.outcome] || "failed"));
    }
    const facts = [sides(row), about.formats[row.format], row.bytes ? bytes(row.bytes) : ""];
    const told = facts.filter(Boolean).join(" · ");
    const caption = element("span", { class: "caption" });
    caption.append(element("b", {}, row.alt ? row.alt : name(row)), " ", element("span", {}, told));
    if (row.alt) caption.firstChild.setAttribute("aria-hidden", "true"); // it is the picture's
    button.append(caption);
    return button;
  }

  function fault(text) {
    return element("span", { class: "fault" }, text || "Nothing to show");
  }

  function draw(number) {
    const line = lines[number];
    const made = element("div", { class: "line", role: "none" });
    made.style.transform = `translateY(${line.top}px)`;
    made.style.height = `${line.height}px`;
    line.widths.forEach((width, place) => {
      const item = element("div", {
        role: "listitem", "aria-setsize": rows.length, "aria-posinset": line.first + place + 1,
      });
      item.style.width = `${width}px`;
      item.append(tile(rows[line.first + place], line.first + place));
      made.append(item);
    });
    return made;
  }

  // In the order of the lines, for who reads the page without seeing it.
  function insert(number, made) {
    let behind = null;
    let nearest = Infinity;
    for (const [other, there] of drawn) {
      if (other > number && other < nearest) {
        nearest = other;
        behind = there;
      }
    }
    grid.insertBefore(made, behind);
    drawn.set(number, made);
  }

  function update() {
    isAsked = false;
    if (!lines.length || grid.closest("[hidden]")) return;
    const seen = window.innerHeight;
    const top = window.scrollY - offset;
    if (Math.abs(top - before) > seen * RUSH) rush();
    before = top;
    const first = lineAt(lines, top - seen * NEAR);
    const last = lineAt(lines, top + seen * (1 + NEAR));
    const focused = document.activeElement?.closest?.(".line");
    for (const [number, made] of drawn) {
      if ((number < first || number > last) && made !== focused) {
        // Pictures that are still on their way are not needed any more.
        for (const picture of made.querySelectorAll("img:not(.is-there)")) picture.removeAttribute("src");
        made.remove();
        drawn.delete(number);
      }
    }
    for (let number = first; number <= last; number += 1) {
      if (!drawn.has(number)) insert(number, draw(number));
    }
  }

  function rush() {
    isRushing = true;
    clearTimeout(resting);
    resting = setTimeout(rest, REST);
  }

  function rest() {
    isRushing = false;
    for (const picture of grid.querySelectorAll("img[data-src]")) {
      picture.src = picture.dataset.src;
      delete picture.dataset.src;
    }
    ask();
  }

  function ask() {
    if (!isAsked) {
      isAsked = true;
      requestAnimationFrame(update);
    }
  }

  function clear() {
    grid.replaceChildren();
    drawn.clear();
  }

  function arrange() {
    const width = grid.clientWidth;
    if (!width) return;
    const gap = width < 600 ? 4 : 8;
    const wished = Math.min(target, Math.max(width * 0.34, 90));
    ({ lines, height } = justify(rows, width, wished, gap));
    grid.style.setProperty("--gap", `${gap}px`);
    grid.style.height = `${height}px`;
    clear();
    offset = measured();
    before = window.scrollY - offset;
    update();
  }

  // The same pictures in another width or height: what was at the top stays there.
  function rearrange() {
    const top = window.scrollY - offset;
    const line = top > 0 && lines.length ? lines[lineAt(lines, top)] : null;
    const share = line ? (top - line.top) / line.height : 0;
    arrange();
    if (line) {
      const now = lines[lineOf(lines, line.first)];
      window.scrollTo(0, offset + now.top + share * now.height);
      update();
    }
  }

  function show(some, told, { keep = false } = {}) {
    rows = some;
    about = told;
    if (!keep || active >= rows.length) active = 0;
    arrange();
    if (!keep && window.scrollY > offset) window.scrollTo(0, Math.max(offset - 200, 0));
  }

  function reveal(place) {
    const line = lines[lineOf(lines, place)];
    if (!line) return null;
    const bar = document.querySelector(".top").offsetHeight + 12;
    const top = line.top + offset;
    if (top < window.scrollY + bar) window.scrollTo(0, top - bar);
    else if (top + line.height > window.scrollY + window.innerHeight - 12) {
      window.scrollTo(0, top + line.height - window.innerHeight + 12);
    }
    update();
    return find(place);
  }

  const find = (place) => grid.querySelector(`[data-place="${place}"]`);

  function focus(place) {
    const last = find(active);
    active = Math.min(Math.max(place, 0), rows.length - 1);
    const there = reveal(active);
    if (last) last.tabIndex = -1;
    if (there) {
      there.tabIndex = 0;
      there.focus({ preventScroll: true });
    }
    update();
  }

  // The picture above or below, by the middle of the one from which the keyboard went.
  function beside(step) {
    const number = lineOf(lines, active);
    const next = lines[number + step];
    if (!next) return active;
    const middle = (line, place) =>
      line.widths.slice(0, place).reduce((sum, width) => sum + width, 0) + line.widths[place] / 2;
    column ??= middle(lines[number], active - lines[number].first);
    let best = 0;
    next.widths.forEach((_, place) => {
      if (Math.abs(middle(next, place) - column) < Math.abs(middle(next, best) - column)) best = place;
    });
    return next.first + best;
  }

  const MOVES = {
    ArrowLeft: () => active - 1,
    ArrowRight: () => active + 1,
    ArrowUp: () => beside(-1),
    ArrowDown: () => beside(1),
    Home: () => 0,
    End: () => rows.length - 1,
  };

  grid.addEventListener("keydown", (event) => {
    const move = MOVES[event.key];
    if (!move || event.ctrlKey || event.metaKey || event.altKey) return;
    event.preventDefault();
    const isAcross = event.key === "ArrowUp" || event.key === "ArrowDown";
    if (!isAcross) column = null;
    focus(move());
  });
  grid.addEventListener("focusin", (event) => {
    const place = Number(event.target.dataset?.place ?? active);
    if (place === active) return;
    column = null;
    const last = find(active);
    if (last) last.tabIndex = -1;
    active = place;
    event.target.tabIndex = 0;
  });
  grid.addEventListener("click", (event) => {
    const button = event.target.closest(".tile");
    if (button) open(Number(button.dataset.place), rows);
  });
  window.addEventListener("scroll", ask, { passive: true });
  new ResizeObserver(() => {
    if (grid.clientWidth && Math.abs(grid.clientWidth - width) > 0.5) {
      width = grid.clientWidth;
      rearrange();
    }
  }).observe(grid);
  new ResizeObserver(() => {
    offset = measured(); // the tools above have another height
    ask();
  }).observe(document.getElementById("tools"));

  return {
    show,
    focus,
    find,
    setTarget: (pixels) => {
      target = pixels;
      rearrange();
    },
    whenOpened: (listener) => {
      open = listener;
    },
    refresh: rearrange,
  };
})();
