/** Pointer moves on their way to the kernel: as few as do, and the last one always. */
import type { PageMessage, PointMessage } from "./protocol.ts";

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
