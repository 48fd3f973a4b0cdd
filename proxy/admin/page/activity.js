// What happened of late, what is wrong, and who does the work.

import { byId, element, setText } from "./element.js";
import { clock, count } from "./format.js";

const MOST_PROBLEMS = 100;

export class Activity {
  #state;
  #onOpen;

  constructor(state, onOpen) {
    this.#state = state;
    this.#onOpen = onOpen;
  }

  // Takes what a frame said anew.
  update(frame, whole) {
    if (frame.changes || whole) this.#changes();
    if (frame.problems || whole) this.#problems();
    if (frame.workers || whole) this.#workers();
  }

  #changes() {
    const lines = this.#state.changes.map((change) => {
      const kind = change.kind.replace(/([a-z])([A-Z])/g, "$1 $2").toLowerCase();
      const tone = /Added$/.test(change.kind) ? "good" : /Removed$/.test(change.kind) ? "gone" : "other";
      return element("li", {}, element("time", { dateTime: change.time, class: "quiet" }, clock(change.time)),
        element("div", {}, element("span", { class: "tag", "data-tone": tone }, kind), " ",
          this.#link(change.service), element("p", {}, change.message)));
    });
    byId("changes").replaceChildren(...(lines.length ? lines : [element("li", { class: "quiet" }, "Nothing yet.")]));
  }

  #link(service) {
    if (!this.#state.services.has(service)) return element("strong", {}, service);
    return element("button", { type: "button", class: "link", onclick: () => this.#onOpen(service, true) }, service);
  }

  #problems() {
    const { problems } = this.#state;
    const lines = problems.slice(0, MOST_PROBLEMS).map((problem) => element("li", {}, element("div", {},
      element("strong", {}, [problem.where, problem.subject].filter(Boolean).join(": ")),
      element("p", {}, problem.message))));
    const more = problems.length - lines.length;
    if (more > 0) lines.push(element("li", { class: "quiet" }, `and ${count(more)} more`));
    byId("problems").replaceChildren(...lines);
    byId("problems-card").hidden = !problems.length;
    for (const id of ["problems-count", "views-problems"]) {
      setText(byId(id), count(problems.length));
      byId(id).hidden = !problems.length;
    }
  }

  #workers() {
    byId("workers").replaceChildren(...this.#state.workers.map((worker) => element("tr", {},
      element("th", { scope: "row" }, String(worker.index)),
      element("td", {}, element("span", { class: "tag", "data-tone": worker.state === "running" ? "good" : "gone" },
        worker.state)),
      ...[worker.pid, worker.tcpConnections, worker.udpFlows, worker.restarts].map((number, index) =>
        element("td", { class: "number" }, index ? count(number) : String(number))))));
  }
}
