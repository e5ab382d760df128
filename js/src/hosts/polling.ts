/**
 * Colab: whether what the kernel pushes reaches this view, and how often to ask where it does not. Pure.
 *
 * Such hosts deliver, once a cell has ended, only what is sent while a message of the page is handled: answers come,
 * frames do not. An answer says which frame was sent last, and comes after it. Twice in a row with a frame of which
 * nothing was heard (once may be a host that changes the order) means that this is such a host: from then on the view
 * asks, often while something moves, and at rest ever more seldom, so that the kernel is left in peace. A kernel that
 * knows its host says so with its answer: a view at rest would not find out, and miss what another view does.
 */
const MISSES = 2;
const LIVELY = 2000;
const OFTEN = 100;
const SELDOM = 1000;
const SELDOMEST = 30_000;
/** Of the time that nothing has come of it so much passes before it is asked again: after a minute, half a minute. */
const SHARE = 0.5;

export class Polling {
  /** Whether the view has to ask for what is new. */
  pulls = false;
  /** The newest frame that can be expected to be here. */
  #newest: number | null = null;
  #misses = 0;
  #livelyUntil = Number.NEGATIVE_INFINITY;
  #askedAt = Number.NEGATIVE_INFINITY;

  /** A frame has come. */
  frame(seq: number): void {
    this.#newest = Math.max(seq, this.#newest ?? seq);
    this.#misses = 0;
  }

  /** An answer has come, after the frame `sent` was. What was sent before the first answer was for other views. */
  answer(sent: number, withheld = false): void {
    this.#newest ??= sent;
    this.#misses = sent > this.#newest ? this.#misses + 1 : 0;
    if (withheld || this.#misses >= MISSES) this.pulls = true;
  }

  /** Something was told, or done here. */
  lively(now: number): void {
    this.#livelyUntil = now + LIVELY;
  }

  /** Whether a frame is missing, and it is not known yet what that means. */
  get doubts(): boolean {
    return !this.pulls && this.#misses > 0;
  }

  /** When to ask next. `busy`: whether a run or a job goes. */
  next(busy: boolean): number {
    if (!this.pulls) return Number.POSITIVE_INFINITY;
    if (this.#askedAt === Number.NEGATIVE_INFINITY) return 0;
    if (this.#askedAt < this.#livelyUntil) return this.#askedAt + OFTEN;
    const quiet = busy ? 0 : SHARE * (this.#askedAt - this.#livelyUntil + LIVELY);
    return this.#askedAt + Math.min(SELDOMEST, Math.max(SELDOM, quiet));
  }

  asked(now: number): void {
    this.#askedAt = now;
  }
}
