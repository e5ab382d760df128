/** Handles, targets and arrows, drawn crisply at the screen's own resolution and legible on any picture. */
import type { Css } from "./geometry.ts";

export interface Mark {
  readonly id: number;
  readonly handle: Css;
  readonly target: Css;
  readonly selected: boolean;
  /** Where the handle would be followed better. */
  readonly better: Css | null;
}

export interface Cross extends Css {
  /** Held down there, as by a pointer. */
  readonly pressed: boolean;
}

export interface Drawing {
  readonly marks: readonly Mark[];
  readonly outline: readonly Css[] | null;
  /** Where the keyboard stands for the pointer. */
  readonly cross: Cross | null;
}

const HANDLE = "#ff4f5e";
const TARGET = "#2b8cff";
const BETTER = "#ffd24a";
const LIGHT = "#fff";
const DARK = "rgba(10, 12, 20, 0.62)";
const DOT = 5;
const RING = 7;

/** Wipes the canvas and draws; `ratio` device pixels make one css pixel. */
export function draw(canvas: HTMLCanvasElement, { marks, outline, cross }: Drawing, ratio: number): void {
  const context = canvas.getContext("2d");
  if (!context) return;
  context.setTransform(1, 0, 0, 1, 0, 0);
  context.clearRect(0, 0, canvas.width, canvas.height);
  context.setTransform(ratio, 0, 0, ratio, 0, 0);
  context.lineCap = "round";
  context.lineJoin = "round";
  if (outline) drawOutline(context, outline);
  for (const mark of marks) drawBetter(context, mark);
  for (const mark of marks) drawArrow(context, mark);
  for (const mark of marks) drawTarget(context, mark);
  for (const mark of marks) drawHandle(context, mark);
  if (marks.length > 1) for (const mark of marks) drawNumber(context, mark);
  if (cross) drawCross(context, cross);
}

function drawOutline(context: CanvasRenderingContext2D, outline: readonly Css[]): void {
  const path = new Path2D();
  for (const { left, top } of outline) path.lineTo(left, top);
  path.closePath();
  context.fillStyle = "rgba(255, 255, 255, 0.16)";
  context.fill(path, "evenodd");
  stroke(context, path, DARK, 3);
  context.setLineDash([5, 4]);
  stroke(context, path, LIGHT, 1.5);
  context.setLineDash([]);
}

function drawBetter(context: CanvasRenderingContext2D, { handle, better }: Mark): void {
  if (!better) return;
  const path = new Path2D();
  path.moveTo(handle.left, handle.top);
  path.lineTo(better.left, better.top);
  const ring = circle(better, DOT + 1);
  context.setLineDash([2, 4]);
  for (const each of [path, ring]) {
    stroke(context, each, DARK, 4);
    stroke(context, each, BETTER, 2);
  }
  context.setLineDash([]);
}

function drawCross(context: CanvasRenderingContext2D, { left, top, pressed }: Cross): void {
  const path = new Path2D();
  for (const [x, y] of [
    [1, 0],
    [-1, 0],
    [0, 1],
    [0, -1],
  ] as const) {
    path.moveTo(left + 4 * x, top + 4 * y);
    path.lineTo(left + 13 * x, top + 13 * y);
  }
  if (pressed) path.addPath(circle({ left, top }, 9));
  stroke(context, path, DARK, 4);
  stroke(context, path, LIGHT, 2);
}

/** From the dot's rim to the ring's rim, and nothing at all where there is no room between them. */
function drawArrow(context: CanvasRenderingContext2D, { handle, target }: Mark): void {
  const [dx, dy] = [target.left - handle.left, target.top - handle.top];
  const length = Math.hypot(dx, dy);
  if (length < DOT + RING + 6) return;
  const [ux, uy] = [dx / length, dy / length];
  const [x, y] = [target.left - ux * (RING + 3), target.top - uy * (RING + 3)];
  const head = Math.min(6, (length - DOT - RING) / 2);
  const path = new Path2D();
  path.moveTo(handle.left + ux * (DOT + 3), handle.top + uy * (DOT + 3));
  path.lineTo(x, y);
  path.moveTo(x - head * (ux + 0.7 * uy), y - head * (uy - 0.7 * ux));
  path.lineTo(x, y);
  path.lineTo(x - head * (ux - 0.7 * uy), y - head * (uy + 0.7 * ux));
  stroke(context, path, DARK, 4);
  stroke(context, path, LIGHT, 2);
}

function drawTarget(context: CanvasRenderingContext2D, { target, selected }: Mark): void {
  const ring = circle(target, selected ? RING + 1 : RING);
  stroke(context, ring, DARK, 6);
  stroke(context, ring, LIGHT, 4.5);
  stroke(context, ring, TARGET, 2.5);
}

function drawHandle(context: CanvasRenderingContext2D, { handle, selected }: Mark): void {
  const dot = circle(handle, selected ? DOT + 1 : DOT);
  stroke(context, dot, DARK, 5);
  stroke(context, dot, LIGHT, 3.5);
  context.fillStyle = HANDLE;
  context.fill(dot);
}

/** On the side of the handle that the arrow leaves free. */
function drawNumber(context: CanvasRenderingContext2D, { id, handle, target }: Mark): void {
  const [dx, dy] = [target.left - handle.left, target.top - handle.top];
  const length = Math.hypot(dx, dy);
  const [ux, uy] = length > 1 ? [dx / length, dy / length] : [0.7, 0.7];
  const [x, y] = [handle.left - ux * 17, handle.top - uy * 17];
  const text = String(id);
  context.font = "600 11px system-ui, sans-serif";
  context.textAlign = "center";
  context.textBaseline = "middle";
  const width = Math.max(15, context.measureText(text).width + 8);
  const pill = new Path2D();
  pill.roundRect(x - width / 2, y - 7.5, width, 15, 7.5);
  context.fillStyle = "rgba(10, 12, 20, 0.78)";
  context.fill(pill);
  context.fillStyle = LIGHT;
  context.fillText(text, x, y + 0.5);
}

function circle({ left, top }: Css, radius: number): Path2D {
  const path = new Path2D();
  path.arc(left, top, radius, 0, 2 * Math.PI);
  return path;
}

function stroke(context: CanvasRenderingContext2D, path: Path2D, style: string, width: number): void {
  context.strokeStyle = style;
  context.lineWidth = width;
  context.stroke(path);
}
