// The list of Services. Only the rows in sight exist, so that ten thousand Services scroll as five do.

import { byId, element, narrow, setAttribute, setText } from "./element.js";
import { FAILING, fairShares } from "./state.js";
import { count, plural, rate } from "./format.js";
import { drawBars } from "./drawing.js";

const ROW_HEIGHT = 56;
const SPARE_ROWS = 4;
const MOST_BARS = 60;
const SETTLED = 0.004;
const FEW = 5; // connections an endpoint, below which chance looks like skew
const natural = new Intl.Collator("en", { numeric: true });
const TROUBLE = { fault: 0, failing: 1, empty: 2, partial: 3, serving: 4, none: 5 };
const still = matchMedia("(prefers-reduced-motion: reduce)");

// What the bars of a row show: the pool that is busiest of late.
function busiest(service) {
  return service.pools.reduce((best, pool) => (pool.total > (best?.total ?? -1) ? pool : best), null);
}

class Row {
  constructor() {
    this.service = null;
    this.values = [];
    this.dot = element("span", { class: "dot" });
    this.name = element("span", { class: "name" });
    this.space = element("span", { class: "quiet space" });
    this.note = element("span", { class: "quiet note" });
    this.bars = element("canvas", { class: "bars", "aria-hidden": "true" });
    this.rate = element("span", { class: "number" });
    this.fail = element("span", { class: "number fail" });
    this.open = element("span", { class: "number quiet" });
    const title = element("span", { class: "title" }, this.name, this.space);
    this.node = element("div", { class: "row", role: "option", "aria-selected": "false" },
      this.dot, element("span", { class: "words" }, title, this.note), this.bars, this.rate, this.fail, this.open);
  }

  show(service, index, total, selected) {
    const moved = service !== this.service;
    this.service = service;
    this.node.id = `row-${index}`;
    this.node.style.transform = `translateY(${index * ROW_HEIGHT}px)`;
    setAttribute(this.node, "aria-setsize", String(total));
    setAttribute(this.node, "aria-posinset", String(index + 1));
    setAttribute(this.node, "aria-selected", String(selected));
    setAttribute(this.node, "data-service", service.id);
    setAttribute(this.node, "data-level", service.view.level);
    setText(this.name, service.view.name);
    setText(this.space, service.view.namespace);
    setText(this.note, note(service));
    if (moved) this.values = [];
  }

  // Writes the counts; gives whether the bars have yet to move.
  count(second) {
    const { service } = this;
    const perSecond = rate(service.rate(second));
    const open = count(service.open);
    setText(this.rate, perSecond);
    setText(this.open, open);
    const failures = service.failures(second);
    setText(this.fail, failures ? rate(failures) : "");
    const words = `${service.view.name}, namespace ${service.view.namespace}, ${service.view.state}, ` +
      `${plural(service.endpoints, "endpoint")}, ${perSecond} connections a second, ${rate(failures)} failures a second, ${open} open`;
    setAttribute(this.node, "aria-label", words);
    const pool = busiest(service);
    const recent = pool ? Array.from(pool.recent.slice(0, MOST_BARS)) : [];
    const all = pool ? pool.total : 0;
    const fair = pool ? fairShares(pool.view.endpoints) : [];
    // One scale for all: half the height is the fair share, the whole of it twice that.
    this.target = recent.map((each, place) => (all && fair[place] ? Math.min(1, each / all / fair[place] / 2) : 0));
    const few = all < FEW * recent.length;
    this.marks = recent.map((_, place) => (pool.counts[place][FAILING] ? "bad" : few ? "pale" : ""));
    const fits = this.values.length === this.target.length;
    if (!fits || still.matches) this.values = [...this.target];
    this.draw();
    return fits && this.step(0);
  }

  // Moves the bars a part of their way; gives whether there is some left.
  step(part) {
    let left = false;
    this.values.forEach((value, index) => {
      const rest = this.target[index] - value;
      const near = Math.abs(rest) < SETTLED;
      this.values[index] = near ? this.target[index] : value + rest * part;
      left ||= !near;
    });
    return left;
  }

  draw() {
    drawBars(this.bars, this.values, this.marks);
  }
}

function note({ view, pools }) {
  if (["fault", "failing", "empty", "partial"].includes(view.level)) return view.state;
  const sticky = pools.some((pool) => pool.view.affinitySeconds) ? " · ClientIP affinity" : "";
  return `${view.type} · ${view.ports || "no ports"}${sticky}`;
}

export class ServiceList {
  #state;
  #onOpen;
  #box = byId("list");
  #room = byId("rows");
  #rows = [];
  #shown = [];
  #moving = new Set();
  #frame = 0;
  #query = [];
  #namespace = "";
  #order = "name";
  selected = "";

  // `onOpen(id, entered)`: a Service was chosen; `entered` if the reader means to go there.
  constructor(state, onOpen) {
    this.#state = state;
    this.#onOpen = onOpen;
    this.#box.addEventListener("scroll", () => this.#render(), { passive: true });
    new ResizeObserver(() => this.#render()).observe(this.#box);
    this.#room.addEventListener("click", (event) => {
      const row = event.target.closest(".row");
      if (row) this.#onOpen(row.dataset.service, narrow.matches);
    });
    this.#box.addEventListener("keydown", (event) => this.#key(event));
    addEventListener("themechange", () => this.#rows.forEach((row) => row.service && row.draw()));
  }

  filter({ query = this.#query.join(" "), namespace = this.#namespace, order = this.#order }) {
    this.#query = query.toLowerCase().split(/\s+/).filter(Boolean);
    this.#namespace = namespace;
    this.#order = order;
    this.#box.scrollTop = 0;
    this.reorder();
  }

  get first() {
    return this.#shown[0] ?? null;
  }

  get filtered() {
    return this.#query.length > 0 || this.#namespace !== "";
  }

  get ordersByRate() {
    return this.#order === "rate";
  }

  // The Services came, went or changed: look through all of them.
  reorder() {
    const second = this.#state.second;
    const wanted = [];
    for (const service of this.#state.services.values()) {
      if (this.#namespace && service.view.namespace !== this.#namespace) continue;
      if (this.#query.every((word) => service.text.includes(word))) wanted.push(service);
    }
    const rank = {
      name: () => 0,
      rate: (service) => -service.rate(second),
      trouble: (service) => TROUBLE[service.view.level],
    }[this.#order];
    const ranks = new Map(wanted.map((service) => [service, rank(service)]));
    wanted.sort((a, b) => ranks.get(a) - ranks.get(b) || natural.compare(a.id, b.id));
    this.#shown = wanted;
    this.#room.style.height = `${wanted.length * ROW_HEIGHT}px`;
    const all = this.#state.services.size;
    setText(byId("shown"), wanted.length === all ? count(all) : `${count(wanted.length)} of ${count(all)}`);
    this.#render();
  }

  // Only counts of these Services moved.
  update(services) {
    const second = this.#state.second;
    for (const row of this.#rows) if (row.service && services.has(row.service)) this.#count(row, second);
  }

  updateAll() {
    const second = this.#state.second;
    for (const row of this.#rows) if (row.service) this.#count(row, second);
  }

  select(id) {
    this.selected = id;
    this.#render();
  }

  focus() {
    this.#box.focus({ preventScroll: true });
  }

  #render() {
    const first = Math.max(0, Math.floor(this.#box.scrollTop / ROW_HEIGHT) - SPARE_ROWS);
    const last = Math.min(this.#shown.length, first + Math.ceil(this.#box.clientHeight / ROW_HEIGHT) + 2 * SPARE_ROWS);
    const second = this.#state.second;
    while (this.#rows.length < last - first) {
      const row = new Row();
      this.#rows.push(row);
      this.#room.append(row.node);
    }
    // A row keeps its element while it is in sight: the element of an index is index modulo their number.
    const inUse = new Set();
    for (let index = first; index < last; index += 1) {
      const row = this.#rows[index % this.#rows.length];
      inUse.add(row);
      row.node.hidden = false;
      row.show(this.#shown[index], index, this.#shown.length, this.#shown[index].id === this.selected);
      this.#count(row, second);
    }
    for (const row of this.#rows) {
      if (inUse.has(row)) continue;
      row.node.hidden = true;
      row.node.removeAttribute("id");
      row.service = null;
    }
    const at = this.#shown.findIndex((service) => service.id === this.selected);
    if (at >= first && at < last) this.#box.setAttribute("aria-activedescendant", `row-${at}`);
    else this.#box.removeAttribute("aria-activedescendant");
  }

  #count(row, second) {
    if (row.count(second)) this.#moving.add(row);
    if (this.#moving.size && !this.#frame) this.#frame = requestAnimationFrame(() => this.#animate());
  }

  #animate() {
    this.#frame = 0;
    for (const row of this.#moving) {
      if (!row.service || !row.step(0.18)) this.#moving.delete(row);
      if (row.service) row.draw();
    }
    if (this.#moving.size) this.#frame = requestAnimationFrame(() => this.#animate());
  }

  #key(event) {
    const page = Math.max(1, Math.floor(this.#box.clientHeight / ROW_HEIGHT) - 1);
    const steps = { ArrowDown: 1, ArrowUp: -1, PageDown: page, PageUp: -page, Home: -Infinity, End: Infinity };
    if (event.altKey || event.ctrlKey || event.metaKey) return;
    if (event.key === "Enter" || event.key === " ") {
      if (this.selected) this.#onOpen(this.selected, true);
    } else if (event.key in steps && this.#shown.length) {
      const at = this.#shown.findIndex((service) => service.id === this.selected);
      const from = at < 0 ? (steps[event.key] > 0 ? -1 : this.#shown.length) : at;
      const to = Math.min(this.#shown.length - 1, Math.max(0, from + steps[event.key]));
      this.#reveal(to);
      this.#onOpen(this.#shown[to].id, false);
    } else return;
    event.preventDefault();
  }

  #reveal(index) {
    const [top, height] = [index * ROW_HEIGHT, this.#box.clientHeight];
    if (top < this.#box.scrollTop) this.#box.scrollTop = top;
    else if (top + ROW_HEIGHT > this.#box.scrollTop + height) this.#box.scrollTop = top + ROW_HEIGHT - height;
  }
}
