// The stream of events from the worker, and what is told of it: news, or since when there
// are none. It is opened anew when the browser gives up on it, as after an error of the
// server, and closed while nobody sees the page.

const staleAfter = 3500; // ms without news; they come each second
const againAfter = 2000;
const hiddenFor = 30_000;

export class Stream {
  #source = null;
  #last = ""; // the id of the last event, so that only what is missing comes
  #heard = null; // when there were news, by this page's clock
  #timer = 0;
  #hiding = 0;
  #query = () => new URLSearchParams();
  #on;

  /** on has {history, state, fresh, stale}; query returns the parameters of a view. */
  constructor(query, on) {
    this.#query = query;
    this.#on = on;
    setInterval(() => this.#look(), 500);
    document.addEventListener("visibilitychange", () => this.#visibility());
    this.open();
  }

  /** open begins anew, with the parameters as they are now. */
  open() {
    this.#close();
    const query = this.#query();
    if (this.#last) query.set("last_event_id", this.#last);
    const source = new EventSource(`api/v1/events?${query}`);
    source.addEventListener("history", (e) => this.#on.history(JSON.parse(e.data)));
    source.addEventListener("state", (e) => {
      this.#last = e.lastEventId;
      this.#heard = performance.now();
      this.#on.state(JSON.parse(e.data));
      this.#on.fresh();
    });
    source.addEventListener("error", () => {
      if (source.readyState === EventSource.CLOSED) this.#again();
    });
    this.#source = source;
  }

  #again() {
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => this.open(), againAfter);
  }

  #close() {
    clearTimeout(this.#timer);
    this.#source?.close();
    this.#source = null;
  }

  #look() {
    if (this.#heard == null) return this.#on.stale(null);
    const silence = performance.now() - this.#heard;
    if (silence > staleAfter) this.#on.stale(new Date(Date.now() - silence));
  }

  #visibility() {
    clearTimeout(this.#hiding);
    if (document.hidden) this.#hiding = setTimeout(() => this.#close(), hiddenFor);
    else if (!this.#source) this.open();
  }
}
