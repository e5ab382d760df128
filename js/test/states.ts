import golden from "../../tests/golden/messages.json" with { type: "json" };
import { parse } from "../src/parse.ts";
import type { Field, Job, PointState, Settings, StateMessage } from "../src/protocol.ts";

/** The fields of the fixtures' schema, which are those of the kernel. */
export function theFields(): readonly Field[] {
  const message = golden.to_page.map((entry) => entry.message).find(({ type }) => type === "schema");
  const read = parse(message, []);
  if (read?.type !== "schema") throw new Error("no schema");
  return read.fields;
}

const settings: Settings = {
  edit_layers: 6,
  learning_rate: 0.002,
  max_steps: 300,
  mask_weight: 20,
  blend: "none",
  block: 6,
  supervision_radius: 3,
  tracking_radius: 12,
  space: "w_plus",
  engine: "draggan",
  first: "",
  method: "default",
  tolerance: 1,
  stall_steps: 10,
  on_stall: "halve",
  stay_near: 0,
  truncate: 0,
  typical: null,
  tracker: "own",
  window: "fixed",
  several_blocks: "joined",
  on_lost: "go_on",
  speed: null,
};

export function aState(changes: Partial<StateMessage> = {}): StateMessage {
  return {
    type: "state",
    status: "idle",
    message: "",
    step: 0,
    points: [],
    seed: 7,
    truncation: 0.7,
    label: null,
    classes: 0,
    width: 256,
    height: 256,
    channels: 3,
    generator: "faces",
    model: null,
    jobs: [],
    photo: false,
    trouble: "",
    can_undo: false,
    can_redo: false,
    undo: "",
    redo: "",
    edit: 0,
    mp4: true,
    edited: false,
    rate: null,
    warning: "",
    settings,
    defaults: settings,
    length: 1,
    shown: null,
    amounts: [],
    ...changes,
  };
}

export function aLoad(name: string, progress: number | null = null): Job {
  return { id: 1, what: "load", name, progress, note: "", stage: "" };
}

export function aPoint(id: number, handle: readonly [number, number], target: readonly [number, number]): PointState {
  const distance = Math.hypot(target[0] - handle[0], target[1] - handle[1]);
  return { id, handle, target, distance, confidence: null, texture: null };
}
