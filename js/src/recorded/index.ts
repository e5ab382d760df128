/** The demo page: the widget as it is in a notebook, before a kernel that plays back a recording. */
import { RecordedKernel, type Recording } from "./kernel.ts";

/**
 * Shows a recording in an element. `widget` is what the widget's own bundle exports.
 *
 * Returns what takes it away again.
 */
export function show(widget: Widget, recording: Recording, element: HTMLElement): () => void {
  const listeners = new Set<(message: unknown, buffers: readonly DataView[]) => void>();
  const kernel = new RecordedKernel(recording, (message, buffers) => {
    const views = buffers.map(({ buffer, byteOffset, byteLength }) => new DataView(buffer, byteOffset, byteLength));
    for (const hear of listeners) hear(structuredClone(message), views);
  });
  const model = {
    get: () => undefined,
    set: () => undefined,
    save_changes: () => undefined,
    on: (name: string, hear: () => void) => name === "msg:custom" && listeners.add(hear),
    off: (_name: string, hear: () => void) => listeners.delete(hear),
    // An answer never comes before the question was asked to its end.
    send: (message: never) => queueMicrotask(() => kernel.hear(message)),
  };
  const { signal } = new AbortController();
  widget.initialize({ model, signal });
  const close = widget.render({ model, el: element, signal });
  return () => {
    kernel.close();
    close();
  };
}

/** Tells the page's theme in a way that the widget knows; what is neither "light" nor "dark" is the system's. */
export function tell(theme: string | undefined): void {
  const root = document.documentElement;
  if (theme === "light" || theme === "dark") root.setAttribute("theme", theme);
  else root.removeAttribute("theme");
}

interface Widget {
  initialize(props: { model: object; signal: AbortSignal }): () => void;
  render(props: { model: object; el: HTMLElement; signal: AbortSignal }): () => void;
}
