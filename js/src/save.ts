/** A picture's way out of the page. */
import { make } from "./dom.ts";
import type { Format } from "./protocol.ts";

/** Made of the view, not of its `.buffer`: hosts hand out views into something bigger. */
export function blobOf(data: ArrayBufferView, format: Format): Blob {
  return new Blob([data as ArrayBufferView<ArrayBuffer>], { type: `image/${format}` });
}

/** The link has to stand in the page: some notebooks only notice clicks that pass through theirs. */
export function download(blob: Blob, name: string, within: HTMLElement): void {
  const url = URL.createObjectURL(blob);
  const link = make("a", { href: url, download: name, hidden: true });
  within.append(link);
  link.click();
  link.remove();
  setTimeout(() => URL.revokeObjectURL(url), 10_000);
}
