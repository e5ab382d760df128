/**
 * Whether what the kernel pushes reaches this view, and how often to ask where it does not. Pure.
 *
 * Some hosts deliver, once a cell has ended, only what is sent while a message of the page is handled: answers come,
 * frames do not. An answer says which frame was sent last, and comes after it. Twice in a row with a frame of which
 * nothing was heard (once may be a host that changes the order) means that this is such a host: from then on the view
 * asks, often while something moves and now and then at rest.
 */
const MISSES = 2;
const LIVELY = 2000;
const OFTEN = 100;
const SELDOM = 1000;

export class Pace {
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
  answer(sent: number): void {
    this.#newest ??= sent;
    this.#misses = sent > this.#newest ? this.#misses + 1 : 0;
    if (this.#misses >= MISSES) this.pulls = true;
  }

  /** Something was told, or done here. */
  lively(now: number): void {
    this.#livelyUntil = now + LIVELY;
  }

  /** Whether to ask at this moment. */
  due(now: number): boolean {
    return this.pulls && now - this.#askedAt >= (now < this.#livelyUntil ? OFTEN : SELDOM);
  }

  asked(now: number): void {
    this.#askedAt = now;
  }
}
