// The last 15 minutes as the charts draw them: columns over time. Points come from the
// worker and are taken once, though a stream that was opened anew may bring them again.
// After a gap, as when the worker was restarted, there is an empty point, so that no line is
// drawn over what nobody saw.

const keepFor = 15 * 60; // seconds
const gap = 5;
const shortest = 120; // seconds that a chart shows at least, of a worker that has just begun
const dots = 180; // that a line is made of at most; more are a band of noise

/** sums make one value of those of a few seconds; a gap stays one. */
const sums = {
  mean: (values) => (values.length ? values.reduce((a, b) => a + b) / values.length : null),
  most: (values) => (values.length ? Math.max(...values) : null),
  last: (values) => values.at(-1) ?? null,
};

export class History {
  process = ""; // of the worker that told last
  at = []; // Unix seconds
  series = {}; // name → values
  downstreams = {}; // name → series → values

  /** add takes in {at, series, downstreams} as the worker sends it. */
  add(more) {
    const from = more.at.findIndex((ms) => ms / 1000 > (this.at.at(-1) ?? 0));
    if (from < 0) return;
    for (let i = from; i < more.at.length; i++) {
      const at = more.at[i] / 1000;
      const last = this.at.at(-1);
      if (last && at - last > gap) this.#push(last + 1, () => null);
      this.#push(at, (series, name) => (name == null ? more.series[series] : more.downstreams[name]?.[series])?.[i] ?? null, more);
    }
    this.#forget(this.at.at(-1) - keepFor);
  }

  /**
   * columns returns the values of a chart, with the time first: one for each few seconds if
   * there are many. lines are {name, sum}, sum a key of sums.
   */
  columns(lines, downstream) {
    const every = Math.ceil(this.span() / dots);
    const of = downstream == null ? this.series : (this.downstreams[downstream] ?? {});
    const at = [], columns = lines.map(() => []);
    for (let from = 0, to; from < this.at.length; from = to) {
      const slot = Math.floor(this.at[from] / every);
      for (to = from + 1; to < this.at.length && Math.floor(this.at[to] / every) === slot; to++);
      at.push(this.at[to - 1]);
      lines.forEach((l, i) => columns[i].push(sums[l.sum ?? "mean"]((of[l.name] ?? []).slice(from, to).filter((v) => v != null))));
    }
    return [at, ...columns];
  }

  /** mean is of the last few values, so that a number does not flicker. */
  mean(name) {
    return this.lately({ name }, 3);
  }

  /** lately sums up the last values of a line. */
  lately({ name, sum = "mean" }, n) {
    return sums[sum]((this.series[name] ?? []).slice(-n).filter((v) => v != null));
  }

  /** span is how many seconds the charts show: all that is known, within bounds. */
  span() {
    return this.at.length ? Math.min(keepFor, Math.max(shortest, this.at.at(-1) - this.at[0])) : shortest;
  }

  #push(at, value, more) {
    for (const name of Object.keys(more?.series ?? {})) this.series[name] ??= this.at.map(() => null);
    for (const [d, series] of Object.entries(more?.downstreams ?? {})) {
      this.downstreams[d] ??= Object.fromEntries(Object.keys(series).map((s) => [s, this.at.map(() => null)]));
    }
    for (const [name, values] of Object.entries(this.series)) values.push(value(name));
    for (const [d, columns] of Object.entries(this.downstreams)) {
      for (const [name, values] of Object.entries(columns)) values.push(value(name, d));
    }
    this.at.push(at);
  }

  #forget(before) {
    const n = this.at.findIndex((at) => at >= before);
    if (n <= 0) return;
    this.at.splice(0, n);
    for (const values of Object.values(this.series)) values.splice(0, n);
    for (const columns of Object.values(this.downstreams)) {
      for (const values of Object.values(columns)) values.splice(0, n);
    }
  }
}
