/**
 * How much room a host gives: the width of what the widget stands in, and the height that is seen at once. JupyterLab
 * scrolls a part of its page, Colab and VS Code make a frame as high as what is in it.
 */
import type { Size } from "../zoom.ts";

/** A part of the page that scrolls and is lower than this part of the window is not what a person looks at it through. */
const PART = 0.5;

export class Space {
  #size: Size = { width: 534, height: 900 };
  readonly #element: HTMLElement;
  readonly #changed: () => void;
  readonly #observer = new ResizeObserver(() => this.#measure());
  readonly #watched = new Set<Element>();

  /** `changed` is called whenever there is more or less of it; the first time once the element stands in the page. */
  constructor(element: HTMLElement, changed: () => void, signal: AbortSignal) {
    this.#element = element;
    this.#changed = changed;
    this.#watch([element]);
    window.addEventListener("resize", () => this.#measure(), { signal });
    signal.addEventListener("abort", () => this.#observer.disconnect());
  }

  /** In css pixels of the widget, which a page that is scaled shows larger or smaller. */
  get size(): Size {
    return this.#size;
  }

  #measure(): void {
    const element = this.#element;
    if (!element.isConnected || element.offsetWidth === 0) return;
    const around = ancestors(element);
    const parent = around.find((each) => each.clientWidth > 0);
    // In a frame of its own, the host may make that as high as what is in it.
    const framed = window.parent !== window;
    const scroller = framed ? undefined : around.filter(scrolls).at(-1);
    this.#watch([element, parent, scroller].filter((each) => each !== undefined));
    const scale = element.getBoundingClientRect().width / element.offsetWidth;
    const seen = framed ? window.screen.availHeight : (scroller?.getBoundingClientRect().height ?? window.innerHeight);
    const size = {
      width: parent ? inner(parent) : element.offsetWidth,
      height: Math.min(seen, framed ? seen : window.innerHeight) / scale,
    };
    if (size.width === this.#size.width && size.height === this.#size.height) return;
    this.#size = size;
    this.#changed();
  }

  #watch(wanted: readonly Element[]): void {
    for (const element of this.#watched) {
      if (wanted.includes(element)) continue;
      this.#observer.unobserve(element);
      this.#watched.delete(element);
    }
    for (const element of wanted) {
      if (this.#watched.has(element)) continue;
      this.#watched.add(element);
      this.#observer.observe(element);
    }
  }
}

/** The elements around one, the nearest first, out of shadow roots too. */
function ancestors(element: Element): Element[] {
  const found: Element[] = [];
  for (let node = element.parentNode; node; node = node instanceof ShadowRoot ? node.host : node.parentNode) {
    if (node instanceof HTMLElement && node !== document.documentElement) found.push(node);
  }
  return found;
}

function scrolls(element: Element): boolean {
  const high = element.clientHeight >= PART * window.innerHeight && element.clientHeight <= window.innerHeight;
  return high && element !== document.body && /auto|scroll/.test(getComputedStyle(element).overflowY);
}

/** The width of what may stand in an element. */
function inner(element: Element): number {
  const { paddingLeft, paddingRight } = getComputedStyle(element);
  return element.clientWidth - (Number.parseFloat(paddingLeft) || 0) - (Number.parseFloat(paddingRight) || 0);
}
