import { beforeEach, describe, expect, it } from "vitest";
import { type Place, toCss } from "../src/geometry.ts";
import type { Tool } from "../src/keys.ts";
import { Masking } from "../src/masking.ts";
import type { MaskMessage } from "../src/protocol.ts";
import type { Stage } from "../src/stage.ts";
import type { ToolContext } from "../src/tools/context.ts";
import { TOOLS } from "../src/tools/tools.ts";
import { ViewState } from "../src/viewstate.ts";
import { FIT, scaleOf, zoomed } from "../src/zoom.ts";

const picture = { width: 100, height: 100 };
const size = { width: 400, height: 400 };

let view: ViewState;
let said: string[];
let sent: { message: MaskMessage; data: Uint8Array | null }[];
let masking: Masking;
let context: ToolContext;

beforeEach(() => {
  view = new ViewState();
  [said, sent] = [[], []];
  const stage = {
    size,
    get scale() {
      return scaleOf(view.zoom, picture, size);
    },
    drawMask() {},
    ring() {},
    cursor() {},
  } as unknown as Stage;
  masking = new Masking(stage, (message, [data]) => {
    sent.push({ message, data: data ? new Uint8Array(data.buffer.slice(0)) : null });
  });
  const nothing = () => {};
  context = {
    view,
    stage,
    masking,
    send: nothing,
    update: nothing,
    paint: nothing,
    aside: (text) => said.push(text),
    focusSelected: nothing,
  };
});

const css = (x: number, y: number): Place => toCss(context.stage.scale, [x, y]);
function use(tool: Tool, places: readonly Place[], alt = false, rubber = false) {
  const gesture = TOOLS[tool](context, { at: places[0] ?? css(0, 0), reach: 14, alt, middle: false, rubber });
  for (const place of places.slice(1)) gesture?.move([place]);
  return gesture;
}
const at = (x: number, y: number) => sent.at(-1)?.data?.[100 * y + x] ?? 0;
const area = () => (sent.at(-1)?.data ?? new Uint8Array()).reduce((all, value) => all + value, 0) / 255;

describe("the brush", () => {
  it("paints as wide as it looks, at any zoom", () => {
    use("brush", [css(50, 50)])?.end();
    expect(area()).toBeCloseTo(Math.PI * 6 ** 2, -1);
    masking.clear();
    view.zoom = zoomed(FIT, size, { left: 200, top: 200 }, 2);
    use("brush", [css(50, 50)])?.end();
    expect(area()).toBeCloseTo(Math.PI * 3 ** 2, -1);
  });

  it("is thinner where a pen is pressed less", () => {
    use("brush", [{ ...css(50, 50), pressure: 0.2 }])?.end();
    const light = area();
    masking.clear();
    use("brush", [{ ...css(50, 50), pressure: 1 }])?.end();
    expect(light).toBeLessThan(area() / 3);
    expect(light).toBeGreaterThan(3);
  });

  it("ends as thin as it was where the pen is lifted, which then says nothing of its pressure", () => {
    use("brush", [{ ...css(30, 50), pressure: 0.1 }, { ...css(60, 50), pressure: 0.1 }, css(60, 50)])?.end();
    const wide = [...Array(100).keys()].filter((y) => at(60, y) > 127).length;
    expect(wide).toBeGreaterThan(0);
    expect(wide).toBeLessThan(7); // 12 where it is pressed
  });

  it("rubs out with the pen's other end", () => {
    use("brush", [css(50, 50)])?.end();
    expect(at(50, 50)).toBe(255);
    use("brush", [css(50, 50)], false, true)?.end();
    expect(at(50, 50)).toBe(0);
  });

  it("sends once, at the end, and nothing when it is cancelled", () => {
    const gesture = use("brush", [css(20, 20), css(60, 20), css(60, 60)]);
    expect(sent).toEqual([]);
    gesture?.cancel();
    expect(sent).toEqual([]);
    expect(masking.painted).toBe(false);
  });
});

it.each(["eraser", "lasso"] as const)("with nothing painted the %s takes nothing away, and says so", (tool) => {
  view.brush = { ...view.brush, takeAway: true };
  expect(use(tool, [css(5, 5), css(20, 5)])).toBeNull();
  expect(said).toEqual([expect.stringContaining("Nothing is painted")]);
});

describe("rectangle and lasso", () => {
  it("paint what they enclose, whichever way they are drawn", () => {
    use("rectangle", [css(60, 70), css(20, 30)])?.end();
    expect([at(40, 50), at(61, 50), at(40, 29)]).toEqual([255, 0, 0]);
    masking.clear();
    use("lasso", [css(10, 10), css(40, 10), css(10, 40)])?.end();
    expect([at(15, 15), at(38, 38)]).toEqual([255, 0]);
  });

  it("take away with Alt", () => {
    use("rectangle", [css(20, 20), css(60, 60)])?.end();
    use("rectangle", [css(30, 30), css(40, 40)], true)?.end();
    expect([at(35, 35), at(50, 50)]).toEqual([0, 255]);
  });

  it("show their outline while they are drawn, and a mere press paints nothing", () => {
    const gesture = use("rectangle", [css(20, 20), css(60, 60)]);
    expect(view.outline?.map(([x, y]) => [Math.round(x), Math.round(y)])).toEqual([
      [20, 20],
      [60, 20],
      [60, 60],
      [20, 60],
    ]);
    gesture?.cancel();
    expect(view.outline).toBeNull();
    use("lasso", [css(20, 20)])?.end();
    expect(sent).toEqual([]);
  });
});

describe("the pan tool", () => {
  it("moves the picture that is near, and nothing of the edit", () => {
    view.zoom = zoomed(FIT, size, { left: 200, top: 200 }, 2);
    const { left } = view.zoom;
    use("pan", [
      { left: 200, top: 200 },
      { left: 240, top: 200 },
    ])?.end();
    expect(view.zoom.left - left).toBeCloseTo(0.1);
    expect([sent, view.points.shown()]).toEqual([[], []]);
  });
});
