/**
 * A photograph's way to the kernel: chosen, dropped on the picture or pasted, it is read here and sent in parts, each
 * when the one before has arrived. It goes nowhere else, and nothing is fetched.
 */
import { make, on } from "./dom.ts";
import type { PageMessage } from "./protocol.ts";
import { NOT_FETCHED, tooLarge, UNREADABLE } from "./status.ts";
import type { ViewState } from "./viewstate.ts";

/** Bytes of the largest, and of a part: hosts refuse messages of some 10 MB, as others do far smaller ones. */
const MOST = 1e8;
const PART = 1 << 20;

export interface PhotoHost {
  readonly view: ViewState;
  /** The view as the kernel knows it. */
  readonly name: string;
  post(message: PageMessage, buffers: readonly ArrayBufferView[]): void;
  aside(text: string, milliseconds: number): void;
  update(): void;
}

export class PhotoOpener {
  readonly input = make("input", { type: "file", accept: "image/*", hidden: true, named: "Photo file" });
  readonly #host: PhotoHost;
  #file: File | null = null;

  /** Files may be dropped on `target`, and pasted anywhere in `root`. */
  constructor(host: PhotoHost, target: HTMLElement) {
    this.#host = host;
    on(this.input, "change", () => {
      this.#open(this.input.files?.[0]);
      this.input.value = ""; // the same file may be chosen again, changed
    });
    const over = (yes: boolean) => (event: Event) => {
      event.preventDefault();
      target.toggleAttribute("data-over", yes);
    };
    on(target, "dragover", over(true));
    on(target, "dragleave", over(false));
    on(target, "drop", (event) => {
      over(false)(event);
      event.stopPropagation();
      this.#take((event as DragEvent).dataTransfer);
    });
  }

  /** Something was pasted. */
  paste(event: ClipboardEvent): void {
    if (event.target instanceof HTMLInputElement && !event.clipboardData?.files.length) return;
    if (!this.#take(event.clipboardData)) return;
    event.preventDefault();
    event.stopPropagation();
  }

  /** The kernel has all up to byte `at`, or wants no more (-1). */
  receive(view: string, at: number): void {
    const file = this.#file;
    if (view !== this.#host.name || !file) return;
    if (at < 0 || at >= file.size) this.forget();
    else void this.#send(file, at);
  }

  forget(): void {
    this.#file = this.#host.view.uploading = null;
    this.#host.update();
  }

  /** Whether there was anything in it that means something here. */
  #take(data: DataTransfer | null): boolean {
    const file = data?.files[0];
    if (file) this.#open(file);
    else if (/^\s*\w{2,}:/.test(data?.getData("text") ?? "")) this.#host.aside(NOT_FETCHED, 8000);
    else return false;
    return true;
  }

  #open(file: File | undefined): void {
    const { view, aside } = this.#host;
    if (!file || !view.live) return;
    if (file.size > MOST) aside(tooLarge(file.size), 8000);
    else void this.#send(file, 0);
  }

  async #send(file: File, at: number): Promise<void> {
    const { view, name, post, aside, update } = this.#host;
    if (at === 0) this.#file = file;
    const part = await file
      .slice(at, at + PART)
      .arrayBuffer()
      .catch(() => null);
    if (file !== this.#file) return;
    if (part?.byteLength) {
      view.uploading = { name: file.name, share: at / file.size };
      post({ type: "photo", view: name, name: file.name, size: file.size, at }, [new Uint8Array(part)]);
      update();
    } else {
      this.forget();
      aside(UNREADABLE, 8000);
    }
  }
}
