// Light, dark, or what the system says; remembered. Knows the root element and the button alone.
// Runs before the page is painted, so that it does not flash.
"use strict";
(() => {
  const KEY = "imgpipe-theme";
  const THEMES = ["system", "light", "dark"];
  const root = document.documentElement;

  function remembered() {
    try {
      return localStorage.getItem(KEY);
    } catch {
      return null; // a browser may refuse it to files
    }
  }

  function use(theme) {
    root.dataset.theme = theme;
    const button = document.getElementById("theme");
    if (!button) return;
    const next = THEMES[(THEMES.indexOf(theme) + 1) % THEMES.length];
    button.setAttribute("aria-label", `Theme: ${theme}. Change to ${next}`);
    button.title = `Theme: ${theme}`;
  }

  const before = remembered();
  use(THEMES.includes(before) ? before : "system");
  document.addEventListener("DOMContentLoaded", () => {
    use(root.dataset.theme);
    document.getElementById("theme").addEventListener("click", () => {
      const next = THEMES[(THEMES.indexOf(root.dataset.theme) + 1) % THEMES.length];
      use(next);
      try {
        localStorage.setItem(KEY, next);
      } catch {
        // it counts until the page is closed
      }
    });
  });
})();
