/**
 * The edit as a film under the picture: small pictures of its course, the way that its points had to go drawn above
 * them, and a slider over both. Sliding shows the picture of that moment and changes nothing.
 */
import { Course, clearPlace, nearestStep, stations } from "./course.ts";
import { make, on, put, say } from "./dom.ts";
import type { CourseMessage, PageMessage, ThumbnailsMessage } from "./protocol.ts";
import { blobOf } from "./save.ts";
import { moment } from "./status.ts";
import type { ViewState } from "./viewstate.ts";

const EMPTY = "The course of the edit appears here.";
const PLOT = 34;
const STRIP = 38;
/** Small pictures cost the kernel something: they are asked for when nothing has changed for so long. */
const REST = 250;

export class Timeline {
  readonly element: HTMLElement;
  readonly #canvas = make("canvas", { class: "dg-film", "aria-hidden": "true" });
  readonly #slider = make("input", { type: "range", min: 0, max: 0, step: 1, value: 0, named: "Timeline" });
  readonly #empty = make("span", "dg-empty");
  readonly #course = new Course();
  readonly #pictures = new Map<number, ImageBitmap>();
  readonly #send: (message: PageMessage) => void;
  readonly #slide: (step: number) => void;
  /** Steps of small pictures that are on their way. */
  readonly #asked = new Set<number>();
  #rest: ReturnType<typeof setTimeout> | null = null;
  #view: ViewState | null = null;
  /** What the film was drawn of. */
  #drawn = "";

  constructor(send: (message: PageMessage) => void, slide: (step: number) => void) {
    this.#send = send;
    this.#slide = slide;
    this.element = make("div", "dg-timeline", this.#canvas, this.#empty, this.#slider);
    on(this.#slider, "input", () => this.#slide(Number(this.#slider.value)));
  }

  /** The theme or the size of the page may have changed. */
  redraw(): void {
    this.#drawn = "";
    this.#draw();
  }

  /** What was known is of another time or another picture. */
  #forget(): void {
    this.#drawn = "";
    for (const picture of this.#pictures.values()) picture.close();
    this.#pictures.clear();
    this.#asked.clear();
  }

  course(message: CourseMessage): void {
    this.#course.receive(message);
    this.#draw();
  }

  async thumbnails({ edit, steps }: ThumbnailsMessage, buffers: readonly ArrayBufferView[]): Promise<void> {
    if (edit !== this.#course.edit) return;
    await Promise.all(
      steps.map(async (step, n) => {
        const data = buffers[n];
        // Another view may have asked for them; they are as good.
        if (!data || this.#pictures.has(step)) return;
        this.#asked.delete(step);
        const picture = await createImageBitmap(blobOf(data, "jpeg")).catch(() => null);
        // Meanwhile it may have become one of another edit.
        if (picture && edit === this.#course.edit && !this.#pictures.has(step)) this.#pictures.set(step, picture);
        else picture?.close();
      }),
    );
    this.#draw();
  }

  show(view: ViewState): void {
    this.#view = view;
    const { state, newest } = view;
    if (state && this.#course.begin(state.edit)) this.#forget();
    const step = view.looking ?? newest;
    // Written only where they change: a slider that is set, even to what it says, is laid out and painted again.
    if (this.#slider.max !== String(newest)) this.#slider.max = String(newest);
    if (this.#slider.value !== String(step)) this.#slider.value = String(step);
    this.#slider.disabled = newest === 0 || !view.live;
    const told = state?.amounts ?? [];
    const here = told.find(([at]) => at === step)?.[1];
    put(this.#slider, "aria-valuetext", moment(step, newest) + (here ? `; ${here}` : ""));
    put(this.#slider, "title", told.map(([at, words]) => `Step ${at}: ${words}`).join("\n"));
    say(this.#empty, here ?? EMPTY);
    this.#empty.hidden = newest > 0;
    if (view.live) this.#askForCourse(newest, state?.status === "running" ? undefined : 0);
    this.#restart(state !== null && state.status !== "running" && newest > 0 && view.live);
    this.#draw();
  }

  close(): void {
    this.#restart(false);
    this.#forget();
  }

  #restart(on: boolean): void {
    if (on && this.#rest !== null) return;
    if (this.#rest !== null) clearTimeout(this.#rest);
    this.#rest = on ? setTimeout(() => this.#ask(), REST) : null;
  }

  #ask(): void {
    this.#rest = null;
    const { newest } = this.#view ?? { newest: 0 };
    this.#askForCourse(newest, 0);
    const steps = stations(newest, this.#places()).filter(
      (step) => !this.#pictures.has(step) && !this.#asked.has(step),
    );
    if (steps.length === 0) return;
    for (const step of steps) this.#asked.add(step);
    this.#send({ type: "thumbnails", steps });
  }

  #askForCourse(newest: number, every?: number): void {
    const since = this.#course.wants(newest, every);
    if (since !== null) this.#send({ type: "course", since });
  }

  #places(): number {
    return Math.max(2, Math.floor(this.element.clientWidth / (STRIP * this.#shape())));
  }

  /** Width by height of a picture, within reason. */
  #shape(): number {
    const { width, height } = this.#view?.state ?? { width: 1, height: 1 };
    return Math.min(2, Math.max(0.5, width / height));
  }

  #draw(): void {
    const width = this.element.clientWidth;
    const context = this.#canvas.getContext("2d");
    const view = this.#view;
    if (!context || width === 0 || !view) return;
    const { newest, looking, selected } = view;
    const amounts = (view.state?.amounts ?? []).map(([step]) => step);
    const drawn = [width, newest, looking, selected?.id, this.#course.last, this.#pictures.size, amounts].join();
    if (drawn === this.#drawn) return;
    this.#drawn = drawn;
    const ratio = window.devicePixelRatio || 1;
    this.#canvas.width = Math.round(width * ratio);
    this.#canvas.height = Math.round((PLOT + STRIP) * ratio);
    context.scale(ratio, ratio);
    if (view.newest === 0) return;
    const style = getComputedStyle(this.#canvas);
    this.#drawStrip(context, width, style.caretColor);
    this.#drawPlot(context, width, style);
    const x = Math.min(width - 1, Math.max(1, (width * (view.looking ?? view.newest)) / view.newest));
    context.fillStyle = style.color;
    context.fillRect(x - 1, 0, 2, PLOT + STRIP);
    // Where attributes were changed: a mark on the line between the two.
    for (const step of amounts) {
      context.beginPath();
      context.arc(Math.min(width - 4, Math.max(4, (width * step) / newest)), PLOT - 1, 3.5, 0, 7);
      context.fill();
    }
  }

  #drawStrip(context: CanvasRenderingContext2D, width: number, ground: string): void {
    const newest = this.#view?.newest ?? 0;
    const places = this.#places();
    const each = width / places;
    context.fillStyle = ground;
    context.fillRect(0, PLOT, width, STRIP);
    for (let n = 0; n < places; n++) {
      const step = nearestStep(this.#pictures.keys(), (n * newest) / (places - 1));
      const picture = step === null ? undefined : this.#pictures.get(step);
      if (!picture) continue;
      // Filled, and cut where it is too wide or too high.
      const wide = Math.min(picture.width, (picture.height * each) / STRIP);
      const high = Math.min(picture.height, (picture.width * STRIP) / each);
      const [x, y] = [(picture.width - wide) / 2, (picture.height - high) / 2];
      context.drawImage(picture, x, y, wide, high, n * each, PLOT, each, STRIP);
    }
  }

  #drawPlot(context: CanvasRenderingContext2D, width: number, style: CSSStyleDeclaration): void {
    const view = this.#view;
    if (!view) return;
    const ways = this.#course.ways;
    const most = Math.max(1, ...[...ways.values()].flat().map(([, distance]) => distance));
    const place = ([step, distance]: readonly [number, number]) => ({
      left: (width * step) / view.newest,
      top: PLOT - 3 - (distance / most) * (PLOT - 7),
    });
    const lines: { left: number; top: number }[][] = [];
    context.fillStyle = style.textDecorationColor;
    context.fillRect(0, PLOT - 2, width, 1);
    context.lineJoin = "round";
    for (const [id, way] of ways) {
      const strong = ways.size === 1 || id === view.selected?.id;
      const line = new Path2D();
      const places = way.map(place);
      for (const { left, top } of places) line.lineTo(left, top);
      lines.push(places);
      context.strokeStyle = strong ? style.color : style.outlineColor;
      context.lineWidth = strong ? 2 : 1;
      context.stroke(line);
    }
    if (lines.length === 0) return;
    const text = `top: ${most.toFixed(most < 10 ? 1 : 0)} px to go`;
    context.font = `11px ${style.fontFamily}`;
    const label = { width: context.measureText(text).width + 8, height: 15 };
    const hand = (width * (view.looking ?? view.newest)) / view.newest;
    lines.push([0, PLOT].map((top) => ({ left: hand, top })));
    const free = clearPlace(lines, label, { width, height: PLOT - 3 });
    // Where lines go everywhere it is left out: the points say themselves how far they have to go.
    if (!free) return;
    context.fillStyle = style.outlineColor;
    context.fillText(text, free.left + 4, free.top + 11.5);
  }
}
