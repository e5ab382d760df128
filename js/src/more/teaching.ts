/** Teaching a direction: pictures are marked as more or less of something, and what tells them apart gets a name. */
import type { PanelHost } from "../panels.ts";
import { blobOf, button, isOff, make, on, setOff, wide } from "../shared.ts";
import { Fold } from "./fold.ts";

const HOW =
  "Mark pictures that have more of something, and pictures that have less: two of each at least, ten are good.";
const FEWEST = 2;

export class Teaching {
  readonly fold: Fold;
  readonly name = make("input", {
    class: "dg-box",
    type: "text",
    named: "Name of what you teach",
    placeholder: "a name, such as heroic look",
    autocomplete: "off",
    maxlength: 60,
  });
  readonly #marks = make("div", { class: "dg-marks", role: "group", named: "Marked pictures" });
  readonly #teach = wide("Teach", "Find what the marked pictures differ in");
  readonly #host: PanelHost;
  readonly #send: (name: string) => void;
  #sides: readonly ("more" | "less")[] = [];

  constructor(host: PanelHost, send: (name: string) => void) {
    this.#host = host;
    this.#send = send;
    const more = wide("More", "The picture has more of it", "plus");
    const less = wide("Less", "The picture has less of it", "minus");
    const next = wide("New image", "Another picture, to mark or not", "dice");
    const body = make(
      "div",
      {},
      make("p", {}, HOW),
      make("div", "dg-row dg-holds", more, less, next),
      this.#marks,
      make("div", "dg-ask", this.name, this.#teach),
    );
    this.fold = new Fold("Teach your own", body);
    on(more, "click", () => this.#mark("more"));
    on(less, "click", () => this.#mark("less"));
    on(next, "click", () => host.press("New image"));
    on(this.#teach, "click", () => this.teach());
    on(this.name, "input", () => this.#show());
    this.#show();
  }

  teach(): void {
    if (!isOff(this.#teach)) this.#send(this.name.value.trim());
  }

  /** It is taught. */
  done(): void {
    this.name.value = "";
    this.#show();
  }

  async receive(sides: readonly ("more" | "less")[], pictures: readonly ArrayBufferView[]): Promise<void> {
    this.#sides = sides;
    const marks = sides.map((side, number) => this.#made(side, number));
    this.#marks.replaceChildren(...marks.map(({ element }) => element));
    this.#show();
    await Promise.all(marks.map(({ canvas }, number) => draw(canvas, pictures[number])));
  }

  #made(side: "more" | "less", number: number) {
    const canvas = make("canvas");
    const name = `Picture ${number + 1}, marked as ${side}: take the mark away`;
    const element = make(
      "button",
      { type: "button", class: "dg-marked", "data-side": side, named: name, title: name },
      canvas,
    );
    on(element, "click", () => this.#host.send({ type: "mark", side: null, number }));
    return { element, canvas };
  }

  #mark(side: "more" | "less"): void {
    if (this.#host.view.live) this.#host.send({ type: "mark", side, number: null });
  }

  #show(): void {
    const count = (side: string) => this.#sides.filter((each) => each === side).length;
    const [more, less] = [count("more"), count("less")];
    setOff(this.#teach, more < FEWEST || less < FEWEST || this.name.value.trim() === "");
    this.fold.about(this.#sides.length ? `${more} more, ${less} less` : "");
    this.#marks.hidden = this.#sides.length === 0;
  }
}

/** Draws a small picture; what cannot be decoded leaves the canvas empty. */
export async function draw(canvas: HTMLCanvasElement, data: ArrayBufferView | undefined): Promise<void> {
  const picture = data && (await createImageBitmap(blobOf(data, "jpeg")).catch(() => null));
  if (!picture) return;
  Object.assign(canvas, { width: picture.width, height: picture.height });
  canvas.getContext("2d")?.drawImage(picture, 0, 0);
  picture.close();
}

/** The button that closes a panel; `name` is what opens it. */
export function closing(name: "Attributes" | "Compare engines", host: PanelHost): HTMLButtonElement {
  const close = button(name === "Attributes" ? "Close attributes" : "Close engines", "close", "Close");
  on(close, "click", () => host.press(name));
  return close;
}
