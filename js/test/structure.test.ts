import { describe, expect, it } from "vitest";

declare global {
  interface ImportMeta {
    /** Vite's: the text of all files whose names fit. */
    glob(pattern: string, options: { query: "?raw"; import: "default"; eager: true }): Record<string, string>;
  }
}

const files = import.meta.glob("../src/**/*.ts", { query: "?raw", import: "default", eager: true });

/** The files that a file imports, types included. */
function imports(name: string): string[] {
  return [...(files[name] ?? "").matchAll(/^(?:import|export)\b[^;]*?from "(\.[^"]+\.ts)"/gm)].map(([, path]) =>
    new URL(path ?? "", new URL(name, "file:///a/b/")).pathname.replace("/a/", "../"),
  );
}

/** The first way from a file back to itself, or nothing. */
function circle(name: string, way: readonly string[] = [], done = new Set<string>()): string[] {
  if (way.includes(name)) return [...way.slice(way.indexOf(name)), name];
  if (done.has(name)) return [];
  const found = imports(name).map((next) => circle(next, [...way, name], done));
  done.add(name);
  return found.find(({ length }) => length > 0) ?? [];
}

describe("the source of the page", () => {
  it("is found, and so is what its files import", () => {
    expect(Object.keys(files).length).toBeGreaterThan(50);
    expect(imports("../src/view.ts")).toContain("../src/hosts/still.ts");
    expect(imports("../src/hosts/still.ts")).toContain("../src/dom.ts");
    const missing = Object.keys(files).flatMap((name) => imports(name).filter((path) => !(path in files)));
    expect(missing.filter((path) => !path.endsWith(".d.ts"))).toEqual([]);
  });

  it("has no file that imports itself, over whatever others, be it for a type", () => {
    expect(Object.keys(files).map((name) => circle(name))).toEqual(Object.keys(files).map(() => []));
  });

  it("has no file of more than 400 lines", () => {
    const long = Object.entries(files).filter(([, text]) => text.trimEnd().split("\n").length > 400);
    expect(long.map(([name]) => name)).toEqual([]);
  });
});
