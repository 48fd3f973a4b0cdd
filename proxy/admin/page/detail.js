// One Service: its addresses, something to try, its rates, and how its connections spread over the endpoints.

import { AffinityTable } from "./affinity.js";
import { byId, element, setAttribute, setText } from "./element.js";
import { History } from "./history.js";
import { ACTIVE, FAILING, OPENED, fairShares } from "./state.js";
import { bytes, count, duration, percent, place, plural, rate } from "./format.js";
import { drawPlot } from "./drawing.js";

const MOST_ENDPOINTS = 100;
const FEW = 5; // connections an endpoint, below which chance looks like skew
const still = matchMedia("(prefers-reduced-motion: reduce)");

class EndpointRow {
  constructor([address, port, pod, weight]) {
    this.bar = element("div", { class: "fill" });
    this.share = element("td", { class: "number" });
    this.open = element("td", { class: "number" });
    this.total = element("td", { class: "number quiet" });
    this.mark = element("span", { class: "tag" });
    const where = place(address, port);
    const words = element("th", { scope: "row" }, element("span", { class: "pod" }, pod || where),
      pod ? element("span", { class: "quiet" }, where) : null,
      weight === 1 ? null : element("span", { class: "quiet" }, `weight ${weight}`), this.mark);
    this.drained = weight <= 0;
    this.node = element("tr", {}, words, element("td", { class: "track" }, element("div", { class: "bar" }, this.bar)),
      this.share, this.open, this.total);
    this.opened = null;
  }

  // A mark at what the endpoint would get by its weight, as a part of the whole bar.
  markFairShare(part) {
    const mark = element("div", { class: "fair", title: "its fair share by weight" });
    mark.style.left = `${Math.min(1, part) * 100}%`;
    this.bar.parentNode.append(mark);
  }

  update(counts, share, scale) {
    this.bar.style.transform = `scaleX(${Math.min(1, share / scale)})`;
    setText(this.share, share ? percent(share) : "–");
    setText(this.open, count(counts[ACTIVE]));
    setText(this.total, count(counts[OPENED]));
    const state = this.drained ? "draining" : counts[FAILING] ? "refusing" : "ready";
    setAttribute(this.node, "data-state", state);
    setText(this.mark, state === "ready" ? "" : state);
    if (this.opened !== null && counts[OPENED] > this.opened && !still.matches) {
      this.bar.animate([{ filter: "brightness(1.25)" }, { filter: "none" }], 450);
    }
    this.opened = counts[OPENED];
  }
}

class PoolTable {
  constructor({ view }) {
    // Fixed by the weights: twice the largest fair share, so that a bar means the same from one look to the next.
    this.fair = fairShares(view.endpoints);
    this.scale = Math.min(1, 2 * Math.max(...this.fair, 0)) || 1;
    this.rows = view.endpoints.slice(0, MOST_ENDPOINTS).map((endpoint) => new EndpointRow(endpoint));
    this.rows.forEach((row, index) => row.markFairShare(this.fair[index] / this.scale));
    const more = view.endpoints.length - this.rows.length;
    const port = `${view.portName ? `${view.portName} ` : ""}${view.protocol}`;
    const family = view.key.includes("/IPv6") ? "IPv6" : "IPv4";
    const kept = view.affinitySeconds ? `ClientIP affinity, ${duration(view.affinitySeconds)}` : "no affinity";
    const heads = ["Endpoint", "Spread", "Share", "Open", "Total"].map((text) => element("th", { scope: "col" }, text));
    const local = view.key.endsWith("/local") ? element("span", { class: "chip" }, "this node's") : null;
    this.node = element("div", { class: "pool" },
      element("h3", {}, port, element("span", { class: "quiet" }, ` ${family}`)),
      element("p", { class: "chips" }, element("span", { class: "chip", title: "scheduler" }, view.scheduler),
        element("span", { class: view.affinitySeconds ? "chip sticky" : "chip" }, kept), local),
      view.endpoints.length
        ? element("table", {}, element("thead", {}, element("tr", {}, ...heads)),
          element("tbody", {}, ...this.rows.map((row) => row.node)))
        : element("p", { class: "quiet" }, "No endpoints: clients are refused."),
      more > 0 ? element("p", { class: "quiet" }, `and ${count(more)} more`) : null);
  }

  update({ recent, counts, total }) {
    const shares = this.rows.map((_, index) => (total ? recent[index] / total : 0));
    this.node.classList.toggle("few", total > 0 && total < FEW * this.rows.length);
    this.rows.forEach((row, index) => row.update(counts[index], shares[index], this.scale));
  }
}

export class Detail {
  #state;
  #service = null;
  #tables = [];
  #affinity = null;
  #box = byId("detail");
  #onClose;

  constructor(state, onClose) {
    this.#state = state;
    this.#onClose = onClose;
    addEventListener("themechange", () => this.plot());
    addEventListener("resize", () => this.plot());
  }

  // Shows a Service, null for none; built anew when it is another one or was changed.
  show(service) {
    if (service === this.#service) return;
    const focused = this.#box.contains(document.activeElement);
    this.#service = service;
    this.#box.hidden = !service;
    this.#tables = [];
    this.#affinity = null;
    this.#box.replaceChildren();
    if (!service) return;
    this.#build(service);
    if (focused) this.focus();
    this.update();
    this.ask();
    this.plot();
  }

  focus() {
    this.#box.focus({ preventScroll: true });
    this.#box.scrollIntoView({ block: "nearest" });
  }

  update() {
    if (!this.#service) return;
    this.#service.pools.forEach((pool, index) => this.#tables[index].update(pool));
  }

  // Once a second: what is asked for and not streamed.
  ask() {
    this.#affinity?.update(this.#state.proxy?.affinityEntries ?? 0);
  }

  plot() {
    if (!this.#service) return;
    const { second } = this.#state;
    const { known } = this.#state;
    const { opened, received, sent } = this.#service;
    const points = (history) => (history ?? new History()).points(second, known);
    setText(byId("detail-rate"), rate(this.#service.rate(second)));
    setText(byId("detail-bytes"), bytes(this.#service.bytes(second)));
    drawPlot(byId("detail-rate-plot"), [points(opened)], 2, rate);
    drawPlot(byId("detail-bytes-plot"), [points(sent), points(received)], 1000, bytes);
  }

  #build(service) {
    const { view } = service;
    this.#tables = service.pools.map((pool) => new PoolTable(pool));
    if (view.pools.some((pool) => pool.affinitySeconds)) this.#affinity = new AffinityTable(view);
    const age = (Date.now() - Date.parse(view.created)) / 1000;
    const close = element("button", { type: "button", class: "back", onclick: this.#onClose }, "← Services");
    const plots = service.pools.length ? element("div", { class: "plots" },
      plot("detail-rate", "Connections a second"),
      plot("detail-bytes", "Bytes a second", element("span", { class: "to" }, "to clients"), " ",
        element("span", { class: "from" }, "from clients"))) : null;
    this.#box.append(
      close,
      element("h2", { id: "detail-title" }, element("span", { class: "dot" }), view.name,
        element("span", { class: "quiet" }, view.namespace)),
      element("p", { class: "chips" }, element("span", { class: "chip" }, view.type),
        element("span", { class: "chip" }, plural(service.endpoints, "endpoint")),
        ...view.paths.map((path) => element("span", { class: "chip", title: "the path of its packets" }, path)),
        Number.isNaN(age) ? null : element("span", { class: "chip" }, `${duration(age)} old`)),
      element("p", { class: "state" }, view.state),
      addresses(view),
      ...attempt(view),
      ...(plots ? [plots] : []),
      ...this.#tables.map((table) => table.node),
      ...(this.#affinity ? [this.#affinity.node] : []),
    );
    this.#box.dataset.level = view.level;
  }
}

function plot(id, title, ...legend) {
  return element("div", {}, element("h3", {}, title, " ", ...legend), element("p", { class: "figure", id }),
    element("canvas", { id: `${id}-plot`, role: "img", "aria-label": `${title}, the last two minutes` }));
}

function addresses(view) {
  const lines = view.addresses.map(([kind, protocol, address, port, fault]) =>
    element("li", { "data-level": fault ? "fault" : "serving" }, element("span", { class: "quiet" }, kind),
      element("code", {}, `${place(address, port)}/${protocol}`), fault ? element("span", { class: "why" }, fault) : null));
  return element("ul", { class: "addresses" }, ...lines);
}

// A line to try in a terminal: the node port of this machine if there is one.
function attempt(view) {
  const rank = ([kind]) => (kind === "NodePort" ? 0 : 1);
  const usable = view.addresses.filter((each) => !each[4]).sort((a, b) => rank(a) - rank(b));
  if (!usable.length) return [];
  const [, protocol, address, port] = usable[0];
  const host = ["0.0.0.0", "::"].includes(address) ? location.hostname.replace(/^\[|\]$/g, "") : address;
  const web = protocol === "TCP" && (/http|web/.test(JSON.stringify(view.pools.map((pool) => pool.portName))) ||
    /(^|\D)(80|8080|443)[:/]/.test(view.ports));
  const line = web ? `curl http://${place(host, port)}/` : `nc ${protocol === "UDP" ? "-u " : ""}${host} ${port}`;
  const button = element("button", { type: "button", class: "copy" }, "Copy");
  button.addEventListener("click", async () => {
    try {
      await navigator.clipboard.writeText(line);
      button.textContent = "Copied";
    } catch {
      button.textContent = "Select and copy"; // a browser may forbid it
    }
    setTimeout(() => { button.textContent = "Copy"; }, 1500);
  });
  return [element("p", { class: "attempt" }, element("span", { class: "quiet" }, "$"), element("code", {}, line), button)];
}
