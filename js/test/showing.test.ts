import { describe, expect, it } from "vitest";
import { brightness, otherShape, sameShape } from "../src/maskfile.ts";
import { veilOf } from "../src/veil.ts";
import { ViewState } from "../src/viewstate.ts";

describe("the veil over what must stay", () => {
  it("is strong and striped while one paints, and else a tint that leaves the picture to be judged", () => {
    const view = new ViewState();
    expect(veilOf(view)).toEqual({ striped: false, opacity: expect.closeTo(0.18) });
    for (const tool of ["brush", "eraser", "rectangle", "lasso"] as const) {
      view.tool = tool;
      expect(veilOf(view)).toEqual({ striped: true, opacity: 0.6 });
    }
    view.tool = "pan";
    expect(veilOf(view)?.striped).toBe(false);
  });

  it("is as opaque as somebody wants it, and can be hidden", () => {
    const view = new ViewState();
    view.tool = "brush";
    view.showing = { ...view.showing, opacity: 1 };
    expect(veilOf(view)?.opacity).toBe(1);
    view.showing = { ...view.showing, mask: false };
    expect(veilOf(view)).toBeNull();
  });
});

describe("what is hidden", () => {
  it("is shown again as soon as somebody works on it, and nothing else is", () => {
    const view = new ViewState();
    const hidden = { points: false, mask: false, opacity: 0.6 };
    view.showing = hidden;
    view.tool = "pan";
    view.showWhatIsWorkedOn();
    expect(view.showing).toEqual(hidden);
    view.tool = "points";
    view.showWhatIsWorkedOn();
    expect(view.showing).toEqual({ ...hidden, points: true });
    view.tool = "lasso";
    view.showWhatIsWorkedOn();
    expect(view.showing).toEqual({ ...hidden, points: true, mask: true });
  });
});

describe("a mask from a file", () => {
  it("is as bright as its picture looks", () => {
    const rgba = Uint8ClampedArray.from([255, 255, 255, 255, 255, 0, 0, 255, 0, 255, 0, 255, 0, 0, 0, 255]);
    expect([...brightness(rgba)]).toEqual([255, 76, 150, 0]);
  });

  it("may have another size but no other shape, which is said with both", () => {
    const square = { width: 256, height: 256 };
    expect(sameShape({ width: 1023, height: 1024 }, square)).toBe(true);
    expect(sameShape({ width: 640, height: 480 }, square)).toBe(false);
    expect(otherShape({ width: 640, height: 480 }, square)).toContain("640 × 480 and the picture 256 × 256");
  });
});
