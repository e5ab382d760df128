/** Hosts have themes, and switch them by an attribute of the page: colours that a canvas was drawn with are read anew. */

/** Calls `changed` when the host's theme may have changed. Their colours themselves are variables in `themes.css`. */
export function watchTheme(changed: () => void, signal: AbortSignal): void {
  const observer = new MutationObserver(changed);
  for (const element of [document.documentElement, document.body]) observer.observe(element, { attributes: true });
  signal.addEventListener("abort", () => observer.disconnect());
}
