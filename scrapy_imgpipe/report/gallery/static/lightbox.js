// One picture large, with its record beside it. PhotoSwipe does the moving; this file knows
// what it is to show, and draws the panel.
"use strict";
imgpipe.lightbox = (() => {
  const { element, bytes, sides, name } = imgpipe.texts;
  const PANEL = 360; // px, as in record.css
  const THINNEST = 4; // px; PhotoSwipe would give a side of none the height of the window
  const WIDE = "(min-width: 800px)";
  const KEY = "imgpipe-record";
  const ICON = {
    isCustomSVG: true,
    inner: '<path d="M16 6a10 10 0 1 0 0 20 10 10 0 0 0 0-20zm0 2a8 8 0 1 1 0 16 8 8 0 0 1 0-16zm-1.2 6.5h2.4V21h-2.4zm0-3.6h2.4v2.3h-2.4z"/>',
    outlineID: "",
  };
  let isShown = false; // one at a time
  let isOpen = matchMedia(WIDE).matches && remembered() !== "closed";

  function remembered() {
    try {
      return localStorage.getItem(KEY);
    } catch {
      return null;
    }
  }

  function item(row) {
    if (row.fault || !row.source) return { type: "fault", text: row.fault || "Nothing to show" };
    return {
      src: row.source, msrc: row.thumb, width: row.width, height: row.height,
      alt: row.alt || name(row),
    };
  }

  // An entry of the history for as long as a picture is large: the way back puts that away, and
  // not the page. The page stays where it is, wherever it was when the entry was made.
  function entered() {
    try {
      history.scrollRestoration = "manual";
      history.pushState({ isLarge: true }, "");
      return true;
    } catch {
      return false; // a browser may refuse it to files
    }
  }

  function panel() {
    const title = element("h2", { id: "record-title" });
    const facts = element("p", { class: "facts" });
    const file = element("p", { class: "file" });
    const record = element("div", { class: "fields" });
    const said = element("p", { class: "unseen", role: "status", "aria-live": "polite" });
    const body = element("div", { class: "body" }, title, facts, file, record);
    const whole = element("aside", { class: "panel", id: "record", "aria-label": "Record", tabindex: "-1" }, body);
    // PhotoSwipe would zoom, drag or close.
    for (const kind of ["wheel", "pointerdown", "pointermove", "pointerup", "touchstart", "touchmove", "click"]) {
      whole.addEventListener(kind, (event) => event.stopPropagation(), { passive: true });
    }
    return { whole, body, title, facts, file, record, said };
  }

  function fill(parts, row, about, place, count) {
    const called = row.alt || name(row);
    parts.title.textContent = called;
    const outcome = about.outcomes[row.outcome];
    const facts = [sides(row), about.formats[row.format], row.bytes ? bytes(row.bytes) : ""];
    parts.facts.replaceChildren(
      ...facts.filter(Boolean).map((text) => element("span", {}, text)),
      ...(outcome ? [element("span", { class: row.isFailed ? "is-bad" : null }, outcome)] : []),
      ...(row.fault ? [element("span", { class: "is-bad" }, row.fault)] : []));
    parts.file.replaceChildren();
    if (row.source) {
      parts.file.append(element("a", { href: row.source, target: "_blank", rel: "noopener" }, "Open the file"));
    }
    parts.said.textContent = `${place + 1} of ${count}: ${called}`;
    parts.body.scrollTop = 0;
    imgpipe.record.draw(parts.record, row.id);
  }

  function open(at, rows, about) {
    if (isShown) return null;
    isShown = true;
    const parts = panel();
    const isStill = matchMedia("(prefers-reduced-motion: reduce)").matches;
    const box = new PhotoSwipe({
      index: at,
      loop: false,
      returnFocus: false, // where to is decided below
      wheelToZoom: true,
      bgOpacity: 1,
      showHideAnimationType: isStill ? "none" : "zoom",
      zoomAnimationDuration: isStill ? 0 : 250,
      errorMsg: "The file cannot be shown",
      preload: [1, 2],
      initialZoomLevel: ({ fit, elementSize: { x, y } }) => Math.max(fit, Math.min(THINNEST / Math.min(x, y), 1)),
      paddingFn: (viewport) => (viewport.x > 700
        ? { top: 56, bottom: 24, left: 24, right: 24 } : { top: 48, bottom: 8, left: 0, right: 0 }),
      getViewportSizeFn: () => viewport(),
    });
    box.addFilter("numItems", () => rows.length);
    box.addFilter("itemData", (_, place) => item(rows[place]));
    box.addFilter("thumbEl", (_, __, place) => imgpipe.grid.find(place)?.querySelector("img"));
    box.addFilter("placeholderSrc", (source, content) => content.data.msrc || source);
    box.on("contentLoad", (event) => {
      const { content } = event;
      if (content.data.type !== "fault") return;
      event.preventDefault();
      content.element = element("div", { class: "large-fault" }, element("p", {}, content.data.text));
    });
    box.on("uiRegister", () => {
      box.ui.registerElement({
        name: "record", order: 9, isButton: true, html: ICON, title: "Record (i)",
        onInit: (button) => {
          button.setAttribute("aria-controls", "record");
          parts.button = button;
        },
        onClick: () => toggle(),
      });
    });
    box.on("change", () => fill(parts, rows[box.currIndex], about, box.currIndex, rows.length));
    box.on("afterInit", () => {
      box.element.setAttribute("aria-modal", "true");
      box.element.setAttribute("aria-label", "Picture");
      box.element.append(parts.whole, parts.said);
      use();
    });
    box.on("keydown", ({ originalEvent: event }) => {
      // The page behind stays where it is.
      const isInside = event.target.closest?.(".panel, button, a");
      if ([" ", "PageUp", "PageDown", "Home", "End"].includes(event.key) && !isInside) event.preventDefault();
      if (event.key === "i" && !event.ctrlKey && !event.metaKey && !event.altKey) toggle();
    });
    box.on("close", () => {
      box.element.classList.add("is-closing");
      if (isEntered) history.back();
    });
    box.on("destroy", () => {
      isGone = true;
      isShown = isEntered; // until the way back is at its end, which it takes a moment for
      stopHearing();
      imgpipe.grid.focus(box.currIndex);
    });

    // PhotoSwipe hears no key before it has opened; these wait until then.
    const KEYS = {
      Escape: () => box.close(), ArrowLeft: () => box.prev(), ArrowRight: () => box.next(),
      i: () => toggle(),
    };
    const early = [];
    let isOpened = false;
    function hear(event) {
      if (event.ctrlKey || event.metaKey || event.altKey || event.key === "Tab") return;
      event.preventDefault();
      event.stopPropagation();
      if (KEYS[event.key]) early.push(KEYS[event.key]);
    }
    let isGone = false;
    let isEntered = entered();
    const left = () => {
      isEntered = false;
      history.scrollRestoration = "auto";
      if (isGone) isShown = false;
      else if (isOpened) box.close();
      else early.push(KEYS.Escape);
    };
    if (isEntered) window.addEventListener("popstate", left, { once: true });
    const stopHearing = () => document.removeEventListener("keydown", hear, { capture: true });
    document.addEventListener("keydown", hear, { capture: true });
    box.on("openingAnimationEnd", () => {
      isOpened = true;
      stopHearing();
      // Behind PhotoSwipe, which hears keys and keeps the focus from now on, or goes on doing so.
      queueMicrotask(() => early.forEach((act) => act()));
    });

    function viewport() {
      const { clientWidth } = document.documentElement;
      const isWide = matchMedia(WIDE).matches;
      return {
        x: isOpen && isWide ? clientWidth - PANEL : clientWidth,
        y: isOpen && !isWide ? Math.round(window.innerHeight * 0.5) : window.innerHeight,
      };
    }

    function use() {
      box.element.classList.toggle("has-panel", isOpen);
      parts.whole.hidden = !isOpen;
      parts.button.setAttribute("aria-expanded", String(isOpen));
    }

    function toggle() {
      isOpen = !isOpen;
      try {
        localStorage.setItem(KEY, isOpen ? "open" : "closed");
      } catch {
        // it counts until the page is closed
      }
      use();
      box.updateSize(true);
    }

    box.init();
    return box;
  }

  return { open };
})();
