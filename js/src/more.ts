/**
 * What is opened seldom comes when it is first opened: its code is a second bundle, which the kernel sends. It is
 * imported as the host has imported the first one, by an address of this page itself.
 */
import { make } from "./dom.ts";
import type { PanelHost, Panels } from "./panels.ts";
import { Pending } from "./pending.ts";
import type { PanelMessage, PlacingMessage } from "./protocol.ts";
import * as shared from "./shared.ts";
import { NOT_OPENED } from "./status.ts";
import { button, type Toolbar } from "./toolbar.ts";
import type { ViewState } from "./viewstate.ts";

export interface MoreHost extends Omit<PanelHost, "press"> {
  aside(text: string, milliseconds: number): void;
}

/** The module that a text is; throws where this page lets none be made. */
async function imported(code: ArrayBufferView): Promise<(host: PanelHost) => Panels> {
  const blob = new Blob([code as ArrayBufferView<ArrayBuffer>], { type: "text/javascript" });
  const url = URL.createObjectURL(blob);
  const module = await import(url)
    .catch(async () => import(`data:text/javascript,${encodeURIComponent(await blob.text())}`))
    .finally(() => URL.revokeObjectURL(url));
  return module.default(shared);
}

export class More {
  /** Beside the picture, and over it. */
  readonly element = make("div", { class: "dg-more", hidden: true }, "Opening…");
  readonly over = make("div");
  /** What opens the attributes. */
  readonly button: HTMLButtonElement;
  readonly #host: PanelHost;
  readonly #aside: MoreHost["aside"];
  readonly #asked = new Pending<true>(8000);
  #panels: Panels | null = null;
  #placing: { message: PlacingMessage; data: ArrayBufferView } | null = null;

  constructor(host: MoreHost, toolbar: Toolbar) {
    this.button = toolbar.add(button("Attributes", "attributes", "Attributes: older, smiling, longer hair"));
    this.#aside = host.aside;
    this.#host = { ...host, press: (name) => toolbar.press(name) };
  }

  show(view: ViewState): void {
    const panel = view.drawer !== null && view.drawer !== "settings";
    this.element.hidden = !panel;
    if (this.#panels) this.#panels.show(view);
    else if ((panel || this.#placing) && view.live && !this.#asked.waits()) {
      this.#asked.expect(true);
      this.#host.send({ type: "more" });
    }
  }

  /** The code has come. */
  async receive(code: ArrayBufferView): Promise<void> {
    // Every view hears it, and only that takes it which has asked.
    if (this.#panels || !this.#asked.value) return;
    this.#asked.forget();
    const { view, update, send } = this.#host;
    try {
      const panels = (await imported(code))(this.#host);
      this.#panels = panels;
      this.element.replaceChildren(...panels.beside);
      this.over.replaceChildren(panels.over);
    } catch (error) {
      console.warn("draggan_widget:", String(error).slice(0, 200)); // which may name all of the code
      if (view.drawer !== "settings") view.drawer = null;
      const [x = 0, y = 0, size = 0, angle = 0] = this.#placing?.message.squares[0] ?? [];
      // Nobody can place the square: the likeliest is taken, or the photograph would wait for ever.
      if (this.#placing) send({ type: "place", x, y, size, angle });
      this.#placing = null;
      update();
      this.#aside(NOT_OPENED, 12000);
      return;
    }
    if (this.#placing) await this.place(this.#placing.message, this.#placing.data);
    update();
  }

  hear({ panel, told }: PanelMessage, buffers: readonly ArrayBufferView[]): void {
    this.#panels?.hear(panel, told, buffers);
  }

  async place(message: PlacingMessage, data: ArrayBufferView): Promise<void> {
    this.#placing = { message, data };
    await this.#panels?.place(message, data);
  }

  typed(event: KeyboardEvent): void {
    this.#panels?.typed(event);
  }
}
