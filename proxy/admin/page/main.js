// Joins the page's parts: the stream fills the state, the parts show it, the reader chooses.

import { Activity } from "./activity.js";
import { Detail } from "./detail.js";
import { byId, element, narrow, setText } from "./element.js";
import { clock } from "./format.js";
import { Overview } from "./overview.js";
import { ServiceList } from "./services.js";
import { State } from "./state.js";
import { Stream } from "./stream.js";

const WORDS = {
  connecting: "connecting",
  live: "live",
  lost: "connection lost, trying again",
  refused: "not answered, trying again",
  draining: "the proxy is stopping",
  starting: "the proxy is not ready yet",
};

const state = new State();
const overview = new Overview(state);
const list = new ServiceList(state, open);
const detail = new Detail(state, close);
const activity = new Activity(state, open);
let chosen = false; // by the reader, and not by us
let ticks = 0;

function open(id, entered) {
  chosen = true;
  show(id);
  const hash = `#${encodeURI(id)}`;
  if (location.hash !== hash) history[entered && narrow.matches ? "pushState" : "replaceState"](null, "", hash);
  if (!entered) return;
  document.body.classList.add("opened");
  detail.focus();
}

function close() {
  document.body.classList.remove("opened");
  list.focus();
}

function show(id) {
  list.select(id);
  detail.show(state.services.get(id) ?? null);
}

// Until the reader chooses, the page shows what is going on: a busy Service, else the easiest to reach.
function follow() {
  if (chosen || narrow.matches) return;
  const current = state.services.get(list.selected);
  if (current?.rate(state.second)) return;
  const reachable = (service) => service.view.addresses.some(([kind]) => kind === "NodePort");
  let best = current ?? [...state.services.values()].find(reachable) ?? list.first;
  for (const service of state.services.values()) {
    if (service.rate(state.second) > (best?.rate(state.second) ?? 0)) best = service;
  }
  if (best && best.id !== list.selected) show(best.id);
}

function namespaces() {
  const names = [...new Set([...state.services.values()].map((service) => service.view.namespace))].sort();
  const select = byId("namespace");
  if (names.join() === [...select.options].slice(1).map((option) => option.value).join()) return;
  const before = select.value;
  select.replaceChildren(select.options[0], ...names.map((name) => element("option", { value: name }, name)));
  select.value = names.includes(before) ? before : "";
  if (select.value !== before) list.filter({ namespace: "" });
}

function emptiness() {
  const empty = byId("empty");
  empty.hidden = list.first !== null || !state.proxy;
  const none = "No Services yet. svcproxy run --service web:8000=127.0.0.1:3000 serves one, so does a manifest or kubectl; " +
    "it shows here the moment the proxy knows it.";
  setText(empty, list.filtered ? "Nothing matches. Escape in the search field clears it." : none);
}

function onFrame(frame, whole) {
  const touched = state.take(frame, whole);
  if (touched.list) {
    namespaces();
    list.reorder();
    detail.show(state.services.get(list.selected) ?? null);
  } else list.update(touched.services);
  detail.update();
  overview.update();
  activity.update(frame, whole);
  follow();
  emptiness();
}

function onState(name) {
  const { proxy } = state;
  const shown = name !== "live" || !proxy ? name : proxy.draining ? "draining" : proxy.ready ? "live" : "starting";
  byId("status").dataset.state = shown;
  const old = name === "live" && proxy?.knownStateOf ? ` on the last known state, of ${clock(proxy.knownStateOf)}` : "";
  const stale = name === "lost" || name === "refused";
  if (stale) state.lose();
  document.body.classList.toggle("stale", stale && Boolean(proxy));
  const asOf = stale && proxy ? ` · as of ${clock(state.asOf)}` : "";
  setText(byId("status"), WORDS[shown] + old + asOf);
}

function tick() {
  if (document.hidden || document.body.classList.contains("stale")) return;
  ticks += 1;
  state.fade();
  if (list.ordersByRate && ticks % 2 === 0) list.reorder();
  else list.updateAll();
  overview.plot();
  detail.update();
  detail.plot();
  detail.ask();
  follow();
}

function views() {
  const buttons = [...document.querySelectorAll(".views button")];
  for (const button of buttons) {
    button.addEventListener("click", () => {
      document.body.dataset.view = button.dataset.view;
      buttons.forEach((each) => each.setAttribute("aria-pressed", String(each === button)));
      list.reorder();
    });
  }
}

function keys(event) {
  const search = byId("search");
  const typing = /^(INPUT|SELECT|TEXTAREA)$/.test(document.activeElement.tagName);
  if (event.key === "/" && !typing) {
    search.focus();
    event.preventDefault();
  } else if (event.key === "Escape" && document.activeElement === search) {
    search.value = "";
    list.filter({ query: "" });
    emptiness();
    list.focus();
  } else if (event.key === "Escape") close();
}

function fromHash() {
  const id = decodeURI(location.hash.slice(1));
  if (!id) return close();
  chosen = true;
  show(id);
  if (narrow.matches) document.body.classList.add("opened");
}

byId("search").addEventListener("input", (event) => {
  list.filter({ query: event.target.value });
  emptiness();
});
byId("search").addEventListener("keydown", (event) => {
  if (event.key === "ArrowDown" || event.key === "Enter") {
    list.focus();
    if (list.first && event.key === "Enter") open(list.first.id, false);
    event.preventDefault();
  }
});
byId("namespace").addEventListener("change", (event) => {
  list.filter({ namespace: event.target.value });
  emptiness();
});
byId("order").addEventListener("change", (event) => list.filter({ order: event.target.value }));
addEventListener("keydown", keys);
addEventListener("popstate", fromHash);
views();
if (location.hash) fromHash();
setInterval(tick, 1000);
new Stream(onFrame, onState).open();
