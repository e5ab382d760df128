/** All settings of the drag, each with a line that says what it does, and a way back to the model's own. */
import { isOff, make, on, put, say, setOff } from "./dom.ts";
import { isList, options, read, written } from "./fields.ts";
import { Pending } from "./pending.ts";
import type { Field, PageMessage, SchemaMessage, StateMessage } from "./protocol.ts";
import { button } from "./toolbar.ts";

interface Row {
  readonly field: Field;
  readonly element: HTMLElement;
  readonly control: HTMLInputElement | HTMLSelectElement;
  readonly reset: HTMLButtonElement;
  /** What is wrong with what was typed, at its field. */
  readonly wrong: HTMLElement;
  /** What the setting does. */
  readonly help: HTMLElement;
  /** What was sent, as text. */
  readonly sent: Pending<string>;
}

export class Drawer {
  readonly element = make("div", { class: "dg-drawer", role: "group", named: "All settings", hidden: true });
  readonly #main = make("div", "dg-settings");
  readonly #advanced = make("div", "dg-settings");
  readonly #more = make("details", { hidden: true }, make("summary", {}, "More settings"), this.#advanced);
  readonly #send: (message: PageMessage) => void;
  #rows: readonly Row[] = [];
  /** What the person is in the middle of changing is theirs until they are done. */
  #typing: Row | null = null;
  #state: StateMessage | null = null;
  #open = false;

  constructor(send: (message: PageMessage) => void) {
    this.#send = send;
    this.element.append(this.#main, this.#more);
  }

  /** What settings there are. Only the fields that differ are made anew: somebody may be in one of the others. */
  receive({ fields }: SchemaMessage): void {
    const before = new Map(this.#rows.map((row) => [madeOf(row.field), row]));
    this.#rows = fields.map((field) => {
      const row = before.get(madeOf(field)) ?? this.#make(field);
      say(row.help, field.help);
      return row;
    });
    if (this.#typing && !this.#rows.includes(this.#typing)) this.#typing = null;
    for (const advanced of [false, true]) {
      const rows = this.#rows.filter(({ field }) => field.advanced === advanced);
      replace(
        advanced ? this.#advanced : this.#main,
        rows.map(({ element }) => element),
      );
    }
    this.#more.hidden = this.#advanced.childElementCount === 0;
    this.show(this.#open, this.#state);
  }

  show(open: boolean, state: StateMessage | null): void {
    // An engine may have been added since it was open last.
    if (open && !this.#open) this.#send({ type: "schema" });
    this.#open = open;
    this.element.hidden = !open;
    this.#state = state;
    if (!state || !open) return;
    for (const row of this.#rows) {
      const { field, control, reset } = row;
      if (control instanceof HTMLSelectElement) fill(control, options(field, state.settings, state.defaults));
      const now = written(field, state.settings);
      row.sent.hears((text) => text === now);
      const text = row.sent.value ?? now;
      if (this.#typing !== row && row.wrong.hidden && control.value !== text) control.value = text;
      const own = written(field, state.defaults);
      setOff(reset, text === own && this.#typing !== row && !control.hasAttribute("aria-invalid"));
      const back = own === "" ? (field.none ?? "") : shownAs(row, own);
      put(reset, "title", `Back to the model's own: ${back}`);
    }
  }

  /** What was typed or chosen here holds no longer, only the kernel's next word does. */
  believe(): void {
    if (this.#typing) this.#done(this.#typing);
    for (const row of this.#rows) row.sent.forget();
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
    const about = { named: field.label, "aria-describedby": `${id} ${id}-wrong` };
    const control = isList(field)
      ? make("select", { class: "dg-box dg-list", ...about })
      : make("input", {
          class: "dg-box dg-number",
          type: "number",
          min: field.least,
          max: field.most ?? false,
          step: field.kind === "number" ? "any" : 1,
          placeholder: field.none ?? "",
          ...about,
        });
    const reset = button(`Reset ${field.label}`, "reset", "Back to the model's own");
    const wrong = make("strong", { id: `${id}-wrong`, role: "alert", class: "dg-wrong", hidden: true });
    const help = make("small", { id });
    const element = make(
      "div",
      "dg-setting",
      make("span", { "aria-hidden": "true", class: "dg-name" }, field.label),
      make("span", "dg-field", control, reset),
      wrong,
      help,
    );
    const row = { field, element, control, reset, wrong, help, sent: new Pending<string>() };
    on(control, "change", () => this.#take(row));
    on(control, "input", () => {
      this.#typing = row;
      // What is being typed may be on its way to something right; what was wrong and is right now is so at once.
      if (!wrong.hidden) this.#check(row);
    });
    on(control, "blur", () => {
      if (this.#typing === row && wrong.hidden) this.#done(row);
    });
    on(reset, "click", () => isOff(reset) || this.#reset(row));
    return row;
  }

  /** The value that stands in a field, or undefined with the reason beside it. */
  #check(row: Row): ReturnType<typeof read> | undefined {
    if (!this.#state) return undefined;
    const { control, field, wrong } = row;
    // For a text that is no number a browser gives none at all, which is not what stands there.
    const garbled = control instanceof HTMLInputElement && control.validity.badInput;
    const value = read(field, garbled ? "?" : control.value, this.#state.defaults);
    say(wrong, "wrong" in value ? value.wrong : "");
    wrong.hidden = !("wrong" in value);
    if ("wrong" in value) control.setAttribute("aria-invalid", "true");
    else control.removeAttribute("aria-invalid");
    return value;
  }

  #take(row: Row): void {
    const value = this.#check(row);
    if (!value) return;
    if ("wrong" in value) {
      this.#typing = row;
      this.show(this.#open, this.#state);
      row.wrong.scrollIntoView({ block: "nearest" });
      return;
    }
    this.#done(row);
    row.sent.expect(row.control.value);
    this.#send({ type: "settings", values: { [row.field.name]: value.value } });
    this.show(true, this.#state);
  }

  #reset(row: Row): void {
    this.#done(row);
    if (!this.#state) return;
    row.sent.expect(written(row.field, this.#state.defaults));
    this.#send({ type: "settings", values: { [row.field.name]: null } });
    this.show(true, this.#state);
  }

  #done(row: Row): void {
    if (this.#typing === row) this.#typing = null;
    row.control.removeAttribute("aria-invalid");
    row.wrong.hidden = true;
    say(row.wrong, "");
  }
}

/** All of a field but its help, which may change while somebody is in it: that of the engine does with the engine. */
function madeOf(field: Field): string {
  return JSON.stringify({ ...field, help: 0 });
}

/** Gives a box other children; those that stay are not touched, for what is taken out loses the focus. */
function replace(box: HTMLElement, wanted: readonly HTMLElement[]): void {
  for (const each of [...box.children]) if (!wanted.includes(each as HTMLElement)) each.remove();
  wanted.forEach((each, at) => {
    if (box.children[at] !== each) box.insertBefore(each, box.children[at] ?? null);
  });
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
