import type { PointState, StateMessage } from "../src/protocol.ts";

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
    loading: null,
    progress: null,
    trouble: "",
    can_undo: false,
    can_redo: false,
    edited: false,
    rate: null,
    ...changes,
  };
}

export function aPoint(id: number, handle: readonly [number, number], target: readonly [number, number]): PointState {
  return { id, handle, target, distance: Math.hypot(target[0] - handle[0], target[1] - handle[1]) };
}
