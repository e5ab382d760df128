/** The course of the edit as far as the page knows it, and what it has still to ask for. No DOM. */
import { Pending } from "./pending.ts";
import type { CourseMessage } from "./protocol.ts";
import type { Size } from "./zoom.ts";

/** During a run the course is asked for so often at most, in milliseconds, and not before. */
const EVERY = 1000;
/** After this an answer is no longer waited for. */
const PATIENCE = 4000;

export class Course {
  #steps: number[] = [];
  #ids: (readonly number[])[] = [];
  #distances: (readonly number[])[] = [];
  /** The record after which the course was asked for. */
  readonly #asked = new Pending<number>(PATIENCE);
  #askedAt = Number.NEGATIVE_INFINITY;
  #edit = Number.NaN;

  /** The number of the edit that this is the course of; answers of other numbers came too late or too early. */
  get edit(): number {
    return this.#edit;
  }

  /** The state is of this edit; true where that is another one than before, of which nothing is known yet. */
  begin(edit: number): boolean {
    if (edit === this.#edit) return false;
    this.forget();
    this.#edit = edit;
    return true;
  }

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
    this.#asked.forget();
    this.#askedAt = Number.NEGATIVE_INFINITY;
  }

  /**
   * The record after which the course is to be asked for now, or null. `newest` is the edit's newest record; `every`,
   * milliseconds between two questions.
   */
  wants(newest: number, every: number = EVERY, now = Date.now()): number | null {
    if (newest < this.last) this.forget();
    if (every > 0 && this.#askedAt === Number.NEGATIVE_INFINITY) this.#askedAt = now; // first of all the first picture
    if (newest <= this.last || newest === 0 || this.#asked.waits(now) || now - this.#askedAt < every) return null;
    this.#asked.expect(this.last, now);
    this.#askedAt = now;
    return this.last;
  }

  receive({ edit, since, steps, ids, distances }: CourseMessage): void {
    if (edit !== this.#edit) return;
    // The answer to a question from before it was forgotten has nothing to stand on.
    if (since !== this.last || since !== this.#asked.value) return;
    this.#asked.forget();
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

interface Place {
  readonly left: number;
  readonly top: number;
}

/**
 * Where a label of that size stands clear of all lines, which go from left to right; null where they leave no room. The
 * lower left is tried first, since ways begin high and fall.
 */
export function clearPlace(lines: readonly (readonly Place[])[], label: Size, area: Size): Place | null {
  const TRIED = 8;
  if (label.width > area.width) return null;
  for (const top of [area.height - label.height, 0]) {
    for (let n = 0; n <= TRIED; n++) {
      const left = ((area.width - label.width) * n) / TRIED;
      const clear = lines.every((line) => {
        const [high, low] = reach(line, left, left + label.width);
        return low < top || high > top + label.height;
      });
      if (clear) return { left, top };
    }
  }
  return null;
}

/** Between which heights a line is there. */
function reach(line: readonly Place[], from: number, to: number): readonly [number, number] {
  const tops: number[] = [];
  line.forEach((here, n) => {
    if (here.left >= from && here.left <= to) tops.push(here.top);
    const next = line[n + 1];
    if (!next) return;
    for (const edge of [from, to]) {
      if (here.left < edge && next.left > edge) {
        tops.push(here.top + ((next.top - here.top) * (edge - here.left)) / (next.left - here.left));
      }
    }
  });
  return [Math.min(...tops), Math.max(...tops)];
}

/** Of those that are there, the one nearest to a record. */
export function nearestStep(steps: Iterable<number>, step: number): number | null {
  let best: number | null = null;
  for (const each of steps) if (best === null || Math.abs(each - step) < Math.abs(best - step)) best = each;
  return best;
}
