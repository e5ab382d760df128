import { beforeEach, describe, expect, it } from "vitest";
import { asPython, concern } from "../src/concerns.ts";
import type { StateMessage } from "../src/protocol.ts";
import { ViewState } from "../src/viewstate.ts";
import { aPoint, aState } from "./states.ts";

let view: ViewState;
const flat = (better: readonly [number, number] | null) => ({
  ...aPoint(2, [40, 50], [60, 50]),
  texture: { flat: true, better },
});
const show = (changes: Partial<StateMessage>) => view.receive(aState({ length: 5, ...changes }));

beforeEach(() => {
  view = new ViewState();
});

describe("what a person is told", () => {
  it("is nothing where all is well", () => {
    expect(concern(view)).toBeNull();
    show({ points: [aPoint(1, [1, 2], [3, 4])] });
    expect(concern(view)).toBeNull();
  });

  it("is that a handle sits where there is too little to follow, with a way to a better spot", () => {
    show({ points: [flat([44, 51])] });
    expect(concern(view)?.text).toMatch(/^Point 2 sits/);
    expect(concern(view)?.remedies[0]?.[1]).toEqual({ do: "move handle", id: 2, to: [44, 51] });
  });

  it("has no such way where there is no better spot", () => {
    show({ points: [flat(null)] });
    expect(concern(view)?.text).toMatch(/edge or a corner/);
    expect(concern(view)?.remedies).toEqual([]);
  });

  it.each(["running", "arrived", "near", "error"] as const)("is no advice while the status is %s", (status) => {
    show({ status, warning: "It comes no closer.", points: [flat([44, 51])] });
    expect(concern(view)).toBeNull();
  });

  it.each(["stalled", "capped", "stopped"] as const)("is said once a run has ended as %s", (status) => {
    show({ status: "running", warning: "It comes no closer.", points: [flat([44, 51])] });
    show({ status, warning: "It comes no closer.", points: [flat([44, 51])] });
    expect(concern(view)?.text).toBe("It comes no closer.");
  });

  it("is nothing about a point that is where it should be", () => {
    const there = { ...aPoint(2, [40, 50], [40.5, 50]), texture: { flat: true, better: [44, 51] as const } };
    show({ status: "stopped", points: [there] });
    expect(concern(view)).toBeNull();
  });

  it("is first what the kernel warns of, and once waved away the next", () => {
    show({ warning: "It comes no closer. Try a smaller learning rate.", points: [flat(null)] });
    const first = concern(view);
    expect(first?.text).toMatch("no closer");
    view.dismissed.add(first?.key ?? "");
    expect(concern(view)?.text).toMatch(/^Point 2/);
    view.dismissed.add(concern(view)?.key ?? "");
    expect(concern(view)).toBeNull();
  });

  it("is nothing between Start and the run, so that nothing is said and gone at once", () => {
    show({});
    view.starting.expect(view.state);
    show({ warning: "It comes no closer.", points: [flat(null)] }); // the point that was made by the pull
    expect(concern(view)).toBeNull();
    expect(view.badly.size).toBe(0);
    show({ status: "running", points: [flat(null)] });
    expect(concern(view)).toBeNull();
    expect(view.badly.size).toBe(0);
    show({ status: "stalled", points: [flat(null)] });
    expect(concern(view)?.text).toMatch(/^Point 2/);
    expect([...view.badly]).toEqual([2]);
  });

  it("is said again where Start was refused", () => {
    show({ points: [flat(null)] });
    view.starting.expect(view.state);
    expect(concern(view)).toBeNull();
    view.starting.forget();
    expect(concern(view)?.text).toMatch(/^Point 2/);
  });

  it("stays marked at its point through the run where it was said before it", () => {
    show({ points: [flat(null)] });
    view.starting.expect(view.state);
    for (const status of ["idle", "running"] as const) {
      show({ status, points: [flat(null)] });
      expect([...view.badly]).toEqual([2]);
    }
    show({ status: "arrived", points: [flat(null)] });
    expect(view.badly.size).toBe(0);
  });

  it("is nothing of now while the past is looked at", () => {
    show({ warning: "It comes no closer.", shown: 2 });
    expect(concern(view)).toBeNull();
  });

  it("is what can be kept where the kernel has gone, and cannot be waved away", () => {
    show({ points: [aPoint(1, [1, 2], [3, 4])] });
    view.connected = false;
    expect(concern(view)).toMatchObject({
      key: null,
      remedies: [
        ["Save picture", {}],
        ["Copy points", {}],
      ],
    });
  });
});

it("points are kept as Python takes them", () => {
  expect(asPython([{ handle: [1.004, 2], target: [3.25, 4] }])).toBe(
    'editor.points = [\n    {"handle": [1, 2], "target": [3.25, 4]},\n]',
  );
});
