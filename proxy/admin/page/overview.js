// The tiles along the top: how much there is, how much goes through, and whether anything is wrong.

import { byId, setAttribute, setText } from "./element.js";
import { bytes, count, plural, rate } from "./format.js";
import { drawPlot } from "./drawing.js";

export class Overview {
  #state;

  constructor(state) {
    this.#state = state;
    addEventListener("themechange", () => this.plot());
    addEventListener("resize", () => this.plot());
  }

  // What the proxy says of itself, and the number of Services.
  update() {
    const { proxy, services, workers } = this.#state;
    if (!proxy) return;
    const levels = [...services.values()].map((service) => service.view.level);
    const faults = levels.filter((level) => level === "fault").length;
    const failing = levels.filter((level) => level === "failing").length;
    const wrong = [faults && `${count(faults)} cannot listen`, failing && `${count(failing)} failing`].filter(Boolean);
    setText(byId("version"), proxy.version);
    setText(byId("tile-services"), count(services.size));
    const note = byId("tile-services-note");
    setText(note, wrong.join(" · ") || `${plural(proxy.frontends, "address", "addresses")} served`);
    setAttribute(note, "data-level", wrong.length ? "fault" : "serving");
    setText(byId("tile-open"), count(proxy.tcpConnections));
    const flows = plural(proxy.udpFlows, "UDP flow");
    setText(byId("tile-open-note"), workers.length > 1 ? `${flows} · ${workers.length} workers` : flows);
    setText(byId("tile-affinity"), count(proxy.affinityEntries));
  }

  // The rates and their plots; once a second.
  plot() {
    const { opened, received, sent, failed, known, second } = this.#state;
    setText(byId("tile-rate"), rate(opened.average(second, 4)));
    setText(byId("tile-bytes"), bytes(received.average(second, 4) + sent.average(second, 4)));
    const failures = failed.average(second, 4);
    setText(byId("tile-failures"), rate(failures));
    setAttribute(byId("tile-failures"), "data-level", failures ? "fault" : "serving");
    drawPlot(byId("plot-rate"), [opened.points(second, known)], 2, rate);
    drawPlot(byId("plot-bytes"), [sent.points(second, known), received.points(second, known)], 1000, bytes);
  }
}
