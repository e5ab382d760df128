/** Where in a photograph the model's picture lies: a square over it, to be pulled and sized, or one of several faces. */
import type { PanelHost } from "../panels.ts";
import type { Job, PlacingMessage, Square } from "../protocol.ts";
import { blobOf, clamp, make, on, putStyle, STAYS_HERE, say, wide } from "../shared.ts";
import type { ViewState } from "../viewstate.ts";

const TO_PLACE = "Pull the square over the head with its hair, or what else the model makes; its corner sizes it.";

export class Placer {
  readonly element: HTMLElement;
  readonly #host: PanelHost;
  readonly #words = make("p");
  readonly #picture = make("canvas");
  readonly #faces = make("div");
  readonly #square = make("div", "dg-square", make("i", "dg-grip"));
  readonly #over = make("div", "dg-over", this.#picture, this.#faces, this.#square);
  readonly #sliders = ["Across", "Down", "Size"].map((name) => make("input", { type: "range", named: name }));
  #placing: PlacingMessage | null = null;
  #at: Square = [0, 0, 1, 0];
  /** A square was used, which the kernel has not told of yet. */
  #used = false;

  constructor(host: PanelHost) {
    this.#host = host;
    const use = wide("Use this square");
    const cancel = wide("Cancel");
    this.element = make(
      "div",
      { class: "dg-placer", role: "dialog", named: "Place the square", hidden: true },
      this.#words,
      make("div", "dg-around", this.#over),
      make(
        "div",
        "dg-row",
        ...this.#sliders.map((slider) => make("label", {}, slider.ariaLabel ?? "", slider)),
        use,
        cancel,
      ),
    );
    on(use, "click", () => {
      const [x = 0, y = 0, size = 0, angle = 0] = this.#at;
      this.#used = true;
      host.view.placing = false;
      host.send({ type: "place", x, y, size, angle });
      host.update();
    });
    on(cancel, "click", () => this.#cancel());
    on(this.element, "keydown", (event) => (event as KeyboardEvent).key === "Escape" && this.#cancel());
    for (const [part, slider] of this.#sliders.entries()) {
      on(slider, "input", () => this.#put(this.#at.with(part, slider.valueAsNumber)));
    }
    this.#listen();
  }

  async receive(placing: PlacingMessage, data: ArrayBufferView): Promise<void> {
    const { width, height, squares, note } = placing;
    this.#placing = placing;
    this.#used = false;
    say(this.#words, `${note} ${TO_PLACE} ${STAYS_HERE}`);
    putStyle(this.#over, "--dg-shape", String(width / height));
    for (const [part, most] of [width - 1, height - 1, 1.5 * Math.max(width, height)].entries()) {
      const slider = this.#sliders[part];
      if (slider) Object.assign(slider, { min: part === 2 ? 16 : 0, max: most, step: "any" });
    }
    this.#faces.replaceChildren(
      ...(squares.length > 1 ? squares : []).map((square, place) => this.#face(square, place)),
    );
    if (squares[0]) this.#put(squares[0]);
    const picture = await createImageBitmap(blobOf(data, "jpeg")).catch(() => null);
    if (!picture) return;
    Object.assign(this.#picture, { width: picture.width, height: picture.height });
    this.#picture.getContext("2d")?.drawImage(picture, 0, 0);
    picture.close();
  }

  show(view: ViewState): void {
    const stage = opening(view)?.stage;
    view.placing &&= stage !== undefined;
    const { placing, live } = view;
    const open = live && this.#placing !== null && ((stage === "placing" && !this.#used) || placing);
    const opened = open && this.element.hidden;
    this.element.hidden = !open;
    if (opened) this.#sliders[0]?.focus({ preventScroll: true });
  }

  #cancel(): void {
    const { view, cancel, update } = this.#host;
    const job = opening(view);
    if (job && !view.placing) cancel(job);
    view.placing = false;
    update();
  }

  #face(square: Square, place: number): HTMLElement {
    const name = `Face ${place + 1}`;
    const face = make("button", { type: "button", class: "dg-face", named: name, title: name });
    this.#lay(face, square);
    on(face, "click", () => this.#put(square));
    return face;
  }

  #put(at: Square): void {
    const { width, height } = this.#placing ?? { width: 1, height: 1 };
    const [x = 0, y = 0, size = 16, angle = 0] = at;
    this.#at = [clamp(x, 0, width), clamp(y, 0, height), clamp(size, 16, 1.5 * Math.max(width, height)), angle];
    for (const [part, slider] of this.#sliders.entries()) slider.value = String(this.#at[part]);
    this.#lay(this.#square, this.#at);
  }

  #lay({ style }: HTMLElement, [x = 0, y = 0, size = 0, angle]: Square): void {
    const { width, height, shape } = this.#placing ?? { width: 1, height: 1, shape: 1 };
    const wide = size * shape;
    style.left = `${(100 * (x + 0.5 - wide / 2)) / width}%`;
    style.top = `${(100 * (y + 0.5 - size / 2)) / height}%`;
    style.width = `${(100 * wide) / width}%`;
    style.height = `${(100 * size) / height}%`;
    style.transform = `rotate(${angle}deg)`;
  }

  #listen(): void {
    const square = this.#square;
    let from: { x: number; y: number; at: Square; sizes: boolean } | null = null;
    on(square, "pointerdown", (event) => {
      const { clientX: x, clientY: y, pointerId, target } = event as PointerEvent;
      square.setPointerCapture(pointerId);
      from = { x, y, at: this.#at, sizes: target !== square };
      event.preventDefault();
    });
    on(square, "pointermove", (event) => {
      if (!from || !this.#placing) return;
      const { clientX, clientY } = event as PointerEvent;
      const by = this.#placing.width / (this.#picture.getBoundingClientRect().width || 1);
      const [x = 0, y = 0, size = 0, angle = 0] = from.at;
      const [right, down] = [(clientX - from.x) * by, (clientY - from.y) * by];
      this.#put(from.sizes ? [x, y, size + right + down, angle] : [x + right, y + down, size, angle]);
    });
    on(square, "lostpointercapture", () => {
      from = null;
    });
  }
}

function opening({ jobs }: ViewState): Job | undefined {
  return jobs.find(({ what }) => what === "opening");
}
