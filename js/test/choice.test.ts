import { describe, expect, it } from "vitest";
import { classOf } from "../src/classes.ts";
import { choices } from "../src/models.ts";
import { ViewState } from "../src/viewstate.ts";
import { aLoad, aPoint, aState } from "./states.ts";

describe("a typed class", () => {
  it.each([
    ["0", 0],
    ["999", 999],
    [" 7 ", 7],
    ["007", 7],
  ])("%j is class %d", (typed, label) => {
    expect(classOf(typed, 1000)).toBe(label);
  });

  it.each(["", " ", "1000", "-1", "1.5", "1e2", "cat"])("%j is none", (typed) => {
    expect(classOf(typed, 1000)).toBeNull();
  });
});

describe("the list of models", () => {
  const models = { type: "models", builtin: ["faces"], files: ["cats.pkl", "dogs.pt"] } as const;

  it("holds what the kernel lists and nothing else", () => {
    expect(choices(models, aState({ model: "dogs.pt" }))).toEqual({
      foreign: null,
      others: [],
      builtin: ["faces"],
      files: ["cats.pkl", "dogs.pt"],
    });
  });

  it("shows a model from elsewhere as what it is", () => {
    expect(choices(models, aState({ model: null, generator: "StyleGAN2" }))).toMatchObject({ foreign: "StyleGAN2" });
  });

  it("keeps a file that has gone, for as long as it is the present one", () => {
    expect(choices(models, aState({ model: "gone.pkl" })).others).toEqual(["gone.pkl"]);
    expect(choices(models, aState({ model: "gone.pkl", jobs: [aLoad("gone.pkl")] })).others).toEqual(["gone.pkl"]);
  });
});

describe("the view", () => {
  it("takes another class, model or shape for another picture, and another step for the same", () => {
    const view = new ViewState();
    const first = aState({ label: 3, classes: 10 });
    expect(view.receive(first)).toBe(true);
    expect(view.receive({ ...first, step: 4, status: "running", jobs: [aLoad("x.pkl")] })).toBe(false);
    expect(view.receive({ ...first, label: 4 })).toBe(true);
    expect(view.receive({ ...first, label: 4, model: "x.pkl" })).toBe(true);
    expect(view.receive({ ...first, label: 4, model: "x.pkl", height: 512 })).toBe(true);
  });

  it("is live from the first state on, and stays so while a model is loaded", () => {
    const view = new ViewState();
    expect(view.live).toBe(false);
    view.receive(aState({ points: [aPoint(1, [1, 2], [3, 4])] }));
    expect(view.live).toBe(true);
    view.receive(aState({ jobs: [aLoad("x.pkl")] }));
    expect(view.live).toBe(true);
    view.connected = false;
    expect(view.live).toBe(false);
  });

  it("has a file that was asked for among the jobs until it has come or has ended without", () => {
    const view = new ViewState();
    view.exporting.add("gif");
    expect(view.jobs).toEqual([{ id: 0, what: "gif", name: "", progress: null, note: "", stage: "" }]);
    const gif = { ...aLoad("", 0.5), id: 7, what: "gif" } as const;
    view.receive(aState({ jobs: [aLoad("x.pkl"), gif] }));
    expect(view.jobs).toEqual([aLoad("x.pkl"), gif]);
    view.receive(aState({ jobs: [aLoad("x.pkl")] }));
    expect([view.jobs, view.exporting.size]).toEqual([[aLoad("x.pkl")], 0]);
  });

  it("counts seeds from the one that was asked for, until the kernel is there or refuses", () => {
    const view = new ViewState();
    view.receive(aState({ seed: 9 }));
    view.sentSeed.expect(11);
    view.receive(aState({ seed: 10 }));
    expect(view.seed).toBe(11);
    view.receive(aState({ seed: 11 }));
    view.receive(aState({ seed: 4 }));
    expect(view.seed).toBe(4);
    view.sentSeed.expect(5);
    view.sentSeed.forget();
    expect(view.seed).toBe(4);
    view.receive(aState({ seed: null }));
    expect(view.seed).toBeNull();
  });
});
