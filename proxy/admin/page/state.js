// The picture of the proxy, merged from the stream's frames (proxy/admin/live_frame.py has their shapes).
// A count's growth becomes a rate here; the proxy only counts.

import { History, SECONDS } from "./history.js";

export const ACTIVE = 0, FAILING = 2, OPENED = 3, FAILED = 4, RECEIVED = 5, SENT = 6;
const NOTHING = [0, 0, 0, 0, 0, 0, 0];
const HALF_LIFE = 8; // seconds in which a past connection loses half its part in the spread
const FAINT = 0.3;
const LONGEST_INTERVAL = 5; // growth over a longer time, after a pause, says nothing of a second

// What each endpoint would get if all went by weight, from 0 to 1.
export function fairShares(endpoints) {
  const all = endpoints.reduce((sum, [, , , weight]) => sum + Math.max(0, weight), 0);
  return endpoints.map(([, , , weight]) => (all ? Math.max(0, weight) / all : 0));
}

class Pool {
  constructor(view, before) {
    this.view = view;
    this.counts = view.endpoints.map(() => NOTHING);
    this.recent = new Float64Array(view.endpoints.length);
    this.told = false;
    if (before) this.#inherit(before);
  }

  #inherit(before) {
    const places = new Map(before.view.endpoints.map(([address, port], index) => [`${address} ${port}`, index]));
    this.view.endpoints.forEach(([address, port], index) => {
      const old = places.get(`${address} ${port}`);
      if (old === undefined) return;
      this.counts[index] = before.counts[old];
      this.recent[index] = before.recent[old];
    });
    this.told = before.told;
  }

  get total() {
    return this.recent.reduce((sum, each) => sum + each, 0);
  }
}

export class Service {
  constructor(id, view, before) {
    this.id = id;
    this.view = view;
    this.opened = before?.opened ?? null; // History, made when there is something to remember
    this.received = before?.received ?? null;
    this.sent = before?.sent ?? null;
    this.failed = before?.failed ?? null;
    this.pools = view.pools.map((pool) => new Pool(pool, before?.pools.find((each) => each.view.key === pool.key)));
    this.text = [
      id, view.type, view.ports, view.state,
      ...view.addresses.map((address) => `${address[2]}:${address[3]}`),
      ...view.pools.flatMap((pool) => pool.endpoints.map((endpoint) => `${endpoint[0]}:${endpoint[1]} ${endpoint[2]}`)),
    ].join(" ").toLowerCase();
  }

  get endpoints() {
    return this.pools.reduce((sum, pool) => sum + pool.view.endpoints.length, 0);
  }

  get open() {
    return this.pools.reduce((sum, pool) => sum + pool.counts.reduce((part, each) => part + each[ACTIVE], 0), 0);
  }

  rate(second) {
    return this.opened ? this.opened.average(second, 4) : 0;
  }

  failures(second) {
    return this.failed ? this.failed.average(second, 4) : 0;
  }

  bytes(second) {
    return this.received ? this.received.average(second, 4) + this.sent.average(second, 4) : 0;
  }
}

export class State {
  services = new Map();
  opened = new History();
  received = new History();
  sent = new History();
  failed = new History();
  proxy = null;
  workers = [];
  problems = [];
  changes = [];
  #pools = new Map(); // by key: [service, pool]
  #warm = new Set();
  #time = 0;
  #arrived = 0;
  #faded = 0;
  #begun = 0; // the second of the first frame
  #gaps = []; // [first, last] seconds of which no frame told
  #lost = 0;

  // Whether frames told of this second: a time without the proxy is no time without traffic.
  known = (second) => this.#begun > 0 && second >= this.#begun &&
    !(this.#lost && second >= this.#lost) && !this.#gaps.some(([first, last]) => second >= first && second <= last);

  // The connection was lost: from here on nothing is known.
  lose() {
    if (this.#time && !this.#lost) this.#lost = Math.floor(this.#time);
  }

  // The proxy's time at the last frame, as people read it.
  get asOf() {
    return this.#time * 1000;
  }

  #found() {
    const second = Math.floor(this.#time);
    this.#begun ||= second;
    if (!this.#lost) return;
    this.#gaps = [...this.#gaps.filter(([, last]) => last > second - SECONDS), [this.#lost, second]];
    this.#lost = 0;
  }

  // The proxy's clock, in seconds; it goes on between frames.
  get now() {
    return this.#time ? this.#time + (performance.now() - this.#arrived) / 1000 : 0;
  }

  get second() {
    return Math.floor(this.now);
  }

  // Merges a frame; gives what it touched: { list: whether Services came, went or changed, services: Set of them }.
  take(frame, whole) {
    this.#time = frame.time;
    this.#arrived = performance.now();
    this.#found();
    if (whole) this.#forget(frame.services ?? {});
    const touched = new Set();
    const fresh = whole || (frame.interval ?? 0) > LONGEST_INTERVAL;
    for (const [id, view] of Object.entries(frame.services ?? {})) this.#put(id, view, touched);
    for (const [key, counts] of Object.entries(frame.counts ?? {})) this.#count(key, counts, fresh, touched);
    if (frame.proxy) this.proxy = frame.proxy;
    if (frame.workers) this.workers = frame.workers;
    if (frame.problems || whole) this.problems = frame.problems ?? [];
    if (whole) this.changes = [];
    if (frame.changes) this.changes = [...frame.changes.reverse(), ...this.changes].slice(0, 100);
    return { list: whole || frame.services !== undefined, services: touched };
  }

  // Lets what is past fade; gives the Services whose spread is another by that.
  fade() {
    const now = this.now;
    const factor = 0.5 ** ((now - (this.#faded || now)) / HALF_LIFE);
    this.#faded = now;
    const touched = new Set();
    for (const pool of this.#warm) {
      const keep = pool.total * factor >= FAINT;
      pool.recent = pool.recent.map((each) => (keep ? each * factor : 0));
      if (!keep) this.#warm.delete(pool);
      const found = this.#pools.get(pool.view.key);
      if (found) touched.add(found[0]);
    }
    return touched;
  }

  #forget(services) {
    for (const id of this.services.keys()) if (!(id in services)) this.#drop(id);
  }

  #drop(id) {
    for (const pool of this.services.get(id)?.pools ?? []) {
      this.#pools.delete(pool.view.key);
      this.#warm.delete(pool);
    }
    this.services.delete(id);
  }

  #put(id, view, touched) {
    const before = this.services.get(id);
    this.#drop(id);
    if (!view) return;
    const service = new Service(id, view, before);
    this.services.set(id, service);
    for (const pool of service.pools) {
      this.#pools.set(pool.view.key, [service, pool]);
      if (pool.total) this.#warm.add(pool);
    }
    touched.add(service);
  }

  #count(key, counts, fresh, touched) {
    const [service, pool] = this.#pools.get(key) ?? [];
    if (!pool) return;
    for (const [place, after] of Object.entries(counts)) {
      const before = pool.counts[place] ?? NOTHING;
      pool.counts[place] = after;
      if (!fresh) this.#grew(service, pool, Number(place), before, after);
    }
    touched.add(service);
  }

  #grew(service, pool, place, before, after) {
    const second = Math.floor(this.#time);
    const cells = [OPENED, RECEIVED, SENT, FAILED];
    const [opened, received, sent, failed] = cells.map((cell) => Math.max(0, after[cell] - before[cell]));
    if (!(opened || received || sent || failed)) return;
    if (!service.opened) {
      service.opened = new History();
      service.received = new History();
      service.sent = new History();
      service.failed = new History();
    }
    for (const [name, amount] of [["opened", opened], ["received", received], ["sent", sent], ["failed", failed]]) {
      service[name].add(second, amount);
      this[name].add(second, amount);
    }
    if (opened) {
      pool.recent[place] += opened;
      this.#warm.add(pool);
    }
  }
}
