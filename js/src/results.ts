/** What comes out of an edit: files, the clipboard, and the Python call that makes it again. */

import { isOff, make, markMore, on, say, setOff } from "./dom.ts";
import type { Exports } from "./exports.ts";
import { type Icon, icon } from "./icons.ts";
import type { Kind } from "./protocol.ts";
import { button, wide } from "./toolbar.ts";
import type { ViewState } from "./viewstate.ts";

const MP4 = "the same, smaller and finer";
const NO_MP4 = "needs a package: pip install 'draggan_widget[video]', then restart the kernel";

const ROWS: readonly (readonly [Kind | "copy", Icon, string, string])[] = [
  ["photo", "picture", "Photograph as PNG", "in full size, with the edit in it; all else as it was"],
  [
    "png",
    "picture",
    "Picture as PNG",
    "without loss; says in its metadata that it is AI-generated, unless switched off",
  ],
  ["copy", "copy", "Copy picture", "to the clipboard"],
  ["gif", "film", "Film as GIF", "the course of the edit, for a page or a chat"],
  ["mp4", "film", "Film as MP4", MP4],
  ["drag", "download", "Edit as .drag file", "everything, to go on with later: Editor.load"],
  ["latent", "download", "Latent as .npz", "the numbers that make this picture: numpy.load"],
  ["code", "code", "Show code", "the Python that makes this edit again, copied too"],
];

export class Results {
  readonly element = make("div", { class: "dg-card", role: "dialog", named: "Results", hidden: true });
  readonly #buttons = new Map<Kind | "copy", { button: HTMLButtonElement; words: HTMLElement }>();
  readonly #handles = make("input", { type: "checkbox" });
  readonly #close = button("Close", "close", "Close (Esc)");
  readonly #code = make("pre", { tabindex: 0, named: "Code", class: "dg-code" });
  readonly #copyCode = wide("Copy code", "", "copy");
  readonly #shownCode = make("div", { hidden: true }, this.#code, this.#copyCode);

  constructor(exports: Exports, close: () => void) {
    const list = make("div");
    for (const [kind, picture, label, words] of ROWS) list.append(this.#row(kind, picture, label, words, exports));
    this.element.append(
      make("header", {}, make("strong", {}, "Results"), this.#close),
      list,
      make("div", "dg-row", make("label", "dg-field", this.#handles, "Films with handles and targets")),
      this.#shownCode,
    );
    markMore(this.element);
    on(this.#close, "click", close);
    on(this.#copyCode, "click", () => void exports.copyCode(this.#code.textContent ?? ""));
  }

  show({ card, live, jobs, connected, newest, state }: ViewState, picture: boolean): void {
    const opened = this.element.hidden && card === "results";
    this.element.hidden = card !== "results";
    for (const [kind, { button }] of this.#buttons) {
      const busy = jobs.some(({ what }) => what === kind);
      button.hidden = kind === "photo" && !state?.photo;
      const film = kind === "gif" || kind === "mp4";
      const packed = kind !== "mp4" || state?.mp4 !== false;
      setOff(button, kind === "copy" ? !picture : !live || busy || !packed || (film && newest === 0));
    }
    const mp4 = this.#buttons.get("mp4");
    if (mp4) say(mp4.words, state?.mp4 === false ? NO_MP4 : MP4);
    if (!connected) this.#shownCode.hidden = true;
    if (opened) this.#close.focus({ preventScroll: true });
  }

  /** The code, to be read and copied. */
  showCode(text: string): void {
    this.#code.textContent = text;
    this.#shownCode.hidden = text === "";
    this.#code.focus({ preventScroll: true });
    this.#shownCode.scrollIntoView({ block: "nearest" });
  }

  #row(kind: Kind | "copy", picture: Icon, label: string, words: string, exports: Exports): HTMLElement {
    const about = make("small", {}, words);
    const row = make(
      "button",
      { type: "button", class: "dg-result", named: label },
      icon(picture),
      make("span", {}, make("b", {}, label), about),
    );
    on(row, "click", () => {
      if (isOff(row)) return;
      if (kind === "copy") void exports.copyPicture();
      else exports.ask(kind, this.#handles.checked);
    });
    this.#buttons.set(kind, { button: row, words: about });
    return row;
  }
}
