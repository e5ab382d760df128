/** All settings of the drag, each with a line that says what it does, and a way back to the generator's own. */
import { isOff, make, on, setOff } from "./dom.ts";
import { FIELDS, type Field, options, read, written } from "./fields.ts";
import type { PageMessage, StateMessage, Settings as Values } from "./protocol.ts";
import { button } from "./toolbar.ts";

/** After this the kernel is believed, even if it says something else than what was chosen. */
const PATIENCE = 3000;

interface Row {
  readonly field: Field;
  readonly control: HTMLInputElement | HTMLSelectElement;
  readonly reset: HTMLButtonElement;
}

export interface DrawerHost {
  send(message: PageMessage): void;
  hint(text: string): void;
}

export class Drawer {
  readonly element = make("div", { class: "dg-drawer", role: "group", "aria-label": "All settings", hidden: true });
  readonly #rows: readonly Row[];
  readonly #host: DrawerHost;
  /** What the person is in the middle of changing is theirs until they are done. */
  #typing: Row | null = null;
  readonly #wanted = new Map<keyof Values, { text: string; at: number }>();
  #state: StateMessage | null = null;

  constructor(host: DrawerHost) {
    this.#host = host;
    this.#rows = FIELDS.map((field) => this.#make(field));
  }

  show(open: boolean, state: StateMessage | null): void {
    this.element.hidden = !open;
    this.#state = state;
    if (!state || !open) return;
    for (const row of this.#rows) {
      const { field, control, reset } = row;
      if (control instanceof HTMLSelectElement) fill(control, options(field, state));
      else if (field.kind === "whole" && field.name === "edit_layers") control.max = String(state.limits.num_ws);
      const now = written(field, state.settings);
      const wanted = this.#wanted.get(field.name);
      if (wanted && (wanted.text === now || Date.now() - wanted.at > PATIENCE)) this.#wanted.delete(field.name);
      const text = this.#wanted.get(field.name)?.text ?? now;
      if (this.#typing !== row && control.value !== text) control.value = text;
      const own = written(field, state.defaults);
      setOff(reset, text === own);
      reset.title = own === "" ? "Back to the generator's own" : `Back to the generator's own, ${shownAs(row, own)}`;
    }
  }

  /** What was typed or chosen here holds no longer, only the kernel's next word does. */
  believe(): void {
    if (this.#typing) this.#done(this.#typing);
    this.#wanted.clear();
    this.show(!this.element.hidden, this.#state);
  }

  /** A key in one of the controls. */
  typed(event: KeyboardEvent): void {
    const row = this.#rows.find(({ control }) => control === event.composedPath()[0]);
    if (!row || event.key !== "Escape") return;
    this.#done(row);
    this.show(true, this.#state);
  }

  #make(field: Field): Row {
    const id = `dg-${field.name}-${Math.random().toString(36).slice(2)}`;
    const about = { "aria-label": field.label, "aria-describedby": id };
    const control =
      field.kind === "choice"
        ? make("select", { class: "dg-box dg-list", ...about })
        : make("input", {
            class: "dg-box dg-number",
            type: "number",
            min: field.least,
            step: field.kind === "whole" ? 1 : "any",
            placeholder: field.empty ?? "",
            ...about,
          });
    const reset = button(`Reset ${field.label}`, "reset", "Back to the generator's own");
    const row = { field, control, reset };
    on(control, "change", () => this.#take(row));
    on(control, "input", () => {
      this.#typing = row;
      control.removeAttribute("aria-invalid");
    });
    on(control, "blur", () => {
      if (this.#typing === row && !control.hasAttribute("aria-invalid")) this.#done(row);
    });
    on(reset, "click", () => isOff(reset) || this.#reset(row));
    this.element.append(
      make(
        "div",
        { class: "dg-setting" },
        make("span", { "aria-hidden": "true", class: "dg-name" }, field.label),
        make("span", { class: "dg-field" }, control, reset),
        make("small", { id }, field.words),
      ),
    );
    return row;
  }

  #take(row: Row): void {
    const { field, control } = row;
    const value = this.#state && read(field, control.value, this.#state);
    if (!value) return;
    if ("wrong" in value) {
      control.setAttribute("aria-invalid", "true");
      this.#host.hint(value.wrong);
      return;
    }
    this.#done(row);
    this.#wanted.set(field.name, { text: control.value, at: Date.now() });
    this.#host.send({ type: "settings", values: { [field.name]: value.value } });
    this.show(true, this.#state);
  }

  #reset(row: Row): void {
    this.#done(row);
    if (!this.#state) return;
    this.#wanted.set(row.field.name, { text: written(row.field, this.#state.defaults), at: Date.now() });
    this.#host.send({ type: "settings", values: { [row.field.name]: null } });
    this.show(true, this.#state);
  }

  #done(row: Row): void {
    this.#typing = null;
    row.control.removeAttribute("aria-invalid");
  }
}

/** Made anew only where they differ: the list may be open. */
function fill(list: HTMLSelectElement, wanted: readonly (readonly [string, string])[]): void {
  const made = JSON.stringify(wanted);
  if (list.dataset.made === made) return;
  list.dataset.made = made;
  list.replaceChildren(...wanted.map(([value, text]) => make("option", { value }, text)));
}

function shownAs({ control }: Row, value: string): string {
  if (!(control instanceof HTMLSelectElement)) return value;
  return [...control.options].find((option) => option.value === value)?.text ?? value;
}
