/** Colab, VS Code: their frames may not fill the screen, so the widget fills as much as the page itself has. */
export class FullScreen {
  readonly #element: HTMLElement;
  readonly #changed: (on: boolean) => void;
  readonly #refused: () => void;

  /** `refused` is called where the page was filled instead of the screen. */
  constructor(element: HTMLElement, changed: (on: boolean) => void, refused: () => void, signal: AbortSignal) {
    this.#element = element;
    this.#changed = changed;
    this.#refused = refused;
    element.addEventListener("fullscreenchange", () => this.#show(), { signal });
  }

  async toggle(): Promise<void> {
    const element = this.#element;
    if (element.matches(":fullscreen")) {
      await document.exitFullscreen();
      return;
    }
    if (element.popover) {
      element.popover = null;
      this.#show();
      return;
    }
    // The room that it leaves is kept, or what stands below it would move, and the page with it.
    this.#keepRoom(`${element.offsetHeight}px`);
    try {
      await element.requestFullscreen();
    } catch {
      // A popover is above everything, whatever the host does with the elements around this one.
      element.popover = "manual";
      element.showPopover();
      this.#show();
      this.#refused();
    }
  }

  #show(): void {
    const on = this.#element.matches(":fullscreen, :popover-open");
    if (!on) this.#keepRoom("");
    this.#changed(on);
  }

  #keepRoom(height: string): void {
    if (this.#element.parentElement) this.#element.parentElement.style.minHeight = height;
  }
}
