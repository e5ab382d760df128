/** A few helpers in place of a framework. */
type Attributes = Readonly<Record<string, string | number | boolean>>;

/** An element with attributes (`true` is the empty attribute, `false` none; `named` is its label, a text the class) and children. */
export function make<K extends keyof HTMLElementTagNameMap>(
  tag: K,
  attributes: Attributes | string = {},
  ...children: (Node | string)[]
): HTMLElementTagNameMap[K] {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(typeof attributes === "string" ? { class: attributes } : attributes)) {
    if (value !== false)
      element.setAttribute(name === "named" ? "aria-label" : name, value === true ? "" : String(value));
  }
  element.append(...children);
  return element;
}

/** Hears an event for as long as the element lives. */
export function on(element: EventTarget, type: string, hear: (event: Event) => void): void {
  element.addEventListener(type, hear);
}

/** Sets a text only where it changes: set again, it is a new node, which the page lays out and paints. */
export function say(element: Element, text: string): void {
  if (element.textContent !== text) element.textContent = text;
}

/** Marks a box that scrolls for as long as there is more of it below what is seen. */
export function markMore(box: HTMLElement): void {
  const look = () => box.toggleAttribute("data-more", box.scrollTop + box.clientHeight < box.scrollHeight - 8);
  on(box, "scroll", look);
  const sizes = new ResizeObserver(look);
  for (const element of [box, ...box.children]) sizes.observe(element);
}

/** Makes the wheel scroll a line sideways, and marks it for as long as there is more of it on a side. */
export function scrollSideways(line: HTMLElement): void {
  const look = () => {
    line.toggleAttribute("data-before", line.scrollLeft > 1);
    line.toggleAttribute("data-after", line.scrollLeft + line.clientWidth < line.scrollWidth - 1);
  };
  on(line, "scroll", look);
  on(line, "wheel", (event) => {
    const { deltaX, deltaY } = event as WheelEvent;
    const before = line.scrollLeft;
    if (Math.abs(deltaY) > Math.abs(deltaX)) line.scrollLeft += deltaY;
    // At its end the page goes on scrolling.
    if (line.scrollLeft !== before) event.preventDefault();
  });
  new ResizeObserver(look).observe(line);
  new MutationObserver(look).observe(line, { childList: true });
}

/** Sets an attribute only where it changes. */
export function put(element: Element, name: string, value: string): void {
  if (element.getAttribute(name) !== value) element.setAttribute(name, value);
}

/** Sets a variable of the style only where it changes. */
export function putStyle(element: HTMLElement, name: string, value: string): void {
  if (element.style.getPropertyValue(name) !== value) element.style.setProperty(name, value);
}

/**
 * Off, but still there for the focus: a disabled button would lose it, and in some notebooks the keyboard with it.
 * Who handles the click asks `isOff`.
 */
export function setOff(element: Element, off: boolean): void {
  if (isOff(element) !== off) element.setAttribute("aria-disabled", String(off));
}

export function isOff(element: Element): boolean {
  return element.getAttribute("aria-disabled") === "true";
}
