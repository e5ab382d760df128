import { describe, expect, it } from "vitest";
import { options, read, written } from "../src/fields.ts";
import type { Field } from "../src/protocol.ts";
import { aState, theFields } from "./states.ts";

const FIELDS = theFields();
const field = (name: string): Field => {
  const found = FIELDS.find((each) => each.name === name);
  if (!found) throw new Error(name);
  return found;
};
const { settings, defaults } = aState();

it("every setting that the kernel tells has a field, and every field a line that explains it", () => {
  expect(FIELDS.map(({ name }) => name).sort()).toEqual(Object.keys(settings).sort());
  for (const { help } of FIELDS) expect(help).toMatch(/\.$/);
});

describe("a setting", () => {
  it.each(FIELDS.map(({ name }) => name))("%s is read back as it was written", (name) => {
    expect(read(field(name), written(field(name), settings), defaults)).toEqual({ value: settings[name] });
  });

  it.each([
    ["edit_layers", "0", "from 1 to 14"],
    ["edit_layers", "15", "from 1 to 14"],
    ["edit_layers", "2.5", "A whole number"],
    ["learning_rate", "0", "above 0 and up to 1"],
    ["learning_rate", "1000", "above 0 and up to 1"],
    ["learning_rate", "1e99", "above 0 and up to 1"],
    ["learning_rate", "much", "A number"],
    ["mask_weight", "-1", "from 0 to 10,000"],
    ["tracking_radius", "", "from 0 to 128"],
    ["tracking_radius", "1000", "from 0 to 128"],
    ["max_steps", "0", "from 1 to 100,000"],
    ["max_steps", "1e9", "from 1 to 100,000"],
    ["max_steps", "", "from 1 to 100,000"],
    ["speed", "0", "above 0"],
  ])("%s of %j is refused: it is %s", (name, text, words) => {
    expect(read(field(name), text, defaults)).toEqual({ wrong: expect.stringContaining(words) });
  });

  it.each([
    ["learning_rate", "1", 1],
    ["tracking_radius", "128", 128],
    ["supervision_radius", "0", 0],
    ["max_steps", "100000", 100_000],
    ["edit_layers", "14", 14],
  ])("%s of %j is just within its bounds", (name, text, value) => {
    expect(read(field(name), text, defaults)).toEqual({ value });
  });

  it("of several blocks is among the entries of its list", () => {
    expect(options(field("block"), { ...settings, block: [5, 6] }, defaults)).toContainEqual(["5, 6", "5, 6"]);
    expect(read(field("block"), "5, 6", defaults)).toEqual({ value: [5, 6] });
  });

  it("that a list does not know is among its entries as it is", () => {
    expect(options(field("space"), { ...settings, space: "z" }, defaults)).toEqual([
      ["w_plus", "W+"],
      ["w", "W"],
      ["z", "z"],
    ]);
  });

  it("of speed that is empty means as fast as it goes", () => {
    expect(read(field("speed"), " ", defaults)).toEqual({ value: null });
  });

  it("that is empty stands for the model's own where that is none", () => {
    expect(read(field("max_steps"), "", { ...defaults, max_steps: null })).toEqual({ value: null });
  });
});
