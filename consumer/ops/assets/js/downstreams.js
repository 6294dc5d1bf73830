// A card for each downstream: what it takes, what keeps it from taking more, its limit over
// time, and its breaker.

import { count, nanos, plural, rate, seconds, short } from "./format.js";
import { attr, byId, h, keyed, text } from "./dom.js";
import { moved } from "./words.js";
import { Chart, key } from "./charts.js";

const lines = [
  { name: "in_flight", label: "in flight", state: "flowing", fill: true },
  { name: "limit", label: "limit", state: "waiting", step: true, sum: "last" },
];
const mostCards = 24; // those with most to do

export function show(s, history, now) {
  const named = s.state.downstreams.filter((d) => d.downstream !== "");
  if (named.length > mostCards) named.sort((a, b) => b.queued + b.in_flight - a.queued - a.in_flight);
  const worst = named.slice(0, mostCards).map((d) => ({ ...d, now, rates: s.rates.downstreams[d.downstream] ?? {}, is: standing(d, s.rates.downstreams[d.downstream]?.acked > 0, now) }));
  worst.sort((a, b) => rank(a) - rank(b) || a.downstream.localeCompare(b.downstream));
  byId("no-downstreams").hidden = worst.length > 0;
  keyed(byId("downstreams"), worst, (d) => d.downstream, card);
  for (const c of byId("downstreams").kept.values()) c.draw(history);
}

/** rank puts first what is broken; the rest keeps its order, so that no card moves for a moment. */
const rank = (d) => (d.is.state === "broken" ? 0 : 1);

/** standing is what a downstream is like, in a word or two. */
function standing(d, flows, now) {
  const left = (at) => seconds(Date.parse(at) - now);
  if (d.breaker?.state === "open") return { state: "broken", words: d.breaker.until ? `open, next try in ${left(d.breaker.until)}` : "open" };
  if (d.breaker?.state === "half_open") return { state: "broken", words: "half open: trying" };
  if (d.rests_until) return { state: "waiting", words: `rests for ${left(d.rests_until)}` };
  if (d.waiting === "downstream_limit") return { state: "waiting", words: "at its limit" };
  if (d.waiting === "downstream_rate") return { state: "waiting", words: "at its rate" };
  if (d.rate_degraded) return { state: "waiting", words: "rate degraded" };
  return flows || d.in_flight > 0 || d.queued > 0 ? { state: "flowing", words: "flowing" } : { state: "idle", words: "idle" };
}

function card() {
  const name = h("bdi"), chip = h("span", { class: "chip" }), why = h("p", { class: "why" });
  const facts = ["In flight", "Queued", "Done", "Took p50", "Failed", "Overload", "Limit", "p99"];
  const values = facts.map(() => h("dd"));
  const list = facts.map((f, i) => h("div", {}, h("dt", {}, f), values[i]));
  const box = h("div", { class: "limit", "aria-hidden": "true" });
  const chart = new Chart(box, lines, { height: 84, format: short });
  const element = h("article", { class: "card" }, h("header", {}, h("h3", {}, name), chip), h("dl", { class: "facts" }, ...list), box, h("p", { class: "keys", "aria-hidden": "true" }, ...lines.map((l) => key(l))), why);
  let shown = null;
  return {
    element,
    show(d) {
      shown = d.downstream;
      text(name, d.downstream);
      attr(chip, "data-state", d.is.state);
      text(chip, d.is.words);
      const r = d.rates;
      const cells = [
        count(d.in_flight), count(d.queued), `${rate(r.acked ?? 0)}/s`, nanos(r.took_p50_ns),
        `${rate(r.failed ?? 0)}/s`, `${rate(r.overloads ?? 0)}/s`, d.limit ? count(d.limit.limit) : "none", nanos(r.took_p99_ns),
      ];
      cells.forEach((c, i) => text(values[i], c));
      attr(list[4], "data-state", r.failed > 0 ? "broken" : null);
      attr(list[5], "data-state", r.overloads > 0 ? "waiting" : null);
      text(why, explain(d));
    },
    draw(history) {
      chart.draw(history, shown);
    },
    remove() {
      chart.remove();
    },
  };
}

/** explain says why the limit last moved, and what the breaker has seen. */
function explain(d) {
  const said = [];
  if (d.limit) said.push(`Limit ${count(d.limit.limit)}, ${moved(d.limit, d.now)}.`);
  const b = d.breaker;
  if (b?.state === "closed") said.push(b.calls ? `${count(b.failures)} of the last ${plural(b.calls, "call")} failed.` : "No call lately.");
  else if (b) said.push(`Breaker ${b.state === "open" ? "open" : "half open"} for ${seconds(d.now - Date.parse(b.since))}${b.openings > 1 ? `, ${b.openings} times in a row` : ""}.`);
  if (d.rate_degraded) said.push("Its rate is shared, and decided by this process alone for now: the others cannot be asked.");
  if (d.rate_until) said.push("Its rate is used up for now.");
  return said.join(" ") || "Neither limit nor breaker.";
}
