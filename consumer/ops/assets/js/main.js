// The live page: it opens the stream of events and lets each part show what comes.

import { attr, byId, text } from "./dom.js";
import { seconds } from "./format.js";
import { History } from "./history.js";
import { Stream } from "./stream.js";
import * as charts from "./charts.js";
import * as downstreams from "./downstreams.js";
import * as edit from "./edit.js";
import * as pipeline from "./pipeline.js";
import * as tenants from "./tenants.js";
import * as verdict from "./verdict.js";

export const history = new History(); // who tests the page looks into it
let drawn = 0;

const stream = new Stream(tenants.query, {
  history(past) {
    history.add(past);
  },
  state(s) {
    history.process = s.process;
    history.add(s.charts);
    show(s);
  },
  fresh() {
    live("flowing", "Live");
    document.body.classList.remove("stale");
  },
  stale(since) {
    document.body.classList.toggle("stale", since != null);
    if (since == null) return live("waiting", "Connecting");
    live("broken", `No news for ${seconds(Date.now() - since)}`);
    verdict.show(verdict.silent(since));
  },
});
tenants.onQuery(() => stream.open());
edit.onChange(tenants.update);

/** live says how fresh the page is. */
function live(state, words) {
  attr(byId("live"), "data-state", state);
  text(byId("live"), words);
}

function show(s) {
  const now = s.at;
  text(byId("stream"), s.state.stream);
  text(byId("durable"), s.state.durable);
  verdict.show(verdict.verdict(s, now));
  pipeline.show(s, history);
  downstreams.show(s, history, now);
  tenants.show(s, now, { on: s.control, canAsk: edit.canAsk, change: edit.change, pause: edit.pause });
  if (history.at.at(-1) !== drawn) charts.show(history);
  drawn = history.at.at(-1);
}
