/**
 * Key presses inside the widget, before anybody else sees them. Notebooks listen in the capture phase of the document,
 * so that stopping an event where it happened would be too late: this listens at the window.
 */
import { type Focus, type Meaning, meaning } from "./keys.ts";

export interface KeyHost {
  focusOf(target: EventTarget | undefined): Focus;
  /** Does what the key means; false where it means nothing just now, and the notebook may have it. */
  handle(meaning: Meaning): boolean;
  /** A key in an input, which hears nothing of it otherwise. */
  typed(event: KeyboardEvent): void;
  /** Escape cancels a gesture wherever the focus is. */
  busy(): boolean;
}

export function listenToKeys(root: HTMLElement, host: KeyHost, signal: AbortSignal): void {
  const listen = (event: KeyboardEvent) => {
    if (event.isComposing) return;
    const path = event.composedPath(); // through shadow roots, behind which some notebooks keep their outputs
    if (!path.includes(root) && !(host.busy() && event.key === "Escape")) return;
    const focus = host.focusOf(path[0]);
    const found = meaning(event, host.busy() && event.key === "Escape" ? "picture" : focus);
    if (!found) return;
    if (found.do === "keep") {
      event.stopPropagation();
      if (focus === "input") host.typed(event);
    } else if (host.handle(found)) {
      event.stopPropagation();
      event.preventDefault();
    }
  };
  window.addEventListener("keydown", listen, { capture: true, signal });
}
