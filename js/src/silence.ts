/**
 * Whether the kernel still answers, judged by what it was asked and when anything came of it. Pure.
 *
 * Somebody who pulls, or has just pressed something, waits for the picture, and is told soon that nothing comes. They
 * are told that the connection is lost only later, because a kernel that is busy with a cell may not hear us either;
 * unless the host itself says that the kernel we knew is gone.
 */

/** While somebody waits, the kernel is asked after so many milliseconds without a word. */
const QUIET = 500;
/** What an answer may take at least before it is missed. */
const ANSWER = 450;
/** So long nothing came, while somebody waited, when that is said; longer where longer gaps were seen in this run. */
const LATE = 1200;
const LATEST = 4000;
/** The same after a press at rest, where nothing has shown how quick this kernel is. */
const PRESSED = 2000;
/** So long a kernel that was said to be gone is waited for. */
const GONE = 1000;
/** Of a silence so much counts that was before the first question: at rest one hears nothing, and nothing is wrong. */
const ASKED = 3000;

export class Silence {
  #heardAt: number;
  /** Since when something is unanswered; null: nothing is. */
  #askedAt: number | null = null;
  #lastAskedAt = Number.NEGATIVE_INFINITY;
  /** When the person did something that is yet to be answered. */
  #pressedAt: number | null = null;
  #goneAt: number | null = null;
  #running = false;
  /** The longest time without a word in this run, the less the longer ago it was. */
  #gap = 0;

  constructor(now: number) {
    this.#heardAt = now;
  }

  /** Anything came from the kernel. */
  heard(now: number): void {
    this.#gap = Math.max(0.9 * this.#gap, now - this.#heardAt);
    this.#heardAt = now;
    this.#askedAt = this.#pressedAt = this.#goneAt = null;
  }

  /** Whether a run is on. */
  runs(running: boolean): void {
    if (running !== this.#running) this.#gap = 0;
    this.#running = running;
  }

  /** The kernel was asked for a sign of life. */
  asked(now: number): void {
    this.#askedAt ??= now;
    this.#lastAskedAt = now;
  }

  /** The person did something. */
  pressed(now: number): void {
    this.#pressedAt ??= now;
  }

  /** The host says that the kernel was started again or has gone. */
  gone(now: number): void {
    this.#goneAt ??= now;
  }

  /** Whether an answer is outstanding, or somebody waits. */
  get waits(): boolean {
    return this.#askedAt !== null || this.#from !== null;
  }

  /** Whether to ask now, because somebody waits. */
  asks(now: number): boolean {
    return this.#from !== null && now - Math.max(this.#from, this.#lastAskedAt) >= (this.#goneAt === null ? QUIET : 0);
  }

  /** Whether it is to be said that no answer comes. */
  late(now: number): boolean {
    if (this.#from === null || this.#askedAt === null) return false;
    const patience = this.#running ? Math.min(LATEST, Math.max(LATE, 1.5 * this.#gap)) : PRESSED;
    return now - this.#askedAt >= ANSWER && now - this.#from >= patience;
  }

  /** Whether the connection is lost: nothing came for so many milliseconds, during which the kernel was asked. */
  lost(now: number, patience: number): boolean {
    if (this.#askedAt === null) return false;
    if (this.#goneAt !== null && now - Math.max(this.#goneAt, this.#askedAt) >= GONE) return true;
    return now - Math.max(this.#heardAt, this.#askedAt - ASKED) >= patience;
  }

  /** Since when somebody waits for a word of the kernel; null: nobody does. */
  get #from(): number | null {
    if (this.#goneAt !== null) return this.#goneAt;
    if (this.#running) return this.#heardAt;
    return this.#pressedAt;
  }
}
