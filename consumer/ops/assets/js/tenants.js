// The tenants, in the order that the worker puts them. While somebody is in the table its
// order is held: nobody can click what runs away.

import { count, moment, nanos, plural, portion, rate, seconds } from "./format.js";
import { attr, byId, h, keyed, text } from "./dom.js";
import { waitsFor, waitState } from "./words.js";

const table = document.querySelector(".tenants");
const form = byId("tenant-search");
let held = []; // the rows as they are shown

/** query is the view that the form asks for. */
export function query() {
  const q = new URLSearchParams();
  for (const [name, value] of new FormData(form)) if (value) q.set(name, value);
  return q;
}

/** onQuery calls f when somebody asks for another view. */
export function onQuery(f) {
  let timer = 0;
  const later = () => {
    clearTimeout(timer);
    timer = setTimeout(() => { held = []; f(); }, 250);
  };
  form.addEventListener("input", later);
  form.addEventListener("submit", (e) => { e.preventDefault(); later(); });
}

const occupied = () => table.matches(":hover") && matchMedia("(hover: hover)").matches || table.contains(document.activeElement);

/** update shows what a tenant is like after a change, before the next news. */
export function update(t) {
  byId("rows").kept?.get(t.tenant)?.update(t);
}

/** show draws the rows; edit is {on, canAsk(name), change(tenant), pause(tenant, button)}. */
export function show(s, now, edit) {
  const { rows, matched } = s.tenants;
  const hold = occupied() && held.length > 0;
  const shown = hold ? kept(rows) : rows;
  held = shown;
  keyed(byId("rows"), shown.map((t) => ({ ...t, now })), (t) => t.tenant, () => row(edit));
  byId("no-tenants").hidden = shown.length > 0;
  text(byId("no-tenants"), s.totals.tenants ? "No tenant has that in its name." : "No tenant has sent a message yet.");
  byId("no-control").hidden = edit.on;
  table.classList.toggle("fixed", !edit.on);
  const searching = query().has("q");
  const all = searching ? `${plural(matched, "tenant")} found of ${count(s.totals.tenants)}` : plural(s.totals.tenants, "tenant");
  text(byId("shown"), `${rows.length < matched ? `${count(rows.length)} of ${all}` : all}${hold ? ", order held while you are here" : ""}`);
}

/** kept is the rows as they stood, with what is new of each; one that is not told any more stays, marked. */
function kept(rows) {
  const fresh = new Map(rows.map((t) => [t.tenant, t]));
  return held.map((t) => fresh.get(t.tenant) ?? { ...t, gone: true });
}

function row(edit) {
  const name = h("bdi"), badges = h("span");
  const fill = h("i"), mark = h("u"), gauge = h("div", { class: "gauge", role: "img" }, fill, mark), queued = h("span");
  const cell = (label) => h("td", { role: "cell", class: "n", "data-label": label });
  const p50 = cell("Wait p50"), p99 = cell("p99"), flight = cell("In flight"), done = cell("Done /s"), overflow = cell("Overflow");
  const chip = h("span", { class: "chip" }), why = h("span", { class: "sub" }), set = h("span", { class: "sub set" });
  const pause = h("button", { type: "button" }), change = h("button", { type: "button" }, "Change");
  const element = h("tr", { role: "row" },
    h("th", { scope: "row", role: "rowheader" }, name),
    h("td", { role: "cell", class: "queue-cell" }, h("div", { class: "queue" }, gauge, queued)),
    p50, p99, flight, done, overflow,
    h("td", { role: "cell", class: "now" }, chip, badges, why, set),
    h("td", { role: "cell", class: "actions" }, pause, change),
  );
  let tenant = null;
  const pace = new Pace();
  pause.addEventListener("click", () => edit.canAsk(tenant.tenant) && edit.pause(tenant, pause));
  change.addEventListener("click", () => edit.canAsk(tenant.tenant) && edit.change(tenant));
  const row = {
    element,
    update(t) {
      const { share, wait_p50_ns, wait_p99_ns, runs, now } = tenant;
      row.show({ ...t, share, wait_p50_ns, wait_p99_ns, runs, now });
    },
    show(t) {
      tenant = t;
      text(name, t.tenant);
      attr(name, "title", t.tenant);
      const is = standing(t);
      attr(element, "data-state", is.state);
      attr(element, "data-gone", Boolean(t.gone));
      queue(t, gauge, fill, mark, queued);
      text(p50, nanos(t.wait_p50_ns));
      text(p99, nanos(t.wait_p99_ns));
      inFlight(t, flight);
      text(done, rate(pace.of(t.finished, t.now)));
      text(overflow, t.overflow ? count(t.overflow) : "–");
      attr(chip, "data-state", is.state);
      text(chip, is.words);
      text(why, because(t));
      badges.replaceChildren(...badgesOf(t));
      text(set, t.override ? setByHand(t.override, t.now) : "");
      const what = t.paused ? "Resume" : "Pause";
      text(pause, what);
      attr(pause, "aria-label", `${what} ${t.tenant}`);
      attr(change, "aria-label", `Change ${t.tenant}`);
      const able = edit.canAsk(t.tenant);
      for (const b of [pause, change]) {
        b.hidden = !edit.on;
        attr(b, "aria-disabled", !able && "true");
        attr(b, "title", able ? null : "No browser can ask for this name: use the command, worker tenants.");
      }
    },
  };
  return row;
}

/** standing is what a tenant is like, in a word or two. */
function standing(t) {
  if (t.paused) return { state: "waiting", words: "paused" };
  if (t.shedding) return { state: "shedding", words: "shedding" };
  if (t.overflow > 0) return { state: "shedding", words: "in overflow" };
  if (t.waiting && waitState(t.waiting.for) === "broken") return { state: "broken", words: "held back" };
  if (t.waiting && !["turn", "workers"].includes(t.waiting.for)) return { state: "waiting", words: "held back" };
  if (t.queued > 0 || t.in_flight > 0 || t.runs) return { state: "flowing", words: "flowing" };
  return { state: "idle", words: "idle" };
}

function because(t) {
  if (t.paused) {
    const until = t.override?.paused?.until;
    return until ? `until ${moment(Date.parse(until), t.now)}` : "until it is resumed";
  }
  if (!t.waiting) return "";
  const oldest = t.oldest ? t.now - Date.parse(t.oldest) : 0;
  const since = oldest >= 1000 ? `, ${seconds(oldest)} so far` : "";
  const alone = t.waiting.for === "rate" && t.rate_degraded ? ", decided without the other processes" : "";
  return `waits for ${waitsFor(t.waiting)}${alone}${since}`;
}

function badgesOf(t) {
  const badges = [];
  if (t.noisy) badges.push(" ", h("span", { class: "badge", "data-state": "shedding", title: "It has more than two thirds of the workers while others have work too." }, "noisy"));
  return badges;
}

/** Pace makes a rate of a count that rises, over the last few times that it was told. */
class Pace {
  #told = [];

  of(n, now) {
    if (this.#told.at(-1)?.now !== now) this.#told.push({ n, now });
    if (this.#told.length > 4) this.#told.shift();
    const [first] = this.#told;
    return now > first.now && n >= first.n ? ((n - first.n) / (now - first.now)) * 1000 : null;
  }
}

const setWords = {
  weight: (v) => `weight ${v}`,
  max_in_flight: (v) => (v ? `at most ${count(v)} in flight` : "no bound in flight"),
  rate: (v) => (v ? `rate ${v}` : "no bound of its rate"),
};

/** setByHand says what was set of a tenant while the worker ran, and until when; a pause is told before. */
function setByHand(override, now) {
  const untils = new Map(); // what ends when
  for (const [name, words] of Object.entries(setWords)) {
    const o = override[name];
    if (!o) continue;
    const until = o.until ? ` until\u00a0${moment(Date.parse(o.until), now).replaceAll(" ", "\u00a0")}` : "";
    untils.set(until, [...(untils.get(until) ?? []), words(o.value)]);
  }
  const parts = [...untils].map(([until, what]) => what.join(", ") + until);
  return parts.length > 0 ? `set by hand: ${parts.join("; ")}` : "";
}

function queue(t, gauge, fill, mark, queued) {
  const bound = t.queue_max || 1, share = Math.min(1, t.fullest / bound);
  attr(gauge, "aria-label", `${count(t.fullest)} of ${count(t.queue_max)} in its fullest queue, which sheds at ${count(t.queue_high)}`);
  attr(gauge, "title", `${count(t.fullest)} of ${count(t.queue_max)}; sheds at ${count(t.queue_high)}`);
  attr(gauge, "data-state", t.shedding || t.fullest >= t.queue_high ? "shedding" : "idle");
  gauge.hidden = !t.queue_max;
  fill.style.transform = `scaleX(${share})`;
  mark.style.left = `calc(${(100 * t.queue_high) / bound}% - 2px)`;
  text(queued, count(t.queued));
}

function inFlight(t, cell) {
  const over = t.in_flight > Math.max(1, Math.ceil(t.share)) && t.noisy;
  cell.replaceChildren(h("span", { class: over ? "over" : null }, count(t.in_flight)), h("small", {}, ` of ${portion(t.share)}`));
}
