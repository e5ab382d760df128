import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { Announcer, about, fileName, kind, LOADING, sentence, working } from "../src/status.ts";
import { aLoad, aPoint, aState } from "./states.ts";

describe("the line under the picture", () => {
  const points = [aPoint(1, [0, 0], [3, 4]), aPoint(2, [0, 0], [5.3, 0])];

  it.each([
    ["what to do first", aState(), "Press on the picture and pull, or open your own photo."],
    ["what to do with a photograph", aState({ photo: true }), "Press on the picture and pull."],
    ["what to do once it was edited", aState({ edited: true }), "Press on the picture and pull."],
    ["progress", aState({ status: "running", step: 12, points }), "Pulling… step 12, 5.3 px to go"],
    ["arrival", aState({ status: "arrived", step: 23, points }), "Arrived after 23 steps."],
    ["arrival at once", aState({ status: "arrived", step: 1, points }), "Arrived after 1 step."],
    ["a stop", aState({ status: "stopped", step: 4, points }), "Stopped after 4 steps, 5.3 px to go."],
    ["a stop without points", aState({ status: "stopped", step: 4 }), "Stopped after 4 steps."],
    ["the kernel's own words", aState({ status: "error", message: "Out of memory." }), "Out of memory."],
  ])("says %s", (_, state, words) => {
    expect(sentence(state, false)).toBe(words);
  });

  it("says what the tool in the hand is for, not what another one is", () => {
    expect(sentence(aState(), false, null, "brush")).toBe(
      "Paint over what may move; with nothing painted everything may move.",
    );
    expect(sentence(aState({ points }), false, null, "lasso")).toBe("Draw around what may move.");
    expect(sentence(aState(), false, null, "pan")).toContain("Pull the picture about.");
    expect(sentence(aState({ status: "arrived", step: 23, points }), false, null, "brush")).toBe(
      "Arrived after 23 steps.",
    );
  });

  it("says what goes on beside the edit, and how much of it is done", () => {
    expect(working({ ...aLoad(""), what: "png" })).toBe("Making the picture…");
    expect(working({ ...aLoad("", 0.416), what: "gif" })).toBe("Making the GIF… 42 %");
    expect(working({ ...aLoad("me.jpg", 0.5), note: "Tuning me.jpg" })).toBe("Tuning me.jpg… 50 %");
    expect(working(aLoad("dogs.pkl"))).toBe("Loading dogs.pkl…");
    expect(working(aLoad("dogs.pkl", 0.416))).toBe("Loading dogs.pkl… 42 %");
  });

  it("says beside it what the picture is, and how fast it changes while it does", () => {
    const state = { generator: "faces", width: 256, height: 128 };
    expect(about(aState({ ...state, status: "running", rate: 8 }))).toBe("8 steps/s · faces · 256 × 128 · draggan");
    expect(about(aState({ ...state, status: "running", rate: 0.84 }))).toBe(
      "0.8 steps/s · faces · 256 × 128 · draggan",
    );
    expect(about(aState({ ...state, status: "running" }))).toBe("faces · 256 × 128 · draggan");
    expect(about(aState({ ...state, status: "stopped", rate: 8 }))).toBe("faces · 256 × 128 · draggan");
    const settings = { ...aState().settings, engine: "nudge" }; // where there are several
    expect(about(aState({ ...state, settings }))).toBe("faces · 256 × 128 · nudge");
  });

  it("says how the edit goes while a model is loaded, and why one was not", () => {
    const running = aState({ status: "running", step: 12, points });
    expect(sentence({ ...running, jobs: [aLoad("dogs.pkl")] }, false)).toBe("Pulling… step 12, 5.3 px to go");
    expect(sentence({ ...running, trouble: "dogs.pkl was not loaded: no dogs" }, false)).toContain("no dogs");
    expect([kind(null), kind(running)]).toEqual(["loading", "running"]);
    expect([kind({ ...running, jobs: [aLoad("x")] }), kind({ ...running, trouble: "x" })]).toEqual([
      "running",
      "trouble",
    ]);
  });

  it("says that it loads until there is a state", () => {
    expect(sentence(null, false)).toBe(LOADING);
  });

  it("says what Hold is for", () => {
    expect(sentence(aState(), true)).toContain("then Start");
  });
});

describe("a saved picture", () => {
  it("is named after where it comes from", () => {
    expect(fileName(aState(), 23)).toBe("draggan-faces-seed7-step23.png");
  });

  it("is named after its class, where it has one", () => {
    expect(fileName(aState({ label: 281, classes: 1000 }), 23)).toBe("draggan-faces-class281-seed7-step23.png");
  });

  it("has no seed in its name where it has none", () => {
    expect(fileName(aState({ seed: null }), 0)).toBe("draggan-faces-step0.png");
  });

  it("has nothing in its name that a disk would not take", () => {
    expect(fileName(aState({ generator: "../my network: v2" }), 1)).toBe("draggan-my-network-v2-seed7-step1.png");
    expect(fileName(aState({ generator: "…" }), 1)).toBe("draggan-image-seed7-step1.png");
  });
});

describe("what is spoken", () => {
  let spoken: string[];
  let announcer: Announcer;

  beforeEach(() => {
    vi.useFakeTimers();
    spoken = [];
    announcer = new Announcer((text) => spoken.push(text), 5000);
  });
  afterEach(() => void vi.useRealTimers());

  it("is not every step", () => {
    for (let step = 0; step < 100; step++) {
      announcer.tell("running", `step ${step}`);
      vi.advanceTimersByTime(100);
    }
    expect(spoken).toEqual(["step 0", "step 50"]);
  });

  it("is not every step of what goes on beside the edit, but how the edit ends at once", () => {
    announcer.tell("running…", "Pulling… Loading…");
    announcer.tell("running…", "Pulling… Loading… 10 %");
    announcer.tell("arrived…", "Arrived. Loading… 20 %");
    announcer.tell("arrived…", "Arrived. Loading… 30 %");
    announcer.tell("arrived", "Arrived.");
    expect(spoken).toEqual(["Pulling… Loading…", "Arrived. Loading… 20 %", "Arrived."]);
  });

  it("is every change at once", () => {
    announcer.tell("running", "step 1");
    announcer.tell("arrived", "Arrived.");
    announcer.tell("running", "step 2");
    expect(spoken).toEqual(["step 1", "Arrived.", "step 2"]);
  });
});
