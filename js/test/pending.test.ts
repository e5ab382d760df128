import { beforeEach, describe, expect, it } from "vitest";
import { Pending } from "../src/pending.ts";

let pending: Pending<number | null>;
const says = (said: number | null) => (sent: number | null) => sent === said;

beforeEach(() => {
  pending = new Pending(3000);
});

it("lets the kernel's word hold where nothing was sent", () => {
  expect(pending.value).toBeUndefined();
  expect(pending.waits(0)).toBe(false);
  expect(pending.hears(says(5), 0)).toBe(true);
});

describe("what was sent", () => {
  beforeEach(() => pending.expect(7, 1000));

  it("is shown until the kernel says the same, whatever it says of before", () => {
    expect(pending.hears(says(5), 1100)).toBe(false);
    expect(pending.value).toBe(7);
    expect(pending.hears(says(7), 1200)).toBe(true);
    expect(pending.value).toBeUndefined();
    expect(pending.hears(says(5), 1300)).toBe(true);
  });

  it("is given up after the patience, for the kernel may have refused", () => {
    expect(pending.hears(says(5), 4000)).toBe(false);
    expect(pending.waits(4000)).toBe(true);
    expect(pending.waits(4001)).toBe(false);
    expect(pending.hears(says(5), 4001)).toBe(true);
  });

  it("is overtaken by what is sent after it, and the time begins anew", () => {
    pending.expect(8, 3900);
    expect(pending.hears(says(7), 4500)).toBe(false);
    expect(pending.value).toBe(8);
    expect(pending.hears(says(8), 4600)).toBe(true);
  });

  it("can be amended, which gives it no more time, and forgotten", () => {
    pending.amend(9);
    expect(pending.value).toBe(9);
    expect(pending.hears(says(5), 4001)).toBe(true);
    pending.amend(9);
    expect(pending.value).toBeUndefined();
    pending.expect(1, 0);
    pending.forget();
    expect(pending.hears(says(5), 1)).toBe(true);
  });

  it("may be null, which is not nothing", () => {
    pending.expect(null, 1000);
    expect(pending.value).toBeNull();
    expect(pending.hears(says(5), 1100)).toBe(false);
    expect(pending.hears(says(null), 1200)).toBe(true);
  });
});

it("is awaited for ever while it is held, and from its release on for the patience", () => {
  pending.hold(7);
  expect(pending.hears(says(5), 1e9)).toBe(false);
  pending.expect(7, 2e9);
  expect(pending.hears(says(5), 2e9 + 3000)).toBe(false);
  expect(pending.hears(says(5), 2e9 + 3001)).toBe(true);
});
