// What the worker's own words mean, in those of who looks at it. A word that is not here
// is shown as it came.

import { seconds } from "./format.js";

const waits = {
  turn: "its turn",
  workers: "a free worker",
  cap: "its own limit of messages in flight",
  rate: "its own rate",
  paused: "nothing: it is paused",
  backoff: "the downstream, which answered overload",
  downstream_limit: "the limit of",
  downstream_breaker: "the breaker of",
  downstream_rest: "the rest of",
  downstream_rate: "the rate of",
};

/** waitsFor says for what somebody waits, in {for, downstream}. */
export function waitsFor(w) {
  const words = waits[w.for] ?? w.for;
  return w.for.startsWith("downstream_") ? `${words} ${w.downstream}` : words;
}

/** waitState is the colour of a wait: only a turn or a worker is awaited in good order. */
export function waitState(reason) {
  return reason === "downstream_breaker" ? "broken" : "waiting";
}

const pauses = {
  disconnected: ["broken", "no connection to NATS"],
  consumer: ["broken", "its consumer is missing or unusable"],
  backoff: ["broken", "requests were lost; trying again"],
  moves: ["waiting", "copies wait to be confirmed"],
  hold: ["waiting", "a queue is full and holds the pull"],
  buffer: ["waiting", "the buffer is full"],
  empty: ["idle", "nothing there"],
  queue: ["waiting", "its queue is still shedding"],
  workers: ["waiting", "waits for an idle worker"],
  breaker: ["broken", "every downstream is shut by its breaker"],
  rest: ["waiting", "every downstream rests"],
};

/** pause says why a lane does not pull, and in which colour. */
export function pause(reason) {
  return pauses[reason] ?? ["waiting", reason];
}

const moves = {
  begun: "where it began",
  grew: "it was reached, and nothing suffered",
  queued: "calls queue there, and more would only wait longer",
  dropped: "calls were turned away or timed out",
  violated: "too many calls were slower than the target",
  probe: "to measure it with less load",
  probed: "back from a measurement",
  reconfigured: "the config was changed",
};

/** moved says why a limit last moved. */
export function moved(limit, now) {
  if (limit.why === "begun") return moves.begun;
  const ago = now - Date.parse(limit.changed);
  return `was ${limit.from}, ${seconds(ago)} ago: ${moves[limit.why] ?? limit.why}`;
}
