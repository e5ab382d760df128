import { describe, expect, it } from "vitest";
import { type Focus, type Key, meaning } from "../src/keys.ts";

const key = (name: string, held: Partial<Key> = {}): Key => ({
  key: name,
  shiftKey: false,
  ctrlKey: false,
  metaKey: false,
  altKey: false,
  ...held,
});

describe("arrows", () => {
  it("move a focused point by one pixel, with Shift by ten", () => {
    expect(meaning(key("ArrowLeft"), "point")).toEqual({ do: "nudge", dx: -1, dy: 0 });
    expect(meaning(key("ArrowDown", { shiftKey: true }), "point")).toEqual({ do: "nudge", dx: 0, dy: 10 });
  });

  it("move the cross that stands for the pointer on the picture, where Enter presses", () => {
    expect(meaning(key("ArrowUp"), "picture")).toEqual({ do: "cross", dx: 0, dy: -1 });
    expect(meaning(key("Enter"), "picture")).toEqual({ do: "press" });
  });

  it.each([
    ["ArrowRight", "next"],
    ["ArrowLeft", "before"],
    ["Home", "first"],
    ["End", "last"],
  ] as const)("lead from one of many buttons to another: %s to the %s one", (name, way) => {
    expect(meaning(key(name), "one of many")).toEqual({ do: "go", way });
    expect(meaning(key(name, { ctrlKey: true }), "one of many")).toBeNull();
  });

  it("do nothing on a button, where a notebook would go to its next cell, and are a slider's own on a slider", () => {
    expect(meaning(key("ArrowUp"), "button")).toEqual({ do: "keep" });
    for (const name of ["ArrowUp", "Home", "PageDown"]) expect(meaning(key(name), "slider")).toEqual({ do: "keep" });
  });
});

describe("space", () => {
  it.each(["point", "picture"] as const)("starts and stops on a %s", (focus) => {
    expect(meaning(key(" "), focus)).toEqual({ do: "run" });
  });

  it("presses a button as always, without the notebook seeing it", () => {
    for (const focus of ["button", "one of many"] as const) {
      expect(meaning(key(" "), focus)).toEqual({ do: "keep" });
      expect(meaning(key("Enter"), focus)).toEqual({ do: "keep" });
    }
  });
});

it.each(["Delete", "Backspace"])("%s removes a focused point and nothing else", (name) => {
  expect(meaning(key(name), "point")).toEqual({ do: "remove" });
  expect(meaning(key(name), "picture")).toBeNull();
});

it.each([
  ["b", { do: "tool", tool: "brush" }],
  ["E", { do: "tool", tool: "eraser" }],
  ["p", { do: "tool", tool: "points" }],
  ["r", { do: "tool", tool: "rectangle" }],
  ["l", { do: "tool", tool: "lasso" }],
  ["g", { do: "tool", tool: "pan" }],
  ["v", { do: "show", what: "points" }],
  ["M", { do: "show", what: "mask" }],
  ["h", { do: "hold" }],
  ["o", { do: "peek" }],
  ["\\", { do: "peek" }],
  ["+", { do: "zoom", to: "in" }],
  ["-", { do: "zoom", to: "out" }],
  ["0", { do: "zoom", to: "fit" }],
  ["n", { do: "other point", by: 1 }],
  ["?", { do: "help" }],
  ["Escape", { do: "cancel" }],
])("%s has its meaning wherever no text is typed", (name, expected) => {
  for (const focus of ["point", "picture", "button", "slider"] satisfies Focus[]) {
    expect(meaning(key(name), focus)).toEqual(expected);
  }
});

describe("with Ctrl or Cmd", () => {
  it.each(["ctrlKey", "metaKey"] as const)("(%s) Z undoes, Shift+Z and Y redo", (held) => {
    expect(meaning(key("z", { [held]: true }), "picture")).toEqual({ do: "undo" });
    expect(meaning(key("Z", { [held]: true, shiftKey: true }), "point")).toEqual({ do: "redo" });
    expect(meaning(key("y", { [held]: true }), "button")).toEqual({ do: "redo" });
  });

  it.each(["b", "s", "Enter", " "])("%s stays the notebook's", (name) => {
    expect(meaning(key(name, { ctrlKey: true }), "point")).toBeNull();
    expect(meaning(key(name, { altKey: true }), "point")).toBeNull();
  });
});

it.each(["x", "d", "1", "z"])("a lone %s means nothing, here or to the notebook", (name) => {
  expect(meaning(key(name), "point")).toEqual({ do: "keep" });
  expect(meaning(key(name), "picture")).toEqual({ do: "keep" });
});

it("Shift+Enter still runs the cell, and Tab still moves on", () => {
  expect(meaning(key("Enter", { shiftKey: true }), "point")).toBeNull();
  expect(meaning(key("Tab"), "point")).toBeNull();
});

it("in an input every key is the input's, and none the notebook's", () => {
  for (const name of ["b", "Enter", " ", "Escape", "ArrowLeft", "Delete"]) {
    expect(meaning(key(name), "input")).toEqual({ do: "keep" });
  }
  expect(meaning(key("z", { ctrlKey: true }), "input")).toEqual({ do: "keep" });
});
