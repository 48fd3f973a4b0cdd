// Follows /api/v1/stream. The browser itself reconnects and says where it was; a page that nobody sees lets go.

const HIDDEN_PATIENCE = 60_000;
const RETRY = 5_000;

export class Stream {
  #source = null;
  #timer = 0;
  #onFrame;
  #onState;

  // `onFrame(frame, whole)` gets every message, `onState(name)` connecting, live, lost or refused.
  constructor(onFrame, onState) {
    this.#onFrame = onFrame;
    this.#onState = onState;
    document.addEventListener("visibilitychange", () => this.#visibility());
  }

  open() {
    clearTimeout(this.#timer);
    this.#source?.close();
    const source = (this.#source = new EventSource("api/v1/stream"));
    source.addEventListener("snapshot", (event) => this.#take(event, true));
    source.addEventListener("delta", (event) => this.#take(event, false));
    source.addEventListener("error", () => this.#lost(source));
  }

  #take(event, whole) {
    this.#onFrame(JSON.parse(event.data), whole);
    this.#onState("live");
  }

  #lost(source) {
    if (source !== this.#source) return;
    const refused = source.readyState === EventSource.CLOSED;
    this.#onState(refused ? "refused" : "lost");
    if (refused) this.#timer = setTimeout(() => this.open(), RETRY);
  }

  #visibility() {
    clearTimeout(this.#timer);
    if (document.hidden) {
      this.#timer = setTimeout(() => {
        this.#source?.close();
        this.#source = null;
      }, HIDDEN_PATIENCE);
    } else if (!this.#source || this.#source.readyState === EventSource.CLOSED) {
      this.#onState("connecting");
      this.open();
    }
  }
}
