import type { AnyModel } from "@anywidget/types";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { Channel } from "../src/channel.ts";
import { Coalescer } from "../src/coalescer.ts";
import type { Connection } from "../src/connection.ts";
import { type KernelMessage, type PageMessage, point } from "../src/protocol.ts";
import { aLoad, aState } from "./states.ts";

type Handler = (message: unknown, buffers: readonly ArrayBufferView[]) => void;

class FakeModel {
  readonly sent: { message: PageMessage; buffers: Uint8Array[] }[] = [];
  handlers: Handler[] = [];
  replaced: (() => void)[] = [];
  broken = false;

  on(name: string, handler: Handler & (() => void)) {
    if (name === "msg:custom") this.handlers.push(handler);
    if (name === "comm_live_update") this.replaced.push(handler);
  }

  off(_: string, handler: Handler) {
    this.handlers = this.handlers.filter((each) => each !== handler);
    this.replaced = this.replaced.filter((each) => each !== handler);
  }

  send(message: PageMessage, _: unknown, buffers: Uint8Array[]) {
    if (this.broken) throw new Error("the kernel is dead");
    this.sent.push({ message, buffers });
  }

  still: unknown = new DataView(new ArrayBuffer(0));

  get(name: string) {
    return name === "still" ? this.still : undefined;
  }

  readonly saved: [string, unknown][] = [];
  #set: [string, unknown][] = [];

  set(name: string, value: unknown) {
    this.#set.push([name, value]);
  }

  save_changes() {
    this.saved.push(...this.#set.splice(0));
  }

  /** Whether a view that is told the state is shown the picture too, as a kernel does unless its host withholds it. */
  pictures = true;

  say(message: unknown, buffers: readonly ArrayBufferView[] = []) {
    for (const handler of this.handlers) handler(message, buffers);
    const { type, step } = (message ?? {}) as { type?: string; step?: number };
    if (this.pictures && type === "state" && step !== undefined) {
      const picture = { type: "frame", seq: 0, step: 0, format: "png", width: 1, height: 1, ack: false };
      for (const handler of this.handlers) handler(picture, [new Uint8Array(1)]);
    }
  }

  types(): string[] {
    return this.sent.splice(0).map(({ message }) => message.type);
  }
}

const pong = (sent: number, withheld = false) => ({ type: "pong", sent, withheld });
let model: FakeModel;
let channel: Channel;

function open() {
  const heard: KernelMessage[] = [];
  const links: boolean[] = [];
  const lates: boolean[] = [];
  const connection: Connection = channel.connect({
    message: (message) => heard.push(message),
    connected: (connected) => links.push(connected),
    late: (late) => lates.push(late),
  });
  connection.open();
  return { connection, heard, links, lates };
}

beforeEach(() => {
  vi.useFakeTimers();
  model = new FakeModel();
  channel = Channel.of(model as unknown as AnyModel);
});

afterEach(() => {
  channel.close();
  vi.useRealTimers();
  vi.unstubAllGlobals();
});

describe("a view", () => {
  it("says ready every two seconds until a state answers, then pings every three while a job goes", () => {
    const { connection } = open();
    vi.advanceTimersByTime(4000);
    expect(model.types().filter((type) => type === "ready")).toHaveLength(3);
    expect(connection.view).toMatch(/^\w{6,}$/);
    model.say(aState({ jobs: [aLoad("other")] }));
    vi.advanceTimersByTime(3000);
    expect(model.types()).toEqual(["ping"]);
    model.say(pong(0));
    vi.advanceTimersByTime(3000);
    expect(model.types()).toEqual(["ping"]);
  });

  it("is not answered by a frame that another view asked for", () => {
    open();
    model.say({ type: "frame", seq: 1, step: 0, format: "png", width: 1, height: 1, ack: true }, [new Uint8Array(1)]);
    vi.advanceTimersByTime(2000);
    expect(model.types().filter((type) => type === "ready")).toHaveLength(2);
  });

  it("that nobody answers asks five times in the first two seconds, then only now and then", () => {
    open();
    vi.advanceTimersByTime(1900);
    expect(model.types()).toEqual(["ready", "ping", "ping", "ping"]);
    vi.advanceTimersByTime(8000);
    expect(model.types()).toEqual(["ready", "ready", "ready", "ready"]);
  });

  it("knows itself disconnected after eight seconds of silence", () => {
    const { links } = open();
    model.say(aState({ status: "running" }));
    vi.advanceTimersByTime(7900);
    expect(links).toEqual([]);
    vi.advanceTimersByTime(600);
    expect(links).toEqual([false]);
  });

  it("waits three seconds for the first answer where there is a picture for want of one, and as ever from then on", () => {
    model.still = new DataView(new ArrayBuffer(8));
    const { links } = open();
    vi.advanceTimersByTime(2900);
    expect(links).toEqual([]);
    vi.advanceTimersByTime(600);
    expect(links).toEqual([false]);
    model.say(aState({ status: "running" }));
    vi.advanceTimersByTime(7900);
    expect(links).toEqual([false, true]);
  });

  it("knows a picture from none at all, as hosts hand them out", () => {
    expect(channel.still).toBeNull();
    for (const none of [undefined, null, "", new Uint8Array(0)]) {
      model.still = none;
      expect(channel.still).toBeNull();
    }
    for (const some of [new Uint8Array(3), new DataView(new ArrayBuffer(3))]) {
      model.still = some;
      expect(channel.still).toBe(some);
    }
  });

  it("recovers as soon as anything comes, and asks for what it missed", () => {
    const { links } = open();
    model.say(aState({ status: "running" }));
    vi.advanceTimersByTime(20_000);
    model.types();
    model.say(pong(0));
    expect(links).toEqual([false, true]);
    expect(model.types()).toEqual(["ready"]);
  });

  it("says within two seconds of silence in a run that no answer comes, and takes that back when one does", () => {
    for (const phase of [0, 120, 250, 380, 490]) {
      const { connection, lates, links } = open();
      vi.advanceTimersByTime(phase);
      model.say(aState({ status: "running" }));
      vi.advanceTimersByTime(1100);
      expect(lates).toEqual([]);
      vi.advanceTimersByTime(750);
      expect(lates).toEqual([true]);
      model.say(pong(0));
      expect(lates).toEqual([true, false]);
      expect(links).toEqual([]);
      connection.close();
    }
  });

  it("says so at rest at the first press, and not before", () => {
    const { connection, lates } = open();
    model.say(aState());
    vi.advanceTimersByTime(2900);
    expect(lates).toEqual([]);
    connection.send({ type: "undo" });
    vi.advanceTimersByTime(2600);
    expect(lates).toEqual([true]);
  });

  it("is patient with a kernel whose answers take their time", () => {
    const { lates } = open();
    for (let n = 0; n < 10; n++) {
      model.say(aState({ status: "running" }));
      vi.advanceTimersByTime(1100);
    }
    vi.advanceTimersByTime(400);
    expect(lates).toEqual([]);
  });

  it("is not waited for long when the host says that the kernel was started again", () => {
    const { links } = open();
    model.say(aState({ status: "running" }));
    vi.advanceTimersByTime(300);
    for (const each of model.replaced) each();
    vi.advanceTimersByTime(1700);
    expect(links).toEqual([false]);
  });

  it("stays connected where the host says so and the kernel answers all the same", () => {
    const { links } = open();
    model.say(aState());
    for (const each of model.replaced) each();
    expect(model.types()).toContain("ping");
    model.say(pong(0));
    vi.advanceTimersByTime(2900);
    expect(links).toEqual([]);
  });

  it("stays connected as long as pings are answered", () => {
    const { links } = open();
    model.say(aState({ status: "running" }));
    for (let second = 0; second < 60; second++) {
      vi.advanceTimersByTime(1000);
      if (model.types().includes("ping")) model.say(pong(0));
    }
    expect(links).toEqual([]);
  });

  it("that slept gives the kernel time to answer before it despairs", () => {
    const { links } = open();
    model.say(aState());
    vi.advanceTimersByTime(3000);
    vi.setSystemTime(Date.now() + 3_600_000);
    vi.advanceTimersByTime(500);
    expect(links).toEqual([]);
  });

  it("says bye once, and nothing after it", () => {
    const { connection } = open();
    model.types();
    connection.close();
    connection.close();
    connection.ack({ seq: 7, ack: true });
    vi.advanceTimersByTime(20_000);
    expect(model.types()).toEqual(["bye"]);
  });

  it("acknowledges under its own name", () => {
    const [one, two] = [open().connection, open().connection];
    model.types();
    two.ack({ seq: 5, ack: true });
    expect(model.sent[0]?.message).toEqual({ type: "ack", view: two.view, seq: 5, pull: false });
    expect(one.view).not.toBe(two.view);
    model.types();
    const move = point(1, { target: [4, 2] }, true);
    two.ack({ seq: 6, ack: true }, () => move);
    expect(model.sent).toEqual([{ message: { type: "ack", view: two.view, seq: 6, pull: false, move }, buffers: [] }]);
  });
});

describe("an edit at rest", () => {
  it("says nothing at all and has no timers, however long nobody touches it", () => {
    const { links } = open();
    model.say(aState());
    model.say(pong(0));
    model.types();
    expect(vi.getTimerCount()).toBe(0);
    vi.advanceTimersByTime(3_600_000);
    expect([model.types(), links]).toEqual([[], []]);
  });

  it("pings again while a run, a loading or a file goes, and no longer", () => {
    const pings = () => {
      vi.advanceTimersByTime(3500);
      const found = model.types().includes("ping");
      model.say(pong(0));
      return found;
    };
    open();
    model.say(aState());
    expect(pings()).toBe(false);
    for (const [on, off] of [
      [aState({ status: "running" }), aState({ status: "arrived" })],
      [aState({ jobs: [aLoad("other")] }), aState()],
      [aState({ jobs: [{ ...aLoad(""), id: 2, what: "gif" }] }), aState()],
    ]) {
      model.say(on);
      expect(pings()).toBe(true);
      model.say(off);
      vi.advanceTimersByTime(1000);
      model.types();
      expect(pings()).toBe(false);
    }
  });

  it("asks after what the person did until something comes of it, for ten seconds at most", () => {
    const { connection } = open();
    model.say(aState());
    model.types();
    connection.send({ type: "stop" });
    for (let n = 0; n < 30; n++) {
      vi.advanceTimersByTime(500);
      model.say(pong(0));
    }
    const asked = model.types().filter((type) => type === "ping").length;
    expect(asked).toBeGreaterThan(4);
    expect(asked).toBeLessThan(12);
    expect(vi.getTimerCount()).toBe(0);
  });

  it("finds out with two answers that what is pushed does not come, and asks from then on", () => {
    const { connection } = open();
    model.say(aState());
    model.say(pong(4));
    connection.send({ type: "start" });
    for (let n = 0; n < 6; n++) {
      vi.advanceTimersByTime(500);
      if (model.types().includes("ping")) model.say(pong(5 + n));
    }
    vi.advanceTimersByTime(200);
    expect(model.types()).toContain("ack");
  });

  it("speaks again when its page is looked at, and not while it is hidden", () => {
    const page = Object.assign(new EventTarget(), { hidden: false });
    vi.stubGlobal("document", page);
    open();
    for (const sent of [0, 1, 2]) model.say(pong(sent)); // a view that asks
    model.say(aState());
    page.hidden = true;
    vi.advanceTimersByTime(60_000);
    page.dispatchEvent(new Event("visibilitychange"));
    model.types();
    vi.advanceTimersByTime(600_000);
    expect(model.types()).toEqual([]);
    page.hidden = false;
    page.dispatchEvent(new Event("visibilitychange"));
    vi.advanceTimersByTime(100);
    expect(model.types().sort()).toEqual(["ack", "ping"]);
  });
});

describe("a view that nobody answers", () => {
  it("asks ever more seldom, after a minute at most twice in one", () => {
    open();
    vi.advanceTimersByTime(120_000);
    model.types();
    vi.advanceTimersByTime(600_000);
    expect(model.types().length).toBeLessThanOrEqual(20);
  });
});

describe("a frame that asks for no acknowledgement", () => {
  it("is told of with the next one that does", () => {
    const { connection } = open();
    model.types();
    connection.ack({ seq: 6, ack: false });
    expect(model.sent).toEqual([]);
    connection.ack({ seq: 5, ack: true });
    expect(model.sent.map(({ message }) => message)).toMatchObject([{ type: "ack", seq: 6 }]);
  });
});

describe("a channel", () => {
  it("is one for a model, however many views it has", () => {
    expect(Channel.of(model as unknown as AnyModel)).toBe(channel);
    const [one, two] = [open(), open()];
    expect(model.handlers).toHaveLength(1);
    model.say({ type: "notice", text: "hello" });
    expect([one.heard, two.heard]).toEqual([[{ type: "notice", text: "hello" }], [{ type: "notice", text: "hello" }]]);
  });

  it("listens only while there is a view", () => {
    expect(model.handlers).toHaveLength(0);
    const [one, two] = [open(), open()];
    one.connection.close();
    expect(model.handlers).toHaveLength(1);
    two.connection.close();
    expect(model.handlers).toHaveLength(0);
    open();
    expect(model.handlers).toHaveLength(1);
  });

  it("says bye for every view when it closes, and listens no more", () => {
    open();
    open();
    model.types();
    channel.close();
    expect(model.types()).toEqual(["bye", "bye"]);
    expect(model.handlers).toEqual([]);
  });

  it("tells hosts that look at traits when the edit has come to rest as another one", () => {
    open();
    model.say(aState());
    model.say(aState({ status: "stopped", step: 4 }));
    vi.advanceTimersByTime(1000);
    expect(model.saved).toEqual([["settled", expect.any(Number)]]);
  });

  it("outlives a malformed message and one of another version", () => {
    const warn = vi.spyOn(console, "warn").mockImplementation(() => {});
    const { heard } = open();
    model.say({ type: "state", status: "flying" });
    model.say({ type: "fireworks" });
    model.say(null);
    expect(heard).toEqual([]);
    expect(warn).toHaveBeenCalledTimes(2);
    warn.mockRestore();
  });

  it("outlives a kernel that is gone", () => {
    const debug = vi.spyOn(console, "debug").mockImplementation(() => {});
    model.broken = true;
    expect(() => open().connection.send({ type: "start" })).not.toThrow();
    model.broken = false;
    debug.mockRestore();
  });

  it("sends a view of something bigger as a tight copy", () => {
    const { connection } = open();
    const big = Uint8Array.from({ length: 100 }, (_, at) => at);
    connection.send({ type: "mask", width: 2, height: 2 }, [big.subarray(10, 14)]);
    const sent = model.sent.at(-1)?.buffers[0];
    expect([...(sent ?? [])]).toEqual([10, 11, 12, 13]);
    expect(sent?.buffer.byteLength).toBe(4);
  });
});

describe("where only answers come", () => {
  const acks = () => model.sent.splice(0).flatMap(({ message }) => (message.type === "ack" ? [message] : []));

  it("a view asks for what is new, until it knows and beyond", () => {
    const { connection } = open();
    for (const sent of [0, 1, 2]) model.say(pong(sent));
    acks();
    vi.advanceTimersByTime(1500);
    expect(acks()).toEqual([
      { type: "ack", view: connection.view, seq: 0, pull: true },
      { type: "ack", view: connection.view, seq: 0, pull: true },
    ]);
    model.say(aState());
    connection.ack({ seq: 3, ack: false });
    vi.advanceTimersByTime(1000);
    const asked = acks();
    expect(asked.length).toBeGreaterThan(8);
    expect(asked.every(({ seq, pull }) => seq === 3 && pull)).toBe(true);
  });

  it("what the person does is asked after at once", () => {
    const { connection } = open();
    for (const sent of [0, 1, 2]) model.say(pong(sent));
    vi.advanceTimersByTime(60);
    acks();
    connection.send({ type: "stop" });
    vi.advanceTimersByTime(150);
    expect(acks()).toHaveLength(1);
  });

  it("elsewhere nothing is asked for twice", () => {
    const { connection } = open();
    model.say(pong(7));
    model.say(aState());
    model.say({ type: "frame", seq: 8, step: 0, format: "png", width: 1, height: 1, ack: true }, [new Uint8Array(1)]);
    connection.ack({ seq: 8, ack: true });
    for (let n = 0; n < 5; n++) model.say(pong(8));
    model.types();
    vi.advanceTimersByTime(2000);
    expect(model.types()).toEqual([]);
  });
});

describe("pointer moves", () => {
  let sent: PageMessage[];
  let frames: (() => void)[];
  let out: Coalescer;

  beforeEach(() => {
    [sent, frames] = [[], []];
    out = new Coalescer(
      (message) => sent.push(message),
      (flush) => frames.push(flush),
    );
  });

  it("become one message a frame, the newest", () => {
    for (const x of [1, 2, 3]) out.push(point(1, { target: [x, 0] }, true));
    expect(sent).toEqual([]);
    frames.shift()?.();
    expect(sent).toEqual([point(1, { target: [3, 0] }, true)]);
    out.push(point(1, { target: [4, 0] }, true));
    expect(frames).toHaveLength(1);
  });

  it("are no more than thirty a second, however often the page is drawn", () => {
    for (let x = 0; x < 100; x++) {
      out.push(point(1, { target: [x, 0] }, true));
      for (const flush of frames.splice(0)) flush();
      vi.advanceTimersByTime(10);
    }
    expect(sent.length).toBeGreaterThan(28);
    expect(sent.length).toBeLessThanOrEqual(34);
    out.push(point(1, { target: [100, 0] }, false));
    expect(sent.at(-1)).toEqual(point(1, { target: [100, 0] }, false));
  });

  const move = (x: number) => {
    out.push(point(1, { target: [x, 0] }, true));
    frames.shift()?.();
  };

  it("go with acknowledgements at no cost", () => {
    out.push(point(1, { target: [1, 0] }, true));
    expect(out.take()).toEqual(point(1, { target: [1, 0] }, true));
    frames.shift()?.();
    expect([sent, out.take()]).toEqual([[], null]);
  });

  it("are two for three pictures while pictures come, and four a second at least", () => {
    const sentIn = (gap: number) => {
      const before = sent.length;
      for (let at = 0; at < 6000; at += 10) {
        if (at % gap === 0) out.frame();
        move(at);
        vi.advanceTimersByTime(10);
      }
      return sent.length - before;
    };
    expect(sentIn(120)).toBeCloseTo((2 / 3) * 50, -1);
    expect(sentIn(600)).toBeCloseTo(24, -1);
    expect(sentIn(20)).toBeGreaterThan(150);
  });

  it("come at once after a rest", () => {
    for (const _ of [1, 2, 3]) {
      out.frame();
      vi.advanceTimersByTime(400);
    }
    move(1);
    expect(sent).toHaveLength(1);
    vi.advanceTimersByTime(40);
    move(2);
    expect(sent).toHaveLength(1);
    vi.advanceTimersByTime(1000);
    expect(sent).toHaveLength(2);
    move(3);
    expect(sent).toHaveLength(3);
  });

  it("keep what only the first of them said", () => {
    out.push(point(1, { handle: [9, 9], target: [1, 0] }, true));
    out.push(point(1, { target: [2, 0] }, true));
    out.flush();
    expect(sent).toEqual([point(1, { handle: [9, 9], target: [2, 0] }, true)]);
  });

  it("send their last at once", () => {
    out.push(point(1, { target: [1, 0] }, true));
    out.push(point(1, { target: [2, 0] }, false));
    expect(sent).toEqual([point(1, { target: [2, 0] }, false)]);
    frames.shift()?.();
    expect(sent).toHaveLength(1);
  });

  it("are not overtaken by a command, nor mixed with another point's", () => {
    out.push(point(1, { handle: [9, 9], target: [1, 0] }, true));
    out.push({ type: "start" });
    out.push(point(1, { target: [2, 0] }, true));
    out.push(point(2, { target: [3, 0] }, false));
    expect(sent.map((message) => ("id" in message ? message.id : message.type))).toEqual([1, 1, 2]);
    expect(sent[0]).toEqual({ ...point(1, { handle: [9, 9], target: [1, 0] }, true), start: true });
    out.push({ type: "start" });
    out.push(point(2, { target: [3, 0] }, true));
    out.push({ type: "stop" });
    expect(sent.slice(3)).toEqual([{ type: "start" }, point(2, { target: [3, 0] }, true), { type: "stop" }]);
  });
});
