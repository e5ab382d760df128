/**
 * The points as they are shown: what the kernel last said, with what the person has just done laid over it until the
 * kernel says the same. Without that a released target would jump back for as long as a state is under way.
 *
 * Only what the person moved is laid over; a handle that the kernel tracks always comes from the kernel.
 */
import { Pending } from "./pending.ts";
import type { PointState, Xy } from "./protocol.ts";

export interface ShownPoint {
  readonly id: number;
  readonly handle: Xy;
  readonly target: Xy;
}

interface Local {
  readonly handle?: Xy;
  readonly target?: Xy;
  /** Made here: its handle is this page's until the kernel knows the point and tracks it. */
  readonly made?: boolean;
  readonly removed?: boolean;
  /** Under the pointer: nothing that the kernel says may move it. */
  readonly held?: boolean;
}

export class Points {
  #known: readonly PointState[] = [];
  readonly #local = new Map<number, Pending<Local>>();

  /** The points of a state. While a run is on, handles are the kernel's. */
  receive(points: readonly PointState[], running: boolean): void {
    this.#known = points;
    for (const [id, pending] of this.#local) {
      const point = points.find((each) => each.id === id);
      const known = pending.hears(({ handle, target, made, removed, held }) => {
        if (held) return false;
        if (removed || !point) return removed === true && !point;
        return (running || made || same(handle, point.handle)) && same(target, point.target);
      });
      const local = pending.value;
      if (known) this.#local.delete(id);
      else if (point && local?.made) {
        const { handle: _, made: __, ...rest } = local;
        pending.amend(rest);
      }
    }
  }

  shown(): ShownPoint[] {
    const shown: ShownPoint[] = [];
    for (const { id, handle, target } of this.#known) {
      const local = this.#local.get(id)?.value;
      if (!local?.removed) shown.push({ id, handle: local?.handle ?? handle, target: local?.target ?? target });
    }
    for (const [id, pending] of this.#local) {
      const { handle, target, made } = pending.value ?? {};
      if (made && handle && target) shown.push({ id, handle, target });
    }
    return shown.sort((a, b) => a.id - b.id);
  }

  find(id: number): ShownPoint | undefined {
    return this.shown().find((point) => point.id === id);
  }

  /** An id that neither the kernel nor this page has in use. */
  newId(): number {
    return Math.max(0, ...this.#known.map((point) => point.id), ...this.#local.keys()) + 1;
  }

  make(id: number, handle: Xy, target: Xy): void {
    this.#lay(id, { handle, target, made: true, held: true });
  }

  move(id: number, moved: { handle?: Xy; target?: Xy }, held: boolean): void {
    this.#lay(id, { ...this.#local.get(id)?.value, ...moved, held });
  }

  /** The pointer has let go: from now on the kernel may disagree. */
  release(id: number): void {
    const local = this.#local.get(id)?.value;
    if (local) this.#lay(id, { ...local, held: false });
  }

  remove(ids: readonly number[]): void {
    for (const id of ids) this.#lay(id, { removed: true });
  }

  /** Forget what the person did: the kernel's word holds at once. */
  restore(id?: number): void {
    if (id === undefined) this.#local.clear();
    else this.#local.delete(id);
  }

  #lay(id: number, local: Local): void {
    const pending = this.#local.get(id) ?? new Pending<Local>();
    this.#local.set(id, pending);
    if (local.held) pending.hold(local);
    else pending.expect(local);
  }
}

/** Equal as far as the wire carries it; where the person moved nothing there is nothing to disagree about. */
function same(mine: Xy | undefined, kernels: Xy): boolean {
  return !mine || (Math.abs(mine[0] - kernels[0]) < 0.02 && Math.abs(mine[1] - kernels[1]) < 0.02);
}
