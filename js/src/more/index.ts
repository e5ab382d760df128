/** The second bundle: what is opened seldom. The first one loads it when the first of these is opened. */
import type { PanelHost, Panels } from "../panels.ts";
import { make } from "../shared.ts";
import { Attributes } from "./attributes.ts";
import { Engines } from "./engines.ts";
import { Placer } from "./placer.ts";
import style from "./style.css";
import { read, type Told } from "./told.ts";

export default function panels(host: PanelHost): Panels {
  const attributes = new Attributes(host);
  const engines = new Engines(host);
  const placer = new Placer(host);
  const parts = [attributes, engines, placer];
  const hearers: { readonly [Panel in keyof Told]: (told: Told[Panel], buffers: readonly ArrayBufferView[]) => void } =
    {
      attributes: (told) => attributes.attributes(told),
      values: (told) => attributes.values(told),
      prompt: (told) => attributes.prompt(told),
      marks: (told, pictures) => attributes.marks(told, pictures),
      answer: (told) => attributes.answer(told),
      engines: (told) => engines.engines(told),
      round: (told) => engines.round(told),
      refused: (told) => engines.refused(told),
      compared: (told, [picture]) => void engines.compared(told, picture),
    };
  const hear = <P extends keyof Told>(panel: P, message: object, buffers: readonly ArrayBufferView[]) => {
    const told = read(panel, message);
    if (told) hearers[panel](told, buffers);
  };
  return {
    beside: [make("style", {}, style), attributes.element, engines.element],
    over: placer.element,
    show: (view) => {
      for (const part of parts) part.show(view);
    },
    hear: (panel, message, buffers) => hear(panel as keyof Told, message, buffers),
    place: (message, data) => placer.receive(message, data),
    typed: (event) => attributes.typed(event),
  };
}
