/**
 * Calls back before the next repaint, at the latest after a quarter of a second: an output that is scrolled away or in
 * another tab may get no animation frames at all, and what waits for one must not wait for ever.
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
