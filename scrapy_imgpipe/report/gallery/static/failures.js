// What failed, by outcome. Draws some of each group at first, more when they are asked for.
"use strict";
imgpipe.failures = (() => {
  const { element, named, number, moment } = imgpipe.texts;
  const AT_ONCE = 100;
  const view = document.getElementById("failures-view");
  const MEANINGS = {
    "bad-url": "The item had no usable URL in this place",
    "url-not-allowed": "The scheme or the host is not allowed",
    "address-not-allowed": "The host is at an address that is not public",
    "filtered": "A filter left the request out",
    "opted-out": "The origin says no to this use",
    "too-many-bytes": "More bytes than allowed",
    "too-few-bytes": "Fewer bytes than wanted",
    "too-many-pixels": "More pixels or frames than allowed",
    "too-small": "Smaller than wanted",
    "aspect-ratio": "Longer or higher than wanted",
    "not-an-image": "What came is no image",
    "format-not-allowed": "The format is not allowed",
    "placeholder": "The picture stands for one that is not there",
    "http-status": "The server answered with an error",
    "redirect-refused": "A redirect led elsewhere",
    "download-failed": "No answer came",
    "broken": "The bytes do not decode to their end",
    "hash-mismatch": "Other bytes than were expected",
    "crashed": "Decoding crashed",
    "timed-out": "Decoding took too long",
    "bad-path": "The name cannot be used in the store",
    "store-failed": "The store did not take it, or give it",
    "hook-failed": "A hook raised an error",
    "interrupted": "The crawl was stopped before",
  };

  function failure(row) {
    const record = element("div", { class: "fields" });
    const summary = element("summary", {},
      element("span", { class: "url" }, row.url || row.path || "(no URL)"),
      element("span", { class: "reason" }, row.reason));
    if (row.time) {
      summary.append(element("time", { datetime: new Date(row.time * 1000).toISOString() }, moment(row.time)));
    }
    const whole = element("details", { class: "failure" }, summary, record);
    whole.addEventListener("toggle", () => {
      if (whole.open && !record.hasChildNodes()) imgpipe.record.draw(record, row.id);
    });
    return element("li", {}, whole);
  }

  function group(outcome, rows) {
    const list = element("ul", { class: "failures" });
    const more = element("button", { type: "button", class: "plain more-failures" });
    let drawn = 0;
    const draw = () => {
      const some = rows.slice(drawn, drawn + AT_ONCE).map(failure);
      list.append(...some);
      drawn += some.length;
      more.hidden = drawn >= rows.length;
      more.textContent = `Show ${number(Math.min(AT_ONCE, rows.length - drawn))} more of ${number(rows.length - drawn)}`;
      return some;
    };
    more.addEventListener("click", () => draw()[0].querySelector("summary").focus());
    draw();
    const id = `outcome-${outcome || "none"}`.replace(/[^\w-]/g, "_");
    const head = element("header", {},
      element("h2", { id }, outcome || "(no outcome)"),
      element("span", { class: "number" }, named(rows.length, "source")),
      element("p", {}, Object.hasOwn(MEANINGS, outcome) ? MEANINGS[outcome] : ""));
    return element("section", { class: "group", "aria-labelledby": id }, head, list, more);
  }

  function show(rows, about) {
    const groups = new Map();
    for (const row of rows) {
      const outcome = about.outcomes[row.outcome];
      if (!groups.has(outcome)) groups.set(outcome, []);
      groups.get(outcome).push(row);
    }
    const most = [...groups].sort((a, b) => b[1].length - a[1].length || (a[0] < b[0] ? -1 : 1));
    view.replaceChildren(...most.map(([outcome, some]) => group(outcome, some)));
    if (!most.length) view.append(element("p", { class: "empty" }, "Nothing failed here."));
  }

  return { show };
})();
