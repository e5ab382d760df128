/** The way of results out of the page: to a file, to the clipboard, or as code to be shown. */

import type { Frame } from "./frames.ts";
import type { ExportMessage, Job, Kind, PageMessage } from "./protocol.ts";
import { blobOf, copyPicture, copyText, download } from "./save.ts";
import type { Stage } from "./stage.ts";
import { CODE_COPIED, CODE_NOT_COPIED, COPIED, fileName, NOT_COPIED, saved } from "./status.ts";
import type { ViewState } from "./viewstate.ts";

export interface ExportHost {
  readonly view: ViewState;
  within(): HTMLElement;
  send(message: PageMessage): void;
  aside(text: string, milliseconds: number): void;
  update(): void;
  readonly stage: Stage;
  /** Sends no more of a photograph. */
  unsend(): void;
  code(text: string): void;
}

export class Exports {
  readonly #host: ExportHost;
  /** What this view has asked for: every view hears the answer, and only this one takes it. */
  readonly #asked = new Set<Kind>();

  constructor(host: ExportHost) {
    this.#host = host;
  }

  ask(kind: Kind, handles: boolean): void {
    const { view, send, update } = this.#host;
    if (view.exporting.has(kind)) return;
    this.#asked.add(kind);
    view.exporting.add(kind);
    send({ type: "export", kind, handles });
    update();
  }

  /** The kernel's own PNG; where there is no kernel to ask, what is on the screen. */
  save(drawn: Frame | null): void {
    if (this.#host.view.live) this.ask(this.#host.view.state?.photo ? "photo" : "png", false);
    else void this.#saveScreen(drawn);
  }

  /** Ends long work of any kind. */
  cancel({ id, what }: Job): void {
    const { stage, send, unsend } = this.#host;
    if (what === "opening") unsend();
    else if (what !== "load") this.#asked.delete(what as Kind);
    if (id) send({ type: "cancel", id });
    // The button goes once the kernel has answered, and would take the focus with it.
    stage.element.focus({ preventScroll: true });
  }

  receive({ kind, name, mime, text }: ExportMessage, data: ArrayBufferView | undefined): void {
    const { view, code, update, within, aside } = this.#host;
    if (!this.#asked.delete(kind)) return;
    view.exporting.delete(kind);
    if (data) {
      download(new Blob([data as ArrayBufferView<ArrayBuffer>], { type: mime }), name, within());
    } else {
      code(text);
      void this.copyCode(text);
    }
    update();
    if (data) aside(saved(name), 4000);
  }

  async copyPicture(): Promise<void> {
    this.#say(await copyPicture(this.#host.stage.toBlob()));
  }

  async copyCode(text: string): Promise<void> {
    const copied = await copyText(text, this.#host.within());
    this.#host.aside(copied ? CODE_COPIED : CODE_NOT_COPIED, 4000);
  }

  async copyText(text: string): Promise<void> {
    this.#say(await copyText(text, this.#host.within()));
  }

  async #saveScreen(drawn: Frame | null): Promise<void> {
    const { view, stage, within } = this.#host;
    if (!view.state || !drawn) return;
    const { format, data, step } = drawn;
    const blob = format === "png" ? blobOf(data, format) : await stage.toBlob();
    if (blob) download(blob, fileName(view.state, step), within());
  }

  #say(copied: boolean): void {
    this.#host.aside(copied ? COPIED : NOT_COPIED, 4000);
  }
}
