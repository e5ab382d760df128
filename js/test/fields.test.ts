import { describe, expect, it } from "vitest";
import { FIELDS, type Field, options, read, written } from "../src/fields.ts";
import { aState } from "./states.ts";

const field = (name: string): Field => {
  const found = FIELDS.find((each) => each.name === name);
  if (!found) throw new Error(name);
  return found;
};

it("every setting that the kernel tells has a field, and every field a line that explains it", () => {
  expect(FIELDS.map(({ name }) => name).sort()).toEqual(Object.keys(aState().settings).sort());
  for (const { words } of FIELDS) expect(words).toMatch(/\.$/);
});

describe("a setting", () => {
  it.each(FIELDS.map(({ name }) => name))("%s is read back as it was written", (name) => {
    const state = aState();
    expect(read(field(name), written(field(name), state.settings), state)).toEqual({ value: state.settings[name] });
  });

  it.each([
    ["edit_layers", "0", "from 1 to 14"],
    ["edit_layers", "15", "from 1 to 14"],
    ["edit_layers", "2.5", "a whole number"],
    ["learning_rate", "0", "above 0"],
    ["learning_rate", "much", "a number"],
    ["mask_weight", "-1", "from 0 up"],
    ["tracking_radius", "", "from 0 up"],
    ["speed", "0", "above 0"],
  ])("%s of %j is refused: it is %s", (name, text, words) => {
    expect(read(field(name), text, aState())).toEqual({ wrong: expect.stringContaining(words) });
  });

  it("of several blocks is among the entries of its list", () => {
    const state = aState({ settings: { ...aState().settings, block: [5, 6] } });
    expect(options(field("block"), state)).toContainEqual(["5, 6", "5, 6"]);
    expect(read(field("block"), "5, 6", state)).toEqual({ value: [5, 6] });
  });

  it("of speed that is empty means as fast as it goes", () => {
    expect(read(field("speed"), " ", aState())).toEqual({ value: null });
  });
});
