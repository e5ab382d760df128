/**
 * One view's side of the channel: it says `ready` until it is answered. From then on it `ping`s only while a run or a
 * job goes, or while the person waits for something: an edit at rest is silent and has no timers, so that its kernel
 * counts as idle. When pings go unanswered it knows itself disconnected, and it recovers as soon as anything comes; see
 * `silence.ts`. Where what the kernel pushes does not come, it asks: see `hosts/polling.ts`.
 */
import { Polling } from "./hosts/polling.ts";
import type { FrameMessage, KernelMessage, PageMessage, PointMessage } from "./protocol.ts";
import { Silence } from "./silence.ts";

const TICK = 500;
/** A view that asks lets so much time go by first, in which more may happen that is worth asking after. */
const TURN = 25;
const READY_EVERY = 2000;
/** A view that nobody answers asks ever more seldom, but no more seldom than this. */
const READY_SELDOM = 30_000;
const PING_EVERY = 3000;
/** How long what the person did is asked after, and how often, where nothing comes of it but answers to questions. */
const EXPECTED = 10_000;
const EXPECTING_EVERY = 1000;
const SILENCE = 8000;
/** The same before the first answer, where there is a picture to show for want of one. */
const SHORT_SILENCE = 3000;
/** Questions that a view which knows nothing yet asks in a row, to learn whether what is pushed reaches it. */
const HURRY = 5;

export interface Listener {
  message(message: KernelMessage, buffers: readonly ArrayBufferView[]): void;
  /** Called when the connection is lost or found again. */
  connected(connected: boolean): void;
  /** Called when an answer that somebody waits for does not come, and when anything comes again. */
  late(late: boolean): void;
}

/** The way to the kernel, which all views of a model share. */
export interface Wire {
  send(message: PageMessage, buffers?: readonly ArrayBufferView[]): void;
  /** The PNG that the kernel left in the model for pages without one. */
  readonly still: ArrayBufferView | null;
}

export class Connection {
  readonly view = randomId();
  readonly #wire: Wire;
  readonly #listener: Listener;
  readonly #forget: () => void;
  #ticking: ReturnType<typeof setInterval> | undefined;
  #asking: ReturnType<typeof setTimeout> | undefined;
  readonly #seen = (): void => {
    // What came while nobody looked is here, unless the kernel took this view for gone.
    if (!hidden()) this.#ask(this.#answered ? "ping" : "ready");
    this.#plan();
  };
  /** Since when nobody has answered. */
  #aloneSince = Date.now();
  #pressedAt = Number.NEGATIVE_INFINITY;
  #running = false;
  #working = false;
  #answered = false;
  /** Whether a picture has come; where only what is told during a cell comes, it may be all that is missing. */
  #pictured = false;
  #connected = true;
  readonly #silence = new Silence(Date.now());
  #late = false;
  #askedAt = 0;
  #readyAt = 0;
  #unanswered = 0;
  #acked = 0;
  readonly #polling = new Polling();
  #open = false;

  constructor(wire: Wire, listener: Listener, forget: () => void) {
    this.#wire = wire;
    this.#listener = listener;
    this.#forget = forget;
  }

  open(): void {
    this.#open = true;
    this.#aloneSince = Date.now();
    this.#ask("ready");
    this.#plan();
    if (typeof document !== "undefined") document.addEventListener("visibilitychange", this.#seen);
  }

  /** Something that the person does. */
  send(message: PageMessage, buffers: readonly ArrayBufferView[] = []): void {
    this.#polling.lively(Date.now());
    this.#silence.pressed(Date.now());
    this.#pressedAt = Date.now();
    this.#send(message, buffers);
    this.#plan();
  }

  /** The kernel may be gone: it is asked, and not waited for long. */
  doubt(): void {
    this.#silence.gone(Date.now());
    this.#tick();
  }

  /** A frame was drawn. Where that is to be told, a pointer move that waits to be sent goes along. */
  ack({ seq, ack }: Pick<FrameMessage, "seq" | "ack">, move: () => PointMessage | null = () => null): void {
    this.#acked = Math.max(seq, this.#acked);
    if (ack || this.#polling.pulls) this.#pull(move());
  }

  hear(message: KernelMessage, buffers: readonly ArrayBufferView[]): void {
    const now = Date.now();
    this.#silence.heard(now);
    this.#unanswered = 0;
    this.#say(false);
    if (message.type === "state") {
      this.#answered = true;
      this.#running = message.status === "running";
      this.#silence.runs(this.#running);
      this.#working = message.jobs.length > 0;
    }
    if (message.type === "frame") {
      this.#pictured = true;
      this.#polling.frame(message.seq);
    }
    if (message.type === "pong") this.#polling.answer(message.sent, message.withheld);
    else {
      this.#polling.lively(now);
      this.#pressedAt = Number.NEGATIVE_INFINITY;
    }
    if (!this.#connected) {
      this.#connected = true;
      this.#listener.connected(true);
      // What was said meanwhile is lost: ask for everything again.
      if (message.type !== "state") {
        this.#aloneSince = now;
        this.#ask("ready");
      }
    }
    this.#plan();
    this.#listener.message(message, buffers);
  }

  close(): void {
    if (!this.#open) return;
    if (typeof document !== "undefined") document.removeEventListener("visibilitychange", this.#seen);
    this.#send({ type: "bye", view: this.view });
    this.#open = false;
    this.#plan();
    this.#forget();
  }

  /** Whether a run or a job goes, or this view knows nothing yet. */
  get #busy(): boolean {
    return this.#running || this.#working || (this.#connected && !this.#answered);
  }

  /** Whether the person did something of which nothing has come yet but that the kernel is there; or opened the view. */
  get #expecting(): boolean {
    const now = Date.now();
    return now - this.#pressedAt < EXPECTED || (!this.#pictured && now - this.#readyAt < EXPECTED);
  }

  /** Have timers only while there is something to wait for. */
  #plan(): void {
    clearTimeout(this.#asking);
    const waits = this.#answered
      ? this.#busy || this.#expecting || this.#silence.waits || this.#polling.doubts
      : this.#connected || !hidden();
    if (!waits || !this.#open) {
      clearInterval(this.#ticking);
      this.#ticking = undefined;
    } else this.#ticking ??= setInterval(() => this.#tick(), TICK);
    const next = this.#polling.next(this.#busy);
    if (!this.#open || next === Number.POSITIVE_INFINITY || (hidden() && !this.#busy)) return;
    this.#asking = setTimeout(() => this.#pull(), Math.max(TURN, next - Date.now()));
  }

  #readyEvery(now: number): number {
    const alone = now - this.#aloneSince;
    return alone < EXPECTED ? READY_EVERY : Math.min(alone / 2, READY_SELDOM);
  }

  #tick(): void {
    const now = Date.now();
    // Two questions, not one: a page that was asleep has not yet given the kernel a chance to answer.
    const silence = !this.#answered && this.#wire.still ? SHORT_SILENCE : SILENCE;
    if (this.#connected && this.#unanswered >= 2 && this.#silence.lost(now, silence)) {
      this.#say(false);
      this.#silence.runs(false);
      this.#connected = this.#answered = this.#running = this.#working = false;
      this.#aloneSince = now;
      this.#listener.connected(false);
    }
    if (this.#connected && this.#answered) this.#say(this.#silence.late(now));
    if (this.#answered) {
      const every = this.#polling.doubts || this.#expecting ? EXPECTING_EVERY : PING_EVERY;
      if (now - this.#askedAt >= every || this.#silence.asks(now)) this.#ask("ping");
    } else if (now - this.#readyAt >= this.#readyEvery(now)) this.#ask("ready");
    else if (this.#unanswered < HURRY) this.#ask("ping");
    this.#plan();
  }

  #ask(type: "ready" | "ping"): void {
    this.#askedAt = Date.now();
    if (type === "ready") this.#readyAt = this.#askedAt;
    this.#unanswered += 1;
    this.#silence.asked(this.#askedAt);
    this.#send({ type, view: this.view });
  }

  #say(late: boolean): void {
    if (late === this.#late) return;
    this.#late = late;
    this.#listener.late(late);
  }

  #pull(move: PointMessage | null = null): void {
    this.#polling.asked(Date.now());
    this.#send({ type: "ack", view: this.view, seq: this.#acked, pull: this.#polling.pulls, ...(move && { move }) });
    this.#plan();
  }

  #send(message: PageMessage, buffers: readonly ArrayBufferView[] = []): void {
    if (this.#open) this.#wire.send(message, buffers);
  }
}

function hidden(): boolean {
  return typeof document !== "undefined" && document.hidden;
}

function randomId(): string {
  return Array.from(crypto.getRandomValues(new Uint32Array(2)), (word) => word.toString(36)).join("");
}
