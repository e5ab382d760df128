/** The owner of the picture's DOM: three canvases on top of each other, what stands on them, and how big they are. */
import { make, put, say } from "./dom.ts";
import type { Css, Scale } from "./geometry.ts";
import type { Tool } from "./keys.ts";
import type { Box, Mask } from "./mask.ts";
import { type Drawing, draw } from "./overlay.ts";
import type { FrameMessage, StateMessage } from "./protocol.ts";
import { LOADING } from "./status.ts";
import type { Veil } from "./veil.ts";
import { FIT, type Size, scaleOf, type Zoom } from "./zoom.ts";

/** The veil over what must stay, and the fine stripes in it that show it on a dark picture too. */
const VEIL = [14, 16, 28] as const;
const STRIPE = [92, 98, 122] as const;

export class Stage {
  readonly element: HTMLElement;
  readonly #image = make("canvas", { "data-layer": "image", width: 1, height: 1 });
  readonly #mask = make("canvas", { "data-layer": "mask", width: 1, height: 1 });
  readonly #overlay = make("canvas", { "data-layer": "overlay", width: 1, height: 1 });
  readonly #ring = make("div", { class: "dg-ring", hidden: true });
  readonly #before = make("canvas", { "data-layer": "before", width: 1, height: 1 });
  /** As big as the stage, whatever the zoom: where the picture from before ends is a place on the stage. */
  readonly #curtain = make("div", { class: "dg-curtain", hidden: true }, this.#before);
  readonly #words = make("span", {});
  #comparing = false;
  #veil: Veil | null = null;
  /** What the veil was last drawn of. */
  #veiled: Mask | null = null;
  readonly #placeholder = make("div", "dg-placeholder", make("i", "dg-spinner"), this.#words);
  #width = 256;
  #height = 256;
  #zoom = FIT;
  /** How wide the stage was then. */
  #zoomed = 0;

  constructor() {
    this.element = make(
      "div",
      { class: "dg-stage", tabindex: 0, role: "group", named: "Picture" },
      make("div", "dg-pictures", this.#image, this.#mask, this.#curtain),
      this.#overlay,
      this.#placeholder,
      this.#ring,
    );
  }

  /** The size of the picture, in pixels of its own. */
  get picture(): Size {
    return { width: this.#width, height: this.#height };
  }

  /** How big the stage is, in css pixels of its own: a page that is scaled shows it larger or smaller. */
  get size(): Size {
    const { width, height } = getComputedStyle(this.#overlay);
    return { width: Number.parseFloat(width) || 1, height: Number.parseFloat(height) || 1 };
  }

  /** How much larger it is on the screen, where the page or a part of it is scaled (slides, dashboards, `zoom`). */
  get #magnified(): number {
    return this.#overlay.getBoundingClientRect().width / this.size.width || 1;
  }

  get scale(): Scale {
    return scaleOf(this.#zoom, this.picture, this.size);
  }

  /** The part of the picture that is seen. The overlay stays as it is: what it shows has the same size at any zoom. */
  zoom(zoom: Zoom): void {
    if (zoom === this.#zoom && this.#zoomed === this.size.width) return;
    this.#zoom = zoom;
    this.#zoomed = this.size.width;
    const { style } = this.element;
    style.setProperty("--dg-zoom", String(zoom.factor));
    style.setProperty("--dg-left", String(zoom.left));
    style.setProperty("--dg-top", String(zoom.top));
    this.element.toggleAttribute("data-near", (this.size.width * zoom.factor) / this.#width >= 5);
  }

  locate(event: { clientX: number; clientY: number }): Css {
    const { left, top } = this.#overlay.getBoundingClientRect();
    const by = this.#magnified;
    return { left: (event.clientX - left) / by, top: (event.clientY - top) / by };
  }

  drawPicture(picture: CanvasImageSource, { seq, step, format, width, height }: FrameMessage): void {
    sized(this.#image, width, height);
    Object.assign(this.#image.dataset, { seq, step, format });
    this.#fit();
    copy(this.#image, picture);
    this.#placeholder.hidden = true;
  }

  /** The picture from before the edit. */
  drawBefore(picture: CanvasImageSource, { width, height }: Size): void {
    sized(this.#before, width, height);
    copy(this.#before, picture);
  }

  /** Shows the picture from before left of `split` (1: all of it), or nowhere. */
  compare(split: number | null): void {
    this.#curtain.hidden = split === null;
    this.#comparing = split !== null;
    this.#showVeil();
    if (split !== null) this.#curtain.style.clipPath = `inset(0 ${(100 - 100 * split).toFixed(2)}% 0 0)`;
  }

  /** How what must stay is told from what may move; null: not at all. */
  veil(veil: Veil | null): void {
    const striped = veil && veil.striped !== this.#veil?.striped;
    this.#veil = veil;
    if (striped) this.drawMask(this.#veiled);
    this.#showVeil();
  }

  #showVeil(): void {
    // The veil would darken the one picture and not the other.
    this.#mask.hidden = this.#comparing || this.#veil === null;
    this.#mask.style.opacity = String(this.#veil?.opacity ?? 0);
  }

  toBlob(): Promise<Blob | null> {
    return new Promise((resolve) => this.#image.toBlob(resolve, "image/png"));
  }

  /** What stands where the picture will be, and the shape of it. */
  show(state: StateMessage | null, connected: boolean): void {
    const failed = state?.status === "error";
    if (state) [this.#width, this.#height] = [state.width, state.height];
    say(this.#words, failed || !connected ? "No picture" : LOADING);
    this.#placeholder.toggleAttribute("data-busy", !failed && connected);
    const shape = `${this.#width} / ${this.#height}`;
    if (this.element.style.aspectRatio !== shape) this.element.style.aspectRatio = shape;
    this.element.toggleAttribute("data-alpha", state?.channels === 4);
    put(this.element, "aria-busy", String(state === null));
    this.#fit();
  }

  /** The picture before, of another shape, is not squeezed into that of the one to come. */
  #fit(): void {
    const fits = this.#image.width === this.#width && this.#image.height === this.#height;
    this.#image.toggleAttribute("data-before", !fits);
  }

  tool(tool: Tool): void {
    this.element.dataset.tool = tool;
    this.ring(null, 0);
  }

  cursor(kind: "free" | "grab" | "pulling" | "grasp"): void {
    this.element.dataset.cursor = kind;
  }

  /** The veil over what must stay, all of it or only a changed box. No mask: no veil. */
  drawMask(mask: Mask | null, box?: Box): void {
    const context = this.#mask.getContext("2d");
    if (!context) return;
    this.#veiled = mask;
    const stripes = this.#veil?.striped ?? true;
    if (!mask) {
      context.clearRect(0, 0, this.#mask.width, this.#mask.height);
      return;
    }
    const whole = sized(this.#mask, mask.width, mask.height) || !box;
    const { x, y, width, height } = whole ? { x: 0, y: 0, width: mask.width, height: mask.height } : box;
    if (width === 0 || height === 0) return;
    const veil = context.createImageData(width, height);
    const period = Math.max(4, Math.round(Math.max(mask.width, mask.height) / 42));
    for (let row = 0; row < height; row++) {
      for (let column = 0; column < width; column++) {
        const stays = 255 - (mask.data[(y + row) * mask.width + x + column] ?? 0);
        if (stays === 0) continue;
        const striped = stripes && (x + column + y + row) % period < period / 6;
        const [red, green, blue] = striped ? STRIPE : VEIL;
        veil.data.set([red, green, blue, stays], 4 * (row * width + column));
      }
    }
    context.putImageData(veil, x, y);
  }

  drawOverlay(drawing: Drawing): void {
    const { width, height } = this.size;
    const ratio = (window.devicePixelRatio || 1) * this.#magnified;
    sized(this.#overlay, Math.round(width * ratio), Math.round(height * ratio));
    draw(this.#overlay, drawing, ratio);
  }

  /** Where the brush is, or null while it is not over the picture. */
  ringAt: Css | null = null;

  /** The brush under the pointer, or none. */
  ring(at: Css | null, size: number): void {
    this.ringAt = at;
    this.#ring.hidden = at === null;
    if (!at) return;
    this.#ring.style.width = this.#ring.style.height = `${size}px`;
    this.#ring.style.transform = `translate(${at.left - size / 2}px, ${at.top - size / 2}px)`;
  }
}

function copy(canvas: HTMLCanvasElement, picture: CanvasImageSource): void {
  const context = canvas.getContext("2d");
  if (!context) return;
  context.globalCompositeOperation = "copy"; // a picture with holes must not show the last one through them
  context.drawImage(picture, 0, 0, canvas.width, canvas.height);
}

/** Sets a canvas's size, which wipes it, only where it changes; true where it did. */
function sized(canvas: HTMLCanvasElement, width: number, height: number): boolean {
  if (canvas.width === width && canvas.height === height) return false;
  canvas.width = width;
  canvas.height = height;
  return true;
}
