/** The anywidget entry: one channel for a model, one view for every time it is shown. */
import type { InitializeProps, RenderProps } from "@anywidget/types";
import { Channel } from "./channel.ts";
import { View } from "./view.ts";

export default {
  initialize({ model, signal }: InitializeProps): () => void {
    const channel = Channel.of(model);
    return once(() => channel.close(), signal);
  },

  render({ model, el, signal }: RenderProps): () => void {
    const view = new View(Channel.of(model));
    el.append(view.element);
    return once(() => view.close(), signal);
  },
};

/** Hosts clean up by signal, by the returned function, or by both. */
function once(close: () => void, signal: AbortSignal | undefined): () => void {
  let closed = false;
  const closeOnce = () => {
    if (closed) return;
    closed = true;
    close();
  };
  signal?.addEventListener("abort", closeOnce);
  return closeOnce;
}
