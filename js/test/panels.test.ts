import { describe, expect, it, vi } from "vitest";
import golden from "../../tests/golden/messages.json" with { type: "json" };
import { finds, signed, told } from "../src/more/finding.ts";
import { outcome } from "../src/more/outcome.ts";
import { type Attribute, read, type Told } from "../src/more/told.ts";
import { parse } from "../src/parse.ts";

vi.mock("../src/shared.ts", async () => ({
  ...(await import("../src/parse.ts")), // the rest of it needs a page
}));

const panels = golden.to_page.map(({ message }) => message).filter(({ type }) => type === "panel");
const AGE: Attribute = {
  name: "hair_length",
  label: "Hair length",
  group: "hair",
  less: "short hair",
  more: "long hair",
  least: -2.5,
  most: 2.5,
  score: 0.9,
  source: "known",
};

describe("what panels are told", () => {
  it.each(panels)("is read whole, as the kernel writes it: $panel", (message) => {
    const parsed = parse(message, []);
    if (parsed?.type !== "panel") throw new Error("no message for a panel");
    expect(read(parsed.panel as keyof Told, parsed.told)).toEqual(message.told);
  });

  it("is nothing to a page that does not know the panel", () => {
    expect(read("fireworks" as keyof Told, {})).toBeNull();
  });

  it.each([
    ["values", { values: { smile: "1" }, began: {}, held: [] }],
    ["values", { values: { smile: Number.NaN }, began: {}, held: [] }],
    ["attributes", { attributes: [{ ...AGE, least: "-1" }], groups: [], sets: [], why: "" }],
    ["marks", { sides: ["both"] }],
    ["compared", { round: 1, engine: "a", status: "flies" }],
  ] as const)("throws where it is malformed: %s", (panel, message) => {
    expect(() => read(panel, message)).toThrow(TypeError);
  });
});

describe("looking for an attribute", () => {
  it.each(["", "hair", "HAIR len", "long", "short", "length hair", "beard"])("finds it by %s", (text) => {
    expect(finds(text, AGE, "Hair and beard")).toBe(true);
  });

  it.each(["smile", "hair smile", "ength", "longer"])("does not find it by %s", (text) => {
    expect(finds(text, AGE, "Hair and beard")).toBe(false);
  });
});

describe("an amount in words", () => {
  it.each([
    [0, "0.0"],
    [-0.04, "0.0"],
    [0.36, "+0.4"],
    [-1.26, "−1.3"],
    [2.6, "+2.6"],
  ])("%s is %s", (value, text) => {
    expect(signed(value)).toBe(text);
  });

  it("says towards which end it is", () => {
    expect(told(1, AGE)).toBe("+1.0 σ, towards long hair");
    expect(told(-1, AGE)).toBe("−1.0 σ, towards short hair");
    expect(told(0.01, AGE)).toBe("0.0 σ, as most are");
  });
});

describe("an engine that is compared", () => {
  const rest = { round: 1, engine: "draggan", why: "", reason: null, step: 3, seconds: 1.25, distance: 4.56 } as const;

  it("says how far it is, and how it ended", () => {
    expect(outcome({ ...rest, status: "waits", step: 0, distance: null })).toBe("Waits for its turn");
    expect(outcome({ ...rest, status: "runs", step: 1 })).toBe("Pulling: 1 step, 4.6 px left");
    expect(outcome({ ...rest, status: "done", reason: "arrived" })).toBe("Arrived after 3 steps, 1.3 s, 4.6 px left");
    expect(outcome({ ...rest, status: "cancelled" })).toBe("Cancelled after 3 steps, 4.6 px left");
    expect(outcome({ ...rest, status: "cancelled", step: 0, distance: null })).toBe("Cancelled");
    expect(outcome({ ...rest, status: "failed", why: "It needs features." })).toBe("It needs features.");
  });
});
