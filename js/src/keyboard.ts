/**
 * Key presses inside the widget, before anybody else sees them. Notebooks listen in the capture phase of the document,
 * so that stopping an event where it happened would be too late: this listens at the window.
 */
import { type Focus, type Meaning, meaning, type Way } from "./keys.ts";

export interface KeyHost {
  focusOf(target: EventTarget | undefined): Focus;
  /** Does what the key means; false where it means nothing just now, and the notebook may have it. */
  handle(meaning: Meaning): boolean;
  /** A key that means something for as long as it is held goes down or up; `lost` where its end was not seen. */
  hold(meaning: Meaning, down: boolean, lost: boolean): void;
  /** From one of many buttons that are one stop of the Tab key to another. */
  go(way: Way): void;
  /** A key in an input, which hears nothing of it otherwise. */
  typed(event: KeyboardEvent): void;
  /** Escape cancels a gesture wherever the focus is. */
  busy(): boolean;
  /** The widget is all that is seen, and every key is meant for it. */
  full(): boolean;
}

export function listenToKeys(root: HTMLElement, host: KeyHost, signal: AbortSignal): void {
  let held: { code: string; meaning: Meaning } | null = null;
  const release = (lost: boolean) => {
    const was = held;
    held = null;
    if (was) host.hold(was.meaning, false, lost);
  };
  const keep = (event: KeyboardEvent) => {
    event.stopPropagation();
    event.preventDefault();
  };
  const down = (event: KeyboardEvent) => {
    if (event.isComposing) return;
    const path = event.composedPath(); // through shadow roots, behind which some notebooks keep their outputs
    const inside = path.includes(root);
    const escapes = host.busy() && event.key === "Escape";
    if (!inside && !escapes && !host.full()) return;
    const focus = inside && !escapes ? host.focusOf(path[0]) : "picture";
    const found = meaning(event, focus);
    if (!found) return;
    if (found.do === "keep") {
      event.stopPropagation();
      if (focus === "input") host.typed(event);
    } else if (found.do === "run" || found.do === "peek") {
      keep(event);
      if (event.repeat || held) return;
      held = { code: event.code, meaning: found };
      host.hold(found, true, false);
    } else if (found.do === "go") {
      keep(event);
      host.go(found.way);
    } else if (host.handle(found)) {
      keep(event);
    }
  };
  const up = (event: KeyboardEvent) => {
    if (held?.code !== event.code) return;
    keep(event);
    release(false);
  };
  window.addEventListener("keydown", down, { capture: true, signal });
  window.addEventListener("keyup", up, { capture: true, signal });
  window.addEventListener("blur", () => release(true), { signal });
}
