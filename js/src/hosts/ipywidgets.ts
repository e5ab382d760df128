/** ipywidgets (JupyterLab, Notebook 7) tells its views when a kernel was started again; other hosts tell nobody. */
import type { AnyModel } from "@anywidget/types";

/** Calls `gone` when the kernel that this model knew is no more; returns how to stop hearing of it. */
export function onReplaced(model: AnyModel, gone: () => void): () => void {
  model.on("comm_live_update", gone);
  return () => model.off("comm_live_update", gone);
}
