// What the page has to say in a sentence: the worst that holds, what it means for others,
// and what is done about it.

import { clock, count, millis, nanos, plural, rate, seconds } from "./format.js";
import { attr, byId, text } from "./dom.js";

let announced = "";

/** verdict returns {state, key, head, more}; the key changes when somebody should be told. */
export function verdict(s, now) {
  const worker = s.state;
  return lifecycle(worker) ?? connection(worker) ?? broken(s, now) ?? stuck(worker) ?? shedding(s) ?? waiting(s) ?? flowing(s);
}

function lifecycle(w) {
  if (w.state === "draining") return { state: "waiting", key: "draining", head: "Draining: no more is pulled.", more: `${plural(w.held, "message")} held are being finished or handed back.` };
  if (w.state === "stopped") return { state: "broken", key: "stopped", head: "The worker has stopped.", more: "" };
  if (w.state !== "running") return { state: "waiting", key: w.state, head: "Starting.", more: w.not_ready ?? "" };
  return null;
}

function connection(w) {
  if (!w.not_ready) return null;
  return { state: "broken", key: "not ready", head: "Nothing is pulled.", more: `${w.not_ready}. What is held goes on; nothing is lost.` };
}

function broken(s, now) {
  const open = s.state.downstreams.filter((d) => d.breaker && d.breaker.state !== "closed");
  if (open.length === 0) return null;
  const [d] = open.sort((a, b) => b.queued - a.queued);
  const next = d.breaker.until ? `the next try is in ${seconds(Date.parse(d.breaker.until) - now)}` : "a message is being tried";
  const others = s.state.downstreams.length > open.length ? " Work for other downstreams goes on." : "";
  return {
    state: "broken", key: `open ${open.map((o) => o.downstream)}`,
    head: open.length === 1 ? `${d.downstream} is failing: its breaker is open, ${next}.` : `${open.length} downstreams are failing: their breakers are open.`,
    more: `${plural(d.queued, "message")} for ${open.length === 1 ? "it" : d.downstream} wait here.${others}`,
  };
}

function stuck(w) {
  if (!w.stuck) return null;
  return {
    state: "broken", key: `stuck ${w.stuck}`, head: `${plural(w.stuck, "handler is", "handlers are")} stuck.`,
    more: `Their time is over and they do not return; each keeps a worker. The others go on with ${count(w.workers - w.stuck)} workers.`,
  };
}

function shedding(s) {
  const tenants = Math.max(s.totals.spilled, s.totals.shedding);
  if (tenants === 0) return null;
  const aside = s.tenants.rows.filter((t) => t.overflow || t.shedding);
  const one = tenants === 1 && aside.length > 0;
  const who = one ? aside[0].tenant : plural(tenants, "tenant");
  const more = `${plural(s.totals.overflow, "message")} in overflow: stored, and in order. ${others(s)}`;
  if (aside.length === tenants && aside.every((t) => t.paused)) {
    return { state: "waiting", key: `paused ${who}`, head: `${who} ${one ? "is paused; what it sends is" : "are paused; what they send is"} kept aside.`, more };
  }
  if (!s.totals.shedding && !s.rates.spilled) {
    return { state: "shedding", key: `overflow ${who}`, head: `${who} ${one ? "has" : "have"} overflow, which is being worked off.`, more };
  }
  const slow = bottleneck(s);
  const head = slow
    ? `${slow} takes less than it is sent: ${who} spill aside.`
    : `${who} ${one ? "sends" : "send"} more than there is room for; it spills aside.`;
  return { state: "shedding", key: `shedding ${who} ${slow}`, head, more };
}

/** bottleneck is the downstream that those who shed wait for, if several do and it is one. */
function bottleneck(s) {
  const shedding = s.tenants.rows.filter((t) => t.shedding && t.waiting);
  const [first] = shedding;
  if (shedding.length < 2 || !first.waiting.for.startsWith("downstream_")) return null;
  return shedding.every((t) => t.waiting.downstream === first.waiting.downstream) ? first.waiting.downstream : null;
}

function others(s) {
  const calm = s.tenants.rows.filter((t) => !t.noisy && !t.shedding && !t.overflow && t.wait_p99_ns).map((t) => t.wait_p99_ns);
  if (calm.length === 0) return "";
  calm.sort((a, b) => a - b);
  return `The other tenants wait ${nanos(calm[Math.floor(calm.length / 2)])} at p99.`;
}

function waiting(s) {
  const limited = s.state.downstreams.filter((d) => d.waiting && d.queued > 0).sort((a, b) => b.queued - a.queued);
  if (limited.length > 0 && s.rates.wait_p99_ns > 100e6) {
    const [d] = limited;
    return {
      state: "waiting", key: `slow ${d.downstream}`, head: `${d.downstream} takes what it can: ${plural(d.queued, "message")} wait for it.`,
      more: `${d.limit ? `${d.in_flight} at once is its limit now. ` : ""}Messages wait ${nanos(s.rates.wait_p99_ns)} at p99.`,
    };
  }
  if (s.state.in_flight >= s.state.workers && s.rates.wait_p99_ns > 1e9) {
    return {
      state: "waiting", key: "busy", head: `All ${plural(s.state.workers, "worker is", "workers are")} busy; messages wait ${nanos(s.rates.wait_p99_ns)} at p99.`,
      more: `${plural(s.totals.queued, "message")} of ${plural(s.totals.waiting, "tenant")} wait here.`,
    };
  }
  return null;
}

function flowing(s) {
  if (s.rates.acked === 0 && s.state.in_flight === 0 && s.totals.queued === 0) {
    const behind = s.state.backlog > 0 ? `${plural(s.state.backlog, "message")} wait in the stream.` : "The stream is empty.";
    return { state: "idle", key: "idle", head: "Nothing to do.", more: behind };
  }
  if (!s.rates.took_p50_ns) {
    return { state: "flowing", key: "at work", head: `${plural(s.state.in_flight, "message is", "messages are")} being handled.`, more: "None has ended in the last ten seconds." };
  }
  return {
    state: "flowing", key: "flowing", head: `Everything flows: ${rate(s.rates.acked)} messages a second.`,
    more: `A message waits ${nanos(s.rates.wait_p50_ns)} for a worker, ${nanos(s.rates.wait_p99_ns)} at p99, and is handled in ${millis(s.rates.took_p50_ns / 1e6)}.`,
  };
}

/** silent is the verdict when there are no news any more. */
export function silent(since) {
  return {
    state: "broken", key: "silent", head: `No news from the worker since ${clock(since)}.`,
    more: "It is asked again every few seconds. Below is what it told last.",
  };
}

/** show writes a verdict, and tells it to who listens when it is another than before. */
export function show(v) {
  attr(byId("verdict-panel"), "data-state", v.state);
  text(byId("verdict"), v.head);
  text(byId("verdict-more"), v.more);
  if (v.key !== announced) {
    announced = v.key;
    text(byId("announce"), v.head);
  }
  document.title = `${["flowing", "idle"].includes(v.state) ? "" : "● "}${byId("durable").textContent} – Spillway`;
}
