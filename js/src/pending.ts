/**
 * What was sent to the kernel and is yet to come back from it. Until then the page shows what was sent: what the kernel
 * says meanwhile is of before. Too long it is not awaited, for the kernel may have refused. Pure.
 */
export class Pending<T> {
  readonly #patience: number;
  #sent: { readonly value: T; readonly at: number } | null = null;

  /** `patience`: milliseconds after which the kernel is believed, whatever it says. */
  constructor(patience = 3000) {
    this.#patience = patience;
  }

  /** What is awaited; undefined: nothing is, and the kernel's word holds. */
  get value(): T | undefined {
    return this.#sent?.value;
  }

  /** This was sent. */
  expect(value: T, now = Date.now()): void {
    this.#sent = { value, at: now };
  }

  /** This is being changed, and not let go yet: nothing that the kernel says holds, however long it takes. */
  hold(value: T): void {
    this.expect(value, Number.POSITIVE_INFINITY);
  }

  /** A part of it has come back; the time for the rest runs on. */
  amend(value: T): void {
    if (this.#sent) this.#sent = { value, at: this.#sent.at };
  }

  /** Whether something is awaited, and not for too long yet. */
  waits(now = Date.now()): boolean {
    return this.#sent !== null && now - this.#sent.at <= this.#patience;
  }

  /** The kernel has said something: does it agree with what was sent? True where from now on its word holds. */
  hears(agrees: (sent: T) => boolean, now = Date.now()): boolean {
    if (this.#sent && (!this.waits(now) || agrees(this.#sent.value))) this.#sent = null;
    return this.#sent === null;
  }

  /** What was sent holds no longer, only the kernel's next word does. */
  forget(): void {
    this.#sent = null;
  }
}
