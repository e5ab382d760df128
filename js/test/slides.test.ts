import { beforeEach, describe, expect, it } from "vitest";
import { type Slide, Slides } from "../src/more/slides.ts";

let sent: Slide[] = [];
let slides: Slides;

beforeEach(() => {
  sent = [];
  let number = 0;
  slides = new Slides(
    (slide) => sent.push(slide),
    () => ++number,
  );
});

describe("a slider on its way to the kernel", () => {
  it("asks at once, and then no more before the answer has come", () => {
    slides.move({ smile: 0.1 }, 0);
    slides.move({ smile: 0.2 }, 10);
    slides.move({ smile: 0.3 }, 20);
    expect(sent).toEqual([{ id: 1, values: { smile: 0.1 }, pulling: true }]);
  });

  it("sends the newest of what waits when it has", () => {
    for (const smile of [0.1, 0.2, 0.3]) slides.move({ smile }, 0);
    slides.answered(1, 100);
    expect(sent.slice(1)).toEqual([{ id: 2, values: { smile: 0.3 }, pulling: true }]);
    slides.answered(2, 200);
    expect(sent).toHaveLength(2);
  });

  it("ends with the last value, and at once, whatever is under way", () => {
    slides.move({ smile: 0.1 }, 0);
    slides.move({ smile: 0.7 }, 10);
    slides.end(20);
    expect(sent.slice(1)).toEqual([{ id: 2, values: { smile: 0.7 }, pulling: false }]);
    slides.answered(1, 30);
    slides.answered(2, 40);
    expect(sent).toHaveLength(2);
    expect(slides.waits(50)).toBe(false);
  });

  it("ends a gesture once, and none that was not begun", () => {
    slides.end(0);
    slides.move({ smile: 0.1 }, 0);
    slides.end(1);
    slides.end(2);
    expect(sent.map(({ pulling }) => pulling)).toEqual([true, false]);
  });

  it("takes an answer to something else for none", () => {
    slides.move({ smile: 0.1 }, 0);
    slides.move({ smile: 0.2 }, 1);
    slides.answered(7, 2);
    expect(sent).toHaveLength(1);
  });

  it("does not wait for ever for an answer that was lost", () => {
    slides.move({ smile: 0.1 }, 0);
    slides.move({ smile: 0.2 }, 5000);
    expect(sent.map(({ values }) => values.smile)).toEqual([0.1, 0.2]);
  });

  it("knows what the kernel says as of before until its last answer", () => {
    expect(slides.waits(0)).toBe(false);
    slides.move({ smile: 0.1 }, 0);
    slides.answered(1, 1);
    expect(slides.waits(2)).toBe(true); // it is held
    slides.end(3);
    expect(slides.waits(4)).toBe(true);
    slides.answered(2, 5);
    expect(slides.waits(6)).toBe(false);
  });
});
