// A kernel for tests of the page alone: it answers at once, or after `lag` milliseconds, and keeps what it was sent.
// The picture of each step is of one colour, whose red says the step.
import widget from "./index.js";

const settings = {
  edit_layers: 6, learning_rate: 0.002, max_steps: 300, mask_weight: 20, block: 6, supervision_radius: 3,
  tracking_radius: 12, space: "w_plus", method: "default", tolerance: 1, stall_steps: 10, speed: null,
};
const hear = new Set();
const kernel = { sent: [], lag: 0, alive: true, shown: null, late: null };
const state = {
  type: "state", status: "stopped", message: "", step: 20, seed: 9, truncation: 0.7, label: null, classes: 0, width: 64,
  height: 64, channels: 3, generator: "fake", model: null, jobs: [], photo: false, trouble: "", can_undo: true,
  can_redo: false, undo: "pull of point 1", redo: "", edit: 1, mp4: true, edited: true, rate: null, warning: "",
  settings: { ...settings }, defaults: settings, length: 21, shown: null, amounts: [],
  points: [{ id: 1, handle: [20, 30], target: [40, 30], distance: 20, confidence: 0.9, texture: null }],
};
let seq = 0;

const bytes = (text) => Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0));
const emit = (message, buffers = []) => {
  for (const each of hear) each(structuredClone(message), buffers.map((data) => new DataView(data.buffer)));
};
kernel.put = (changes) => emit(Object.assign(state, changes));
kernel.frame = (step, number = ++seq) =>
  emit({ type: "frame", seq: number, step, format: "png", width: 64, height: 64, ack: true }, [bytes(window.pictures[step])]);

// Where in a photograph of 640 × 480 the square may lie; what it looks like is the first picture.
kernel.place = (squares) =>
  emit({ type: "placing", width: 640, height: 480, shape: 1, squares, note: "A note." }, [bytes(window.pictures[0])]);

const panel = (name, told, buffers) => emit({ type: "panel", panel: name, told }, buffers);
const names = ["smile", "hair_length", "a_name_that_is_longer_than_there_is_room_for"];
const ends = { less: "rather less of it", more: "a great deal more of it", least: -2.5, most: 2.5 };
const engines = ["natural", "draggan", "freedrag"];
const rest = { round: 1, why: "", reason: "arrived", step: 12, seconds: 1.5, distance: 0.4 };
const answers = {
  attributes: () => {
    const attributes = names.map((name) => ({ name, label: name, group: "hair", score: 0.9, source: "known", ...ends }));
    const groups = [{ name: "hair", label: "Hair and beard" }];
    panel("attributes", { attributes, groups, sets: [{ name: "identity", members: ["smile"] }], why: "" });
    answers.values();
  },
  values: () => panel("values", { values: { smile: 0.5 }, began: { smile: -0.5 }, held: ["smile"] }),
  change: ({ id }) => panel("answer", { id, done: true, notes: [] }),
  engines: () =>
    panel("engines", {
      engines: engines.map((name) => ({ name, help: "What it does, in a line that is not too short", refusal: "" })),
      present: "natural",
    }),
  compare: (asked) => {
    panel("round", { engines: asked.engines });
    for (const engine of asked.engines) panel("compared", { ...rest, engine, status: "done" }, [bytes(window.pictures[3])]);
  },
  more: () => emit({ type: "more" }, [new TextEncoder().encode(window.more)]),
  photo: ({ view, size, at }) => emit({ type: "part", view, at: Math.min(size, at + (1 << 20)) }),
  ready: () => (emit(state), kernel.frame(20)),
  ping: () => emit({ type: "pong", sent: seq, withheld: false }),
  look: ({ step }) => (kernel.put({ shown: step }), kernel.frame(step ?? state.length - 1)),
  branch: ({ step }) => (kernel.put({ shown: null, length: step + 1, step, edit: state.edit + 1 }), kernel.frame(step)),
  before: () => {
    const { edit } = state;
    const answer = () => emit({ type: "before", edit, format: "png", width: 64, height: 64 }, [bytes(window.pictures[0])]);
    if (kernel.late) kernel.late.push(answer);
    else answer();
  },
  schema: () => emit({ type: "schema", fields: window.fields }),
  reset_settings: () => kernel.put({ settings: { ...settings } }),
  settings: ({ values }) => {
    for (const [name, value] of Object.entries(values)) state.settings[name] = value ?? settings[name];
    emit(state);
  },
  point: ({ id, handle, target }) =>
    kernel.put({
      points: state.points.map((each) =>
        each.id === id
          ? { ...each, handle: handle ?? each.handle, target: target ?? each.target, texture: null }
          : each,
      ),
    }),
  course: ({ since }) => {
    const steps = Array.from({ length: state.length - since - 1 }, (_, n) => since + 1 + n);
    const ids = steps.map(() => [1]);
    emit({ type: "course", edit: state.edit, since, steps, seconds: steps, ids, distances: steps.map((step) => [40 - step]) });
  },
  // While `late` is a list, a test lets its answers go.
  thumbnails: ({ steps }) => {
    const { edit } = state;
    const pictures = steps.map((step) => bytes(window.pictures[step]));
    const answer = () => emit({ type: "thumbnails", edit, steps }, pictures);
    if (kernel.late) kernel.late.push(answer);
    else answer();
  },
  export: ({ kind }) => {
    const text = kind === "code" ? 'DragGAN("fake", seed=9)' : "";
    emit({ type: "export", kind, name: `edit.${kind}`, mime: "image/png", text }, text ? [] : [bytes(window.pictures[0])]);
  },
};

const model = {
  get: () => undefined,
  set: () => {},
  save_changes: () => {},
  on: (name, each) => name === "msg:custom" && hear.add(each),
  off: (_, each) => hear.delete(each),
  send: (message) => {
    kernel.sent.push(message);
    setTimeout(() => kernel.alive && answers[message.type]?.(message), kernel.lag);
  },
};

widget.initialize({ model });
widget.render({ model, el: document.body.appendChild(document.createElement("div")) });
window.kernel = Object.assign(kernel, { state });
