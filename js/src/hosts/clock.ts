/**
 * Calls back before the next repaint, at the latest after a quarter of a second: the frame of an output that is scrolled
 * away (Colab, VS Code) or a hidden tab may get no animation frames, and what waits for one must not wait for ever.
 */
export function nextFrame(callback: () => void): void {
  let done = false;
  const once = () => {
    if (done) return;
    done = true;
    clearTimeout(timer);
    cancelAnimationFrame(request);
    callback();
  };
  const timer = setTimeout(once, 250);
  const request = requestAnimationFrame(once);
}
