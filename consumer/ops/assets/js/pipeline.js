// The way of a message, from the stream to its settlement: a number for each stage, and
// below them a river that is as wide as much flows. What has no room leaves it at the
// enqueue stage, and comes back when there is.

import { bytes, count, nanos, plural, rate, seconds } from "./format.js";
import { attr, byId, fields, h, keyed, text } from "./dom.js";
import { pause } from "./words.js";

const stages = byId("stages");
const reservoir = byId("reservoir");
const shown = { ...fields(stages), ...fields(reservoir) };
const stage = Object.fromEntries([...stages.children].map((e) => [e.dataset.stage, e]));

export function show(s, history) {
  const w = s.state;
  const lanes = byKind(w.lanes);
  numbers(s, w, lanes, history);
  const main = lanes.get("main");
  attr(stage.pull, "data-state", main?.paused ? pause(main.paused)[0] : null);
  attr(stage.work, "data-state", w.stuck ? "broken" : w.in_flight >= w.workers ? "waiting" : null);
  attr(stage.enqueue, "data-state", s.totals.shedding ? "shedding" : null);
  const full = w.held >= w.held_max || w.held_bytes >= w.held_bytes_max;
  attr(stage.admit, "data-state", full ? "waiting" : null);
  river(s, main, history);
  table(lanes, s.rates.lanes);
}

function numbers(s, w, lanes, history) {
  const main = lanes.get("main") ?? {};
  const set = (name, value) => text(shown[name], value);
  set("lag", count(main.pending ?? 0));
  set("backlog", w.backlog ? `${count(w.backlog)} not done yet` : "nothing left to do");
  set("pulled", rate(history.mean("pulled")));
  set("pull", main.paused ? pause(main.paused)[1] : `by ${count(main.batch ?? 0)} · credit\u00a0${count(main.credit ?? 0)}`);
  set("held", count(w.held));
  set("admit", `of ${count(w.held_max)} · ${bytes(w.held_bytes)} of ${bytes(w.held_bytes_max)}`);
  set("queued", count(s.totals.queued));
  const shedding = s.totals.shedding ? ` · ${count(s.totals.shedding)}\u00a0shedding` : "";
  set("queues", `of ${plural(s.totals.waiting, "tenant")}${shedding}`);
  set("wait", nanos(s.rates.wait_p99_ns));
  set("schedule", `wait to start · ${nanos(s.rates.wait_p50_ns)}\u00a0p50`);
  set("busy", count(w.in_flight));
  set("workers", `of ${count(w.workers)}`);
  set("work", w.stuck ? `${count(w.stuck)} stuck` : "workers busy");
  set("took", nanos(s.rates.took_p50_ns));
  set("handle", `${nanos(s.rates.took_p99_ns)} p99`);
  set("acked", rate(history.mean("acked")));
  const dead = Object.values(w.dead_letters ?? {}).reduce((a, b) => a + b, 0);
  set("settle", `${rate(history.mean("failed"))}/s failed · ${plural(dead, "dead letter").replaceAll(" ", "\u00a0")}`);
  set("overflow", count(s.totals.overflow));
  const back = s.rates.lanes.overflow ?? 0;
  const moving = s.totals.overflow || history.mean("spilled") || back;
  set("spill", moving ? `${rate(history.mean("spilled"))}/s aside · ${rate(back)}/s back` : "no queue is over its mark");
  attr(reservoir, "data-state", moving ? "shedding" : "idle");
}

/** byKind sums up the lanes of a kind: there is an overflow lane for each queue that has some. */
function byKind(lanes) {
  const kinds = new Map();
  for (const l of lanes ?? []) {
    const k = kinds.get(l.lane);
    if (!k) {
      kinds.set(l.lane, { ...l, lanes: 1 });
      continue;
    }
    k.lanes++;
    for (const sum of ["pulled", "pending", "ack_pending", "requested", "credit"]) k[sum] += l[sum];
    k.batch = Math.max(k.batch, l.batch);
    if (!l.paused) k.paused = ""; // one that pulls is enough
  }
  return kinds;
}

function table(lanes, rates) {
  keyed(byId("lanes"), [...lanes.values()], (l) => l.lane, (l) => {
    const name = h("th", { scope: "row" });
    const cells = Array.from({ length: 5 }, () => h("td", { class: "n" }));
    const state = h("span", { class: "chip" });
    const element = h("tr", {}, name, ...cells, h("td", {}, state));
    return {
      element,
      show(l) {
        text(name, l.lanes > 1 ? `${l.lane} (${l.lanes})` : l.lane);
        const values = [`${rate(rates[l.lane] ?? 0)}/s`, count(l.pending), count(l.ack_pending), count(l.batch), count(l.credit)];
        values.forEach((v, i) => text(cells[i], v));
        const [colour, words] = l.paused ? pause(l.paused) : rates[l.lane] > 0 ? ["flowing", "flowing"] : ["idle", "listening"];
        attr(state, "data-state", colour);
        text(state, words);
        attr(element, "title", l.last_error ? `last error: ${l.last_error}` : null);
      },
    };
  });
}

// The river. Its width goes by the logarithm of the rate, as 10/s and 10,000/s must both be
// seen; its speed likewise.

const svg = "http://www.w3.org/2000/svg";
const column = 100; // of the 800 that the stages share
const reaches = {
  pull: `M0 22 H${3.5 * column}`,
  work: `M${3.5 * column} 22 H${6.5 * column}`,
  settle: `M${6.5 * column} 22 H800`,
  spill: `M${3.4 * column} 22 C${3.75 * column} 22 ${3.55 * column} 88 ${3.95 * column} 88`,
  back: `M${3.95 * column} 96 C${3.3 * column} 96 ${3.55 * column} 22 ${3.05 * column} 22`,
};
const beds = Object.fromEntries(Object.entries(reaches).map(([name, d]) => [name, reach(d)]));

function reach(d) {
  const g = document.createElementNS(svg, "g");
  for (const kind of ["bed", "current"]) {
    const path = document.createElementNS(svg, "path");
    path.setAttribute("d", d);
    path.setAttribute("class", kind);
    g.append(path);
  }
  byId("river").append(g);
  return { g, bed: g.firstChild, current: g.lastChild, pace: 0 };
}

function flow(name, perSecond, state) {
  const b = beds[name];
  const pace = perSecond > 0 ? Math.round(2 * Math.log10(1 + perSecond)) : 0;
  attr(b.g, "data-state", perSecond > 0 ? state : state === "flowing" ? "idle" : state);
  if (pace === b.pace && b.drawn) return; // a change of speed makes the current jump
  b.drawn = true;
  b.pace = pace;
  b.bed.style.strokeWidth = `${perSecond > 0 ? 4 + 2 * pace : name === "back" ? 0 : 2}px`;
  attr(b.current, "class", perSecond > 0 ? "current" : "current still");
  b.current.style.animationDuration = `${6 / (1 + pace)}s`;
}

function river(s, main, history) {
  const spilled = history.mean("spilled") + history.mean("refused");
  const shut = s.state.downstreams.some((d) => d.breaker && d.breaker.state !== "closed");
  flow("pull", history.mean("pulled"), main?.paused ? pause(main.paused)[0] : "flowing");
  flow("work", history.mean("acked") + history.mean("failed"), shut ? "broken" : s.rates.wait_p99_ns > 1e9 ? "waiting" : "flowing");
  flow("settle", history.mean("acked") + history.mean("failed"), history.mean("failed") > history.mean("acked") ? "broken" : "flowing");
  flow("spill", spilled, spilled > 0 || s.totals.overflow ? "shedding" : "idle");
  flow("back", s.rates.lanes.overflow ?? 0, "flowing");
}
