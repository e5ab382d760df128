import { describe, expect, it } from "vitest";
import golden from "../../tests/golden/messages.json" with { type: "json" };
import { parse } from "../src/parse.ts";
import { COMMANDS, type MaskMessage, type PageMessage, point, STATUSES } from "../src/protocol.ts";

const buffersOf = (entry: { buffers: number[] }) => entry.buffers.map((length) => new Uint8Array(length));
const view = "k3x9q2m7";

/** How this page makes every message of the fixtures, in their order. */
const made: PageMessage[] = [
  { type: "ready", view },
  { type: "ack", view, seq: 42, pull: false },
  { type: "ack", view, seq: 0, pull: true },
  { type: "ack", view, seq: 43, pull: false, move: point(1, { target: [140, 118.75] }, true) },
  { type: "ping", view },
  { type: "bye", view },
  point(1, { handle: [99.5, 124.5], target: [103.25, 123.25] }, true),
  { ...point(1, { handle: [99.5, 124.5], target: [102, 124.5] }, true), start: true },
  point(1, { target: [140, 118.75] }, true),
  point(1, { target: [140, 118.75] }, false),
  point(1, {}, false),
  point(2, { handle: [0, 255] }, false),
  point(3, { handle: [12, 34], target: [56, 78] }, false),
  { type: "remove", ids: [2] },
  { type: "remove", ids: [1, 3] },
  ...COMMANDS.map((type) => ({ type })),
  { type: "settings", values: { learning_rate: 0.005, block: [5, 6], space: "w", speed: 4 } },
  { type: "settings", values: { edit_layers: null } },
  { type: "schema" },
  { type: "look", step: 12 },
  { type: "look", step: null },
  { type: "branch", step: 12 },
  { type: "course", since: -1 },
  { type: "thumbnails", steps: [0, 10, 20] },
  { type: "export", kind: "gif", handles: true },
  { type: "new_image", seed: 4294967295 },
  { type: "new_image", seed: null },
  { type: "truncation", value: 0.7 },
  { type: "label", value: 999 },
  { type: "models" },
  { type: "load", name: "network-snapshot-025000.pkl" },
  { type: "cancel", id: 3 },
  { type: "photo", view, name: "me.jpg", size: 3000000, at: 1048576 },
  { type: "place", x: 320.5, y: 240, size: 200.25, angle: 0 },
  { type: "enough", stage: "tuning" },
  { type: "more" },
  { type: "attributes" },
  { type: "values" },
  { type: "engines" },
  { type: "change", id: 1, values: { smile: 1.25 }, pulling: true },
  { type: "change", id: 2, values: { smile: 1.3 }, pulling: false },
  { type: "say", id: 3, text: "older, smiling a bit" },
  { type: "prompt", id: 5, text: "photo of a red car" },
  { type: "lock", name: "identity", on: true },
  { type: "mark", side: "more", number: null },
  { type: "mark", side: null, number: 2 },
  { type: "teach", id: 4, name: "heroic look" },
  { type: "compare", engines: ["natural", "draggan"] },
  { type: "take", engine: "draggan" },
  { type: "mask", width: 4, height: 3 },
  { type: "mask", width: 256, height: 256 },
];

describe("the golden messages", () => {
  it.each(golden.to_page)("include one that the page reads whole: $message.type", (entry) => {
    expect(parse(entry.message, buffersOf(entry))).toEqual(entry.message);
  });

  it("are what the page sends, field by field", () => {
    expect(made).toEqual(golden.to_kernel.map((entry) => entry.message));
  });

  it("show every status and every type there is", () => {
    const states = golden.to_page.map(({ message }) => message).filter((message) => message.type === "state");
    expect(new Set(states.map((state) => state.status))).toEqual(new Set(STATUSES));
    expect(new Set(golden.to_page.map(({ message }) => message.type))).toEqual(
      new Set([
        ...["state", "frame", "mask", "classes", "models", "notice", "pong"],
        ...["course", "thumbnails", "before", "export", "schema", "part", "placing"],
        ...["more", "panel"],
      ]),
    );
  });

  it("carry masks of one byte a pixel, or of none", () => {
    for (const { message, buffers } of [...golden.to_kernel, ...golden.to_page]) {
      if (message.type !== "mask") continue;
      const { width, height } = message as MaskMessage;
      expect([0, width * height]).toContain(buffers.reduce((all, each) => all + each, 0));
    }
  });
});

describe("reading a message", () => {
  const frame = { type: "frame", seq: 1, step: 0, format: "png", width: 2, height: 2, ack: true };
  const bytes = [new Uint8Array(4)];

  it("takes buffers as any kind of view", () => {
    expect(parse(frame, [new DataView(new ArrayBuffer(8), 2, 4)])).toMatchObject({ seq: 1 });
    expect(parse(frame, bytes)).toMatchObject({ seq: 1 });
  });

  it("lets fields pass that it does not know, and drops them", () => {
    expect(parse({ ...frame, colour: "red" }, bytes)).toEqual(frame);
  });

  it("answers null for a type of another version", () => {
    expect(parse({ type: "fireworks" }, [])).toBeNull();
  });

  it.each([
    ["no object at all", "state", []],
    ["a missing type", {}, []],
    ["a frame without its picture", frame, []],
    ["a number that is none", { ...frame, seq: "1" }, bytes],
    ["a broken number", { ...frame, seq: 1.5 }, bytes],
    ["an unknown format", { ...frame, format: "gif" }, bytes],
    ["names that are none", { type: "classes", names: ["cat", 2] }, []],
    ["a list of models that is none", { type: "models", builtin: [], files: "a.pkl" }, []],
    ["a mask of the wrong size", { type: "mask", width: 3, height: 3 }, bytes],
    ["a course of no edit", { type: "course", since: 0, steps: [], seconds: [], ids: [], distances: [] }, []],
    ["thumbnails of no edit", { type: "thumbnails", steps: [1] }, bytes],
    ["a course of words", { type: "course", edit: 1, since: 0, steps: ["1"], seconds: [], ids: [], distances: [] }, []],
    [
      "distances that are no rows",
      { type: "course", edit: 1, since: 0, steps: [], seconds: [], ids: [], distances: [1] },
      [],
    ],
    ["fewer thumbnails than steps", { type: "thumbnails", edit: 1, steps: [1, 2] }, bytes],
    ["an export of an unknown kind", { type: "export", kind: "bmp", name: "a", mime: "b", text: "" }, []],
    ["a before without a picture", { type: "before", edit: 1, format: "png", width: 2, height: 2 }, []],
    ["a schema of no fields", { type: "schema", fields: [{ name: "a" }] }, []],
    ["no code", { type: "more" }, []],
    ["nothing that a panel is told", { type: "panel", panel: "values" }, []],
    ["a notice without words", { type: "notice" }, []],
  ])("throws at %s", (_, message, buffers) => {
    expect(() => parse(message, buffers)).toThrow(TypeError);
  });

  const state = golden.to_page[1]?.message;
  it.each([
    ["status", "flying"],
    ["step", Number.NaN],
    ["points", {}],
    ["points", [{ id: 1, handle: [1], target: [1, 2], distance: 0 }]],
    ["points", [{ id: 1, handle: [1, null], target: [1, 2], distance: 0 }]],
    ["seed", "7"],
    ["label", 1.5],
    ["classes", null],
    ["channels", "RGB"],
    ["model", undefined],
    ["jobs", null],
    ["jobs", [7]],
    ["trouble", null],
    ["can_undo", 1],
    ["undo", null],
    ["redo", true],
    ["edit", "3"],
    ["mp4", undefined],
    ["points", [{ id: 1, handle: [1, 2], target: [1, 2], distance: 0, confidence: "high", texture: null }]],
    ["points", [{ id: 1, handle: [1, 2], target: [1, 2], distance: 0, confidence: 1, texture: { flat: 0 } }]],
    ["settings", null],
    ["settings", [0.002]],
    ["settings", { ...golden.to_page[0]?.message.settings, space: {} }],
    ["defaults", { ...golden.to_page[0]?.message.settings, block: [5, "6"] }],
    ["warning", null],
    ["length", "3"],
    ["shown", undefined],
    ["rate", undefined],
  ])("throws at a state whose %s is %j", (field, value) => {
    expect(() => parse({ ...state, [field]: value }, [])).toThrow(`bad ${field === "points" ? "" : field}`);
  });

  it.each([
    ["what", "tea"],
    ["progress", "half"],
    ["id", null],
  ])("throws at a job whose %s is %j", (field, value) => {
    const job = { id: 1, what: "gif", name: "", progress: null, [field]: value };
    expect(() => parse({ ...state, jobs: [job] }, [])).toThrow(`bad ${field}`);
  });
});

it("coordinates are sent to a hundredth of a pixel", () => {
  expect(point(1, { target: [1.23456, 7.899999] }, true)).toMatchObject({ target: [1.23, 7.9] });
});
