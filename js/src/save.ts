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

/** Puts text on the clipboard; false where the browser does not let it. */
export async function copyText(text: string, within: HTMLElement): Promise<boolean> {
  try {
    await navigator.clipboard.writeText(text);
    return true;
  } catch {
    // Without a secure connection there is no clipboard but this one.
    const area = make("textarea", { class: "dg-spoken", "aria-hidden": "true", tabindex: -1 });
    area.value = text;
    const focused = document.activeElement;
    within.append(area);
    area.select();
    const done = document.execCommand("copy");
    area.remove();
    if (focused instanceof HTMLElement) focused.focus({ preventScroll: true });
    return done;
  }
}

/** Puts a picture on the clipboard; false where the browser does not let it. */
export async function copyPicture(picture: Promise<Blob | null>): Promise<boolean> {
  try {
    // The promise itself: some browsers take only what is given in the moment of the press.
    const png = picture.then((blob) => blob ?? Promise.reject(new Error("no picture")));
    await navigator.clipboard.write([new ClipboardItem({ "image/png": png })]);
    return true;
  } catch {
    return false;
  }
}
