// How numbers and times are written: with their units, and never with more digits than
// anybody reads. A unit stays on the line of its number.

const whole = new Intl.NumberFormat("en", { maximumFractionDigits: 0 });
const tenth = new Intl.NumberFormat("en", { maximumFractionDigits: 1 });
const compact = new Intl.NumberFormat("en", { notation: "compact", maximumSignificantDigits: 3 });
const minuteTime = new Intl.DateTimeFormat(undefined, { hour: "2-digit", minute: "2-digit", hourCycle: "h23" });
const dayTime = new Intl.DateTimeFormat("en-GB", { day: "numeric", month: "short", year: "numeric", hour: "2-digit", minute: "2-digit", hourCycle: "h23" });
const clockTime = new Intl.DateTimeFormat(undefined, { hour: "2-digit", minute: "2-digit", second: "2-digit", hourCycle: "h23" });

/** count writes a number of things: 12, 1,234, 1.23M. */
export function count(n) {
  if (n == null) return "–";
  return n >= 1e6 ? compact.format(n) : whole.format(n);
}

/** short writes a number for an axis, in little room. */
export function short(n) {
  return n >= 1e4 ? compact.format(n) : whole.format(n);
}

/** scaleTime writes a power of ten of milliseconds, for an axis. */
export function scaleTime(ms) {
  if (ms >= 1000) return `${short(ms / 1000)}\u00a0s`;
  return ms >= 1 ? `${ms}\u00a0ms` : `${Math.round(ms * 1000)}\u00a0µs`;
}

/** rate writes something a second, of which a fraction may matter. */
export function rate(n) {
  if (n == null) return "–";
  return n < 10 ? tenth.format(n) : count(n);
}

/** portion writes a number that is seldom whole, if it is small. */
export function portion(n) {
  return n < 10 ? tenth.format(n) : whole.format(n);
}

/** plural writes how many of something there are. */
export function plural(n, one, many = one + "s") {
  return `${count(n)} ${n === 1 ? one : many}`;
}

const units = [[3600e3, "h"], [60e3, "min"], [1e3, "s"], [1, "ms"], [1e-3, "µs"]];

/** millis writes a time of so many milliseconds, in two or three digits. */
export function millis(ms) {
  if (ms == null) return "–";
  if (ms <= 0) return "0\u00a0ms";
  const [size, unit] = units.find(([size]) => ms >= size) ?? units.at(-1);
  const n = ms / size;
  return `${n < 10 && unit !== "µs" ? tenth.format(n) : whole.format(n)}\u00a0${unit}`;
}

/** nanos writes a time of so many nanoseconds; none at all is a dash. */
export function nanos(ns) {
  return ns ? millis(ns / 1e6) : "–";
}

/** seconds writes a time that is counted down or up, by the second. */
export function seconds(ms) {
  const s = Math.max(0, Math.round(ms / 1000));
  if (s < 60) return `${s}\u00a0s`;
  if (s < 3600) return `${Math.floor(s / 60)}\u00a0min ${s % 60}\u00a0s`;
  return millis(s * 1000);
}

export function bytes(n) {
  if (n < 1024) return `${n}\u00a0B`;
  const unit = n < 1 << 20 ? ["KiB", 1 << 10] : n < 1 << 30 ? ["MiB", 1 << 20] : ["GiB", 1 << 30];
  return `${tenth.format(n / unit[1])}\u00a0${unit[0]}`;
}

export function clock(at) {
  return clockTime.format(at);
}

/** moment writes a time to come: by the second if it is near, with its day if it is far. */
export function moment(at, now = Date.now()) {
  const left = at - now;
  if (left < 3600e3) return clock(at);
  return (left < 20 * 3600e3 ? minuteTime : dayTime).format(at);
}
