import { beforeEach, describe, expect, it } from "vitest";
import { type Frame, FrameQueue, type Picture } from "../src/frames.ts";

interface Decoding {
  seq: number;
  done(): Promise<void>;
  fail(): Promise<void>;
}

let drawn: number[];
let acked: number[];
let closed: number[];
let decodings: Decoding[];
let repaint: (() => void)[];
let hidden: boolean;
let queue: FrameQueue<Picture>;

const frame = (seq: number): Frame => ({
  type: "frame",
  seq,
  step: seq,
  format: "jpeg",
  width: 1,
  height: 1,
  ack: true,
  data: new Uint8Array(1),
});
const settle = () => new Promise<void>((resolve) => setTimeout(resolve));
const paint = () => {
  for (const draw of repaint.splice(0)) draw();
};
const decode = async (seq: number) => decodings.find((each) => each.seq === seq)?.done();

beforeEach(() => {
  [drawn, acked, closed, decodings, repaint, hidden] = [[], [], [], [], [], false];
  queue = new FrameQueue({
    decode: ({ seq }) =>
      new Promise((resolve, reject) => {
        decodings.push({
          seq,
          done: () => {
            resolve({ close: () => closed.push(seq) });
            return settle();
          },
          fail: () => {
            reject(new Error("broken"));
            return settle();
          },
        });
      }),
    draw: (_, { seq }) => drawn.push(seq),
    ack: ({ seq }) => acked.push(seq),
    hidden: () => hidden,
    schedule: (draw) => repaint.push(draw),
  });
});

describe("a frame", () => {
  it("is drawn at the next repaint and acknowledged only then", async () => {
    queue.push(frame(1));
    await decode(1);
    expect([drawn, acked]).toEqual([[], []]);
    paint();
    expect([drawn, acked, closed]).toEqual([[1], [1], [1]]);
  });

  it("is overtaken by a newer one while it waits, and acknowledged all the same", async () => {
    for (const seq of [1, 2, 3, 4]) queue.push(frame(seq));
    expect(acked).toEqual([2, 3]);
    await decode(1);
    paint();
    await decode(4);
    paint();
    expect(drawn).toEqual([1, 4]);
    expect(acked.sort()).toEqual([1, 2, 3, 4]);
  });

  it("is overtaken by a newer one that was decoded before the repaint", async () => {
    queue.push(frame(1));
    await decode(1);
    queue.push(frame(2));
    await decode(2);
    expect(repaint).toHaveLength(1);
    paint();
    expect([drawn, acked, closed]).toEqual([[2], [1, 2], [1, 2]]);
  });

  it("that is older than one seen before is never drawn", async () => {
    queue.push(frame(5));
    queue.push(frame(4));
    queue.push(frame(5));
    await decode(5);
    paint();
    expect(drawn).toEqual([5]);
    expect(decodings).toHaveLength(1);
  });

  it("that cannot be decoded does not stop the stream", async () => {
    queue.push(frame(1));
    queue.push(frame(2));
    await decodings[0]?.fail();
    await decode(2);
    paint();
    expect([drawn, acked]).toEqual([[2], [1, 2]]);
  });
});

describe("while the page is hidden", () => {
  it("frames are acknowledged at once and not decoded", () => {
    hidden = true;
    for (const seq of [1, 2, 3]) queue.push(frame(seq));
    expect([acked, decodings]).toEqual([[1, 2, 3], []]);
  });

  it("the last one is kept for whoever comes back, and not acknowledged twice", async () => {
    hidden = true;
    for (const seq of [1, 2, 3]) queue.push(frame(seq));
    hidden = false;
    queue.reveal();
    await decode(3);
    paint();
    expect([drawn, acked]).toEqual([[3], [1, 2, 3]]);
  });
});

it("a closed queue draws nothing more and gives its pictures back", async () => {
  queue.push(frame(1));
  await decode(1);
  queue.push(frame(2));
  queue.close();
  await decode(2);
  paint();
  expect([drawn, closed]).toEqual([[], [1, 2]]);
});
