/** The picture from before the edit: asked for when somebody wants to see it, and shown when it is there. */
import type { BeforeMessage, PageMessage } from "./protocol.ts";
import { blobOf } from "./save.ts";
import type { Stage } from "./stage.ts";
import type { ViewState } from "./viewstate.ts";

export class BeforePicture {
  readonly #view: ViewState;
  readonly #stage: Stage;
  readonly #send: (message: PageMessage) => void;
  /** Whether it is there. */
  #there = false;
  /** The edit of which it was asked for last. */
  #asked: number | null = null;

  constructor(view: ViewState, stage: Stage, send: (message: PageMessage) => void) {
    this.#view = view;
    this.#stage = stage;
    this.#send = send;
  }

  async receive(size: BeforeMessage, data: ArrayBufferView): Promise<void> {
    const picture = await createImageBitmap(blobOf(data, size.format)).catch(() => null);
    if (!picture) return;
    // An answer that was long on its way may be of another picture.
    if (size.edit === this.#view.state?.edit) {
      this.#stage.drawBefore(picture, size);
      this.#there = true;
    }
    picture.close();
  }

  forget(): void {
    this.#there = false;
    this.#asked = null;
  }

  show(): void {
    const { comparing, peeking, split, live, state } = this.#view;
    if (comparing && live && state && this.#asked !== state.edit) {
      this.#asked = state.edit;
      this.#send({ type: "before" });
    }
    if (!comparing) this.forget(); // by the next time it may be another one
    this.#stage.compare(comparing && this.#there ? (peeking ? 1 : split) : null);
  }
}
