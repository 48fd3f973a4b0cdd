// The clients that a Service remembers, asked for while it is shown: the table is the workers', and may be large.

import { element } from "./element.js";
import { count, duration } from "./format.js";

const MOST = 50;
const PERIOD = 2_000;
const LARGE = 10_000; // entries of all Services together, from which on the workers are asked less often
const LARGE_PERIOD = 10_000;

export class AffinityTable {
  #view;
  #body = element("tbody");
  #note = element("p", { class: "quiet" }, "Nobody is remembered yet.");
  #asked = 0;
  #asking = false;

  constructor(view) {
    this.#view = view;
    const heads = ["Client", "Endpoint", "Left"].map((text) => element("th", { scope: "col" }, text));
    this.node = element("div", { class: "pool affinity" }, element("h3", {}, "Affinity entries"),
      element("table", {}, element("thead", {}, element("tr", {}, ...heads)), this.#body), this.#note);
  }

  // Asks if it is time to; `entries` is how many there are in all.
  async update(entries) {
    const period = entries > LARGE ? LARGE_PERIOD : PERIOD;
    if (this.#asking || performance.now() - this.#asked < period) return;
    this.#asking = true;
    const query = new URLSearchParams({ namespace: this.#view.namespace, service: this.#view.name, limit: MOST });
    try {
      const answer = await fetch(`api/v1/affinity?${query}`);
      if (answer.ok) this.#show(await answer.json());
    } catch {
      // The stream says that the connection is lost.
    } finally {
      this.#asked = performance.now();
      this.#asking = false;
    }
  }

  #show({ affinity, complete }) {
    const ports = new Set(this.#view.pools.map((pool) => pool.portName)).size;
    this.#body.replaceChildren(...affinity.map((entry) => element("tr", {},
      element("th", { scope: "row" }, element("span", { class: "pod" }, entry.client),
        ports > 1 ? element("span", { class: "quiet" }, entry.port) : null),
      element("td", {}, entry.pod || entry.endpoint),
      element("td", { class: "number" }, duration(entry.secondsLeft)))));
    this.#body.parentNode.hidden = !affinity.length;
    this.#note.hidden = affinity.length > 0 && complete;
    this.#note.textContent = affinity.length ? `the latest ${count(affinity.length)}` : "Nobody is remembered yet.";
  }
}
