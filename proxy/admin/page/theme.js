// Light, dark, or as the system: set before the first paint, so that nothing flashes. The choice outlives the page.
"use strict";

(() => {
  const NAMES = ["system", "light", "dark"];
  const SIGNS = { system: "◐", light: "☀", dark: "☾" };
  const WORDS = { system: "as the system", light: "light", dark: "dark" };
  const root = document.documentElement;

  const remembered = () => {
    try {
      const name = localStorage.getItem("svcproxy-theme");
      return NAMES.includes(name) ? name : "system";
    } catch {
      return "system"; // storage may be forbidden
    }
  };

  const remember = (name) => {
    try {
      localStorage.setItem("svcproxy-theme", name);
    } catch {
      // then it holds for this visit
    }
  };

  const apply = (name) => {
    root.dataset.theme = name;
    const button = document.getElementById("theme");
    if (button) {
      button.textContent = SIGNS[name];
      button.setAttribute("aria-label", `Colours: ${WORDS[name]}`);
      button.title = `Colours: ${WORDS[name]}`;
    }
    dispatchEvent(new Event("themechange"));
  };

  apply(remembered());
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => dispatchEvent(new Event("themechange")));
  addEventListener("DOMContentLoaded", () => {
    apply(root.dataset.theme);
    document.getElementById("theme")?.addEventListener("click", () => {
      const next = NAMES[(NAMES.indexOf(root.dataset.theme) + 1) % NAMES.length];
      remember(next);
      apply(next);
    });
  });
})();
