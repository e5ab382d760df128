/**
 * A kernel that only plays back: it answers a view with what an edit once told, and says of everything else that it is
 * a recording. Pulling anything, or Start, plays the edit from its beginning.
 */
import type { CourseMessage, FrameMessage, KernelMessage, PageMessage, PointState, StateMessage } from "../protocol.ts";

export interface Recording {
  /** At the end of the edit. */
  readonly state: StateMessage;
  readonly course: CourseMessage;
  /** After each step; the first is before any. */
  readonly steps: readonly RecordedStep[];
}

interface RecordedStep {
  readonly points: readonly PointState[];
  /** A JPEG, as base64. */
  readonly picture: string;
}

export const RECORDED =
  "This is a recording: it shows the pull that was made. In a notebook the picture follows yours.";
/** A step takes as long as it took, but within these milliseconds. */
const [QUICKEST, SLOWEST] = [60, 240];

/** Messages that ask for nothing that a recording lacks. */
const QUIET: ReadonlySet<PageMessage["type"]> = new Set(["bye", "ack", "cancel"]);

export class RecordedKernel {
  readonly #recording: Recording;
  readonly #tell: (message: KernelMessage, buffers: readonly ArrayBufferView[]) => void;
  readonly #pictures: readonly Uint8Array[];
  #state: StateMessage;
  #seq = 0;
  #playing: ReturnType<typeof setTimeout> | null = null;

  constructor(recording: Recording, tell: (message: KernelMessage, buffers: readonly ArrayBufferView[]) => void) {
    this.#recording = recording;
    this.#tell = tell;
    this.#pictures = recording.steps.map(({ picture }) =>
      Uint8Array.from(atob(picture), (letter) => letter.charCodeAt(0)),
    );
    this.#state = { ...recording.state, can_undo: false, can_redo: false, undo: "", redo: "" };
  }

  hear(message: PageMessage): void {
    switch (message.type) {
      case "ready":
        this.#say({});
        this.#frame(this.#shown);
        break;
      case "ping":
        this.#tell({ type: "pong", sent: this.#seq, withheld: false }, []);
        break;
      case "look":
        this.#say({ shown: message.step });
        this.#frame(this.#shown);
        break;
      case "before":
        this.#tell({ type: "before", edit: this.#state.edit, ...this.#size }, [this.#picture(0)]);
        break;
      case "course":
        this.#course(message.since);
        break;
      case "thumbnails": {
        const steps = message.steps.filter((step) => step < this.#state.length);
        const pictures = steps.map((step) => this.#picture(step));
        this.#tell({ type: "thumbnails", edit: this.#state.edit, steps }, pictures);
        break;
      }
      case "start":
        this.#play();
        break;
      case "stop":
        this.#end("stopped");
        break;
      case "point":
        this.#drop();
        if (this.#playing === null) this.#play();
        break;
      default:
        if (!QUIET.has(message.type)) this.#drop();
    }
  }

  /** Stop playing for good. */
  close(): void {
    if (this.#playing !== null) clearTimeout(this.#playing);
    this.#playing = null;
  }

  get #shown(): number {
    return this.#state.shown ?? this.#state.length - 1;
  }

  get #size(): Pick<FrameMessage, "format" | "width" | "height"> {
    const { width, height } = this.#state;
    return { format: "jpeg", width, height };
  }

  #picture(step: number): Uint8Array {
    return this.#pictures[step] ?? new Uint8Array();
  }

  #say(changes: Partial<StateMessage>): void {
    this.#state = { ...this.#state, ...changes };
    const { points } = this.#recording.steps[this.#shown] ?? { points: [] };
    this.#state = { ...this.#state, points };
    this.#tell(this.#state, []);
  }

  #frame(step: number): void {
    this.#seq += 1;
    this.#tell({ type: "frame", seq: this.#seq, step, ack: false, ...this.#size }, [this.#picture(step)]);
  }

  #course(since: number): void {
    const { steps, seconds, ids, distances } = this.#recording.course;
    const known = <T>(each: readonly T[]) =>
      each.filter((_, at) => (steps[at] ?? 0) > since && (steps[at] ?? 0) < this.#state.length);
    const told = { steps: known(steps), seconds: known(seconds), ids: known(ids), distances: known(distances) };
    this.#tell({ type: "course", edit: this.#state.edit, since, ...told }, []);
  }

  /** What was done in the page is taken back: states of two pictures make it forget what it laid over them. */
  #drop(): void {
    const { seed } = this.#state;
    this.#say({ seed: seed === null ? 0 : null });
    this.#say({ seed });
    this.#tell({ type: "notice", text: RECORDED }, []);
  }

  #play(): void {
    this.close();
    this.#say({ status: "running", message: "", step: 0, length: 1, shown: null, edit: this.#state.edit + 1 });
    this.#frame(0);
    this.#soon(1);
  }

  #soon(step: number): void {
    const { steps, seconds } = this.#recording.course;
    const at = (each: number) => seconds[steps.indexOf(each)] ?? 0;
    const took = 1000 * (at(step) - at(step - 1));
    this.#playing = setTimeout(() => this.#next(step), Math.min(SLOWEST, Math.max(QUICKEST, took)));
  }

  #next(step: number): void {
    this.#say({ step, length: step + 1 });
    this.#frame(this.#shown);
    if (step < this.#recording.steps.length - 1) this.#soon(step + 1);
    else this.#end(this.#recording.state.status);
  }

  /** At rest all of the edit can be looked at, as it was recorded. */
  #end(status: StateMessage["status"]): void {
    this.close();
    const { message, step } = this.#recording.state;
    const whole = this.#state.length === this.#recording.steps.length;
    this.#say({ status, ...(whole ? { message, step } : { message: "" }) });
  }
}
