/** The course of the edit as far as the page knows it, and what it has still to ask for. No DOM. */
import type { CourseMessage } from "./protocol.ts";

/** During a run the course is asked for so often at most, in milliseconds, and not before. */
const EVERY = 1000;
/** After this an answer is no longer waited for. */
const PATIENCE = 4000;

export class Course {
  #steps: number[] = [];
  #ids: (readonly number[])[] = [];
  #distances: (readonly number[])[] = [];
  #asked: { since: number; at: number } | null = null;
  #askedAt = Number.NEGATIVE_INFINITY;

  get steps(): readonly number[] {
    return this.#steps;
  }

  /** For each point the way it had to go at every step that it was there, in pixels. */
  get ways(): ReadonlyMap<number, readonly (readonly [step: number, distance: number])[]> {
    const ways = new Map<number, [number, number][]>();
    this.#steps.forEach((step, at) => {
      this.#ids[at]?.forEach((id, n) => {
        const way = ways.get(id) ?? [];
        ways.set(id, way);
        way.push([step, this.#distances[at]?.[n] ?? 0]);
      });
    });
    return ways;
  }

  /** The last record that is known, or -1. */
  get last(): number {
    return this.#steps.at(-1) ?? -1;
  }

  /** What was known is of another time: undone, branched, or of another picture. */
  forget(): void {
    this.#steps = [];
    this.#ids = [];
    this.#distances = [];
    this.#asked = null;
    this.#askedAt = Number.NEGATIVE_INFINITY;
  }

  /**
   * The record after which the course is to be asked for now, or null. `newest` is the edit's newest record; `every`,
   * milliseconds between two questions.
   */
  wants(newest: number, every: number = EVERY, now = Date.now()): number | null {
    if (newest < this.last) this.forget();
    if (every > 0 && this.#askedAt === Number.NEGATIVE_INFINITY) this.#askedAt = now; // first of all the first picture
    const waiting = this.#asked !== null && now - this.#asked.at < PATIENCE;
    if (newest <= this.last || newest === 0 || waiting || now - this.#askedAt < every) return null;
    this.#asked = { since: this.last, at: now };
    this.#askedAt = now;
    return this.last;
  }

  receive({ since, steps, ids, distances }: CourseMessage): void {
    // The answer to a question from before it was forgotten has nothing to stand on.
    if (since !== this.last || since !== this.#asked?.since) return;
    this.#asked = null;
    this.#steps.push(...steps);
    this.#ids.push(...ids);
    this.#distances.push(...distances);
  }
}

/** The records to show small pictures of: `count` of them, evenly over the course, first and newest among them. */
export function stations(newest: number, count: number): number[] {
  const most = Math.max(1, Math.min(count, newest + 1));
  const steps = Array.from({ length: most }, (_, n) => Math.round((n * newest) / Math.max(1, most - 1)));
  return [...new Set(steps)];
}

/** Of those that are there, the one nearest to a record. */
export function nearestStep(steps: Iterable<number>, step: number): number | null {
  let best: number | null = null;
  for (const each of steps) if (best === null || Math.abs(each - step) < Math.abs(best - step)) best = each;
  return best;
}
