/**
 * The one owner of the model. Every message to and from the kernel passes here, whichever view it belongs to: there is
 * one channel for a model (for every wrapper of it, where a host hands out several), and one `Connection` for a view.
 *
 * A view says `ready` until it is answered. From then on it `ping`s only while a run or a job goes, or while the person
 * waits for something: an edit at rest is silent and has no timers, so that its kernel counts as idle. When pings go
 * unanswered it knows itself disconnected, and it recovers as soon as anything comes; see `silence.ts`. Where what the
 * kernel pushes does not come, it asks: see `pace.ts`.
 */
import type { AnyModel } from "@anywidget/types";
import { Pace } from "./pace.ts";
import { type FrameMessage, type KernelMessage, type PageMessage, type PointMessage, parse } from "./protocol.ts";
import { Rest } from "./rest.ts";
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

export class Channel {
  static readonly #channels = new WeakMap<object, Channel>();

  /** `initialize` makes it; a host that renders without initialising gets it here all the same. */
  static of(model: AnyModel): Channel {
    let channel = Channel.#channels.get(model);
    if (!channel) {
      channel = new Channel(model);
      Channel.#channels.set(model, channel);
    }
    return channel;
  }

  readonly #model: AnyModel;
  readonly #connections = new Set<Connection>();
  readonly #rest = new Rest(() => {
    this.#model.set("settled", Date.now());
    this.#model.save_changes();
  });

  private constructor(model: AnyModel) {
    this.#model = model;
  }

  /** The PNG that the kernel left in the model for pages without one. */
  get still(): ArrayBufferView | null {
    const still: unknown = this.#model.get("still");
    return ArrayBuffer.isView(still) && still.byteLength > 0 ? still : null;
  }

  /** A connection for one view, silent until the view opens it. */
  connect(listener: Listener): Connection {
    const connection: Connection = new Connection(this, listener, () => this.#forget(connection));
    if (this.#connections.size === 0) {
      this.#model.on("msg:custom", this.#receive);
      this.#model.on("comm_live_update", this.#replaced);
    }
    this.#connections.add(connection);
    return connection;
  }

  send(message: PageMessage, buffers: readonly ArrayBufferView[] = []): void {
    try {
      // Some hosts send a view's whole `.buffer`, others read it as a view: a tight copy is the same to both.
      const tight = buffers.map((each) => new Uint8Array(each.buffer, each.byteOffset, each.byteLength).slice());
      this.#model.send(message, undefined, tight);
    } catch (error) {
      // A kernel that has gone is shown to the person as a disconnection, not thrown at whatever they pressed.
      console.debug("draggan_widget: not sent", message.type, error);
    }
  }

  close(): void {
    this.#rest.close();
    for (const connection of [...this.#connections]) connection.close();
    Channel.#channels.delete(this.#model);
  }

  #forget(connection: Connection): void {
    this.#connections.delete(connection);
    if (this.#connections.size > 0) return;
    this.#model.off("msg:custom", this.#receive);
    this.#model.off("comm_live_update", this.#replaced);
  }

  /** ipywidgets tells its own views so that the kernel of this model was started again; elsewhere nobody does. */
  readonly #replaced = (): void => {
    for (const connection of [...this.#connections]) connection.doubt();
  };

  readonly #receive = (raw: unknown, buffers: readonly ArrayBufferView[] = []): void => {
    let message: KernelMessage | null;
    try {
      message = parse(raw, buffers);
    } catch (error) {
      console.warn("draggan_widget:", error);
      return;
    }
    if (!message) return;
    if (message.type === "state") this.#rest.state(message);
    for (const connection of [...this.#connections]) connection.hear(message, buffers);
  };
}

export class Connection {
  readonly view = randomId();
  readonly #channel: Channel;
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
  readonly #jobs = new Set<string>();
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
  readonly #pace = new Pace();
  #open = false;

  constructor(channel: Channel, listener: Listener, forget: () => void) {
    this.#channel = channel;
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
    this.#pace.lively(Date.now());
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
    if (ack || this.#pace.pulls) this.#pull(move());
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
      if (message.loading === null) this.#jobs.delete("loading");
      else this.#jobs.add("loading");
    }
    if (message.type === "exporting") {
      if (message.progress === null) this.#jobs.delete(message.kind);
      else this.#jobs.add(message.kind);
    }
    if (message.type === "frame") {
      this.#pictured = true;
      this.#pace.frame(message.seq);
    }
    if (message.type === "pong") this.#pace.answer(message.sent);
    else {
      this.#pace.lively(now);
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
    return this.#running || this.#jobs.size > 0 || (this.#connected && !this.#answered);
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
      ? this.#busy || this.#expecting || this.#silence.waits || this.#pace.doubts
      : this.#connected || !hidden();
    if (!waits || !this.#open) {
      clearInterval(this.#ticking);
      this.#ticking = undefined;
    } else this.#ticking ??= setInterval(() => this.#tick(), TICK);
    const next = this.#pace.next(this.#busy);
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
    const silence = !this.#answered && this.#channel.still ? SHORT_SILENCE : SILENCE;
    if (this.#connected && this.#unanswered >= 2 && this.#silence.lost(now, silence)) {
      this.#say(false);
      this.#silence.runs(false);
      this.#connected = this.#answered = this.#running = false;
      this.#jobs.clear();
      this.#aloneSince = now;
      this.#listener.connected(false);
    }
    if (this.#connected && this.#answered) this.#say(this.#silence.late(now));
    if (this.#answered) {
      const every = this.#pace.doubts || this.#expecting ? EXPECTING_EVERY : PING_EVERY;
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
    this.#pace.asked(Date.now());
    this.#send({ type: "ack", view: this.view, seq: this.#acked, pull: this.#pace.pulls, ...(move && { move }) });
    this.#plan();
  }

  #send(message: PageMessage, buffers: readonly ArrayBufferView[] = []): void {
    if (this.#open) this.#channel.send(message, buffers);
  }
}

/** Milliseconds between two moves of one gesture, at least. */
const MOVE_EVERY = 30;
/** What is waited at most between two of them for pictures that come slowly. */
const MOVE_SELDOM = 250;
/** Milliseconds after a picture during which another is expected. */
const FLOWING = 1000;

/**
 * Pointer moves come faster than anybody can use them, and each costs the host's page and the kernel as much as a
 * picture does: of the moves of one gesture only the newest is sent, with an animation frame, no more than thirty a
 * second, and no more than two for three pictures; at no cost with an acknowledgement. Everything else goes out at once,
 * after what waits, so that order is kept and the last move of a gesture is never lost.
 */
export class Coalescer {
  readonly #send: (message: PageMessage) => void;
  readonly #schedule: (flush: () => void) => void;
  #waiting: PointMessage | null = null;
  #scheduled = false;
  #movedAt = Number.NEGATIVE_INFINITY;
  #frameAt = Number.NEGATIVE_INFINITY;
  /** Milliseconds between two pictures. */
  #gap = 0;

  constructor(send: (message: PageMessage) => void, schedule: (flush: () => void) => void) {
    this.#send = send;
    this.#schedule = schedule;
  }

  push(message: PageMessage): void {
    if (message.type === "start" && this.#waiting) {
      this.#waiting = { ...this.#waiting, start: true };
      this.flush();
      return;
    }
    if (message.type !== "point" || message.id !== this.#waiting?.id) this.flush();
    if (message.type !== "point") {
      this.#send(message);
      return;
    }
    this.#waiting = { ...this.#waiting, ...message };
    if (!message.pulling) this.flush();
    else if (!this.#scheduled) {
      this.#scheduled = true;
      this.#schedule(() => this.#flushInTime());
    }
  }

  /** A picture was drawn. */
  frame(): void {
    const now = Date.now();
    const gap = Math.min(now - this.#frameAt, FLOWING);
    this.#gap = this.#gap ? 0.7 * this.#gap + 0.3 * gap : gap;
    this.#frameAt = now;
  }

  /** The move that waits, for an acknowledgement that is about to be sent. */
  take(): PointMessage | null {
    const message = this.#waiting;
    this.#waiting = null;
    if (message) this.#movedAt = Date.now();
    return message;
  }

  #flushInTime(): void {
    const now = Date.now();
    const flowing = now - this.#frameAt < FLOWING;
    const due = this.#movedAt + (flowing ? Math.min(Math.max(MOVE_EVERY, 1.5 * this.#gap), MOVE_SELDOM) : MOVE_EVERY);
    // By a timer, not with the next animation frame: to ask for one makes the browser paint.
    if (this.#waiting && now < due) {
      setTimeout(() => this.#flushInTime(), due - now);
      return;
    }
    this.#scheduled = false;
    this.flush();
  }

  flush(): void {
    const message = this.#waiting;
    this.#waiting = null;
    if (!message) return;
    this.#movedAt = Date.now();
    this.#send(message);
  }
}

function hidden(): boolean {
  return typeof document !== "undefined" && document.hidden;
}

function randomId(): string {
  return Array.from(crypto.getRandomValues(new Uint32Array(2)), (word) => word.toString(36)).join("");
}
