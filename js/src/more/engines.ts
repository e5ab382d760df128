/** The engines there are, each with a line on it, and the same pull by several of them side by side. */
import type { PanelHost } from "../panels.ts";
import { isOff, make, on, put, putStyle, say, setOff, wide } from "../shared.ts";
import type { ViewState } from "../viewstate.ts";
import { Fold } from "./fold.ts";
import { outcome } from "./outcome.ts";
import { closing, draw } from "./teaching.ts";
import type { Told } from "./told.ts";

const HOW = "The same points and mask by each engine, from the picture before the edit, which goes on meanwhile.";
const NO_POINTS = "There is no pull to compare yet: press on the picture and pull.";

interface Row {
  readonly name: string;
  readonly box: HTMLInputElement;
  readonly use: HTMLButtonElement;
  readonly refused: boolean;
}

interface Tile {
  readonly element: HTMLElement;
  readonly canvas: HTMLCanvasElement;
  readonly words: HTMLElement;
  readonly go: HTMLButtonElement;
  readonly cancel: HTMLButtonElement;
  told: Told["compared"] | null;
}

export class Engines {
  readonly element: HTMLElement;
  readonly #host: PanelHost;
  readonly #list = make("div", { role: "group", named: "Engines to compare" });
  readonly #fold = new Fold("Which engines", this.#list, true);
  readonly #compare = wide("Compare", "The pull by each engine that is chosen", "play");
  readonly #cancel = wide("Cancel all", "End the comparison; what has come stays");
  readonly #said = make("p", { class: "dg-said", role: "status" });
  readonly #box = make("div", "dg-tiles");
  #rows: readonly Row[] = [];
  #tiles = new Map<string, Tile>();
  #round = 0;
  #model = "";

  constructor(host: PanelHost) {
    this.#host = host;
    const close = closing("Compare engines", host);
    this.element = make(
      "section",
      { role: "group", named: "Engines", hidden: true },
      make("div", "dg-panel-head", make("strong", {}, "Engines"), this.#compare, this.#cancel, close),
      make("p", {}, HOW),
      this.#said,
      this.#fold.head,
      this.#list,
      this.#box,
    );
    on(this.#compare, "click", () => isOff(this.#compare) || this.#begin());
    on(this.#cancel, "click", () => isOff(this.#cancel) || this.#end());
  }

  show(view: ViewState): void {
    const open = view.drawer === "engines";
    const opened = open && this.element.hidden;
    this.element.hidden = !open;
    const { state, live } = view;
    if (!open || !state) return;
    const { engine } = state.settings;
    if (live && (opened || state.generator !== this.#model)) {
      this.#model = state.generator;
      this.#host.send({ type: "engines" });
    }
    for (const { name, use, refused } of this.#rows) {
      const present = name === engine;
      say(use, present ? "In use" : "Use");
      put(use, "aria-pressed", String(present));
      setOff(use, present || refused || !live);
    }
    const points = view.points.shown().length > 0;
    const chosen = this.#rows.filter(({ box }) => box.checked).length;
    setOff(this.#compare, !live || !points || chosen === 0);
    this.#fold.about(this.#rows.length > 0 ? `${chosen} of ${this.#rows.length}` : "");
    if (!points) this.#tell(NO_POINTS);
    else if (this.#said.textContent === NO_POINTS) this.#tell("");
    this.#progress(view);
  }

  engines({ engines, present }: Told["engines"]): void {
    const made = JSON.stringify(engines);
    if (this.#list.dataset.made !== made) {
      this.#list.dataset.made = made;
      const rows = engines.map((each) => this.#row(each, each.name === present));
      this.#rows = rows.map(({ row }) => row);
      this.#list.replaceChildren(...rows.map(({ element }) => element));
    }
    this.show(this.#host.view);
  }

  refused({ why }: Told["refused"]): void {
    this.#tell(why, true);
  }

  /** A comparison begins: in this view or another. */
  round({ engines }: Told["round"]): void {
    this.#tiles = new Map(engines.map((name) => [name, this.#tile(name)]));
    this.#box.replaceChildren(...[...this.#tiles.values()].map(({ element }) => element));
    this.#tell("");
    this.#fold.set(engines.length === 0); // what it is about is what comes of them
    this.show(this.#host.view);
  }

  async compared(told: Told["compared"], data: ArrayBufferView | undefined): Promise<void> {
    if (told.round < this.#round) return;
    this.#round = told.round;
    let tile = this.#tiles.get(told.engine);
    if (!tile) {
      tile = this.#tile(told.engine);
      this.#tiles.set(told.engine, tile);
      this.#box.append(tile.element);
    }
    const ended =
      tile.told !== null && tile.told.status !== told.status && ["done", "failed", "cancelled"].includes(told.status);
    tile.told = told;
    tile.element.dataset.status = told.status;
    const words = outcome(told);
    say(tile.words, words);
    if (ended) this.#tell(`${told.engine}: ${words}`);
    this.show(this.#host.view);
    await draw(tile.canvas, data);
  }

  #begin(): void {
    const engines = this.#rows.filter(({ box }) => box.checked).map(({ name }) => name);
    this.#host.send({ type: "compare", engines });
  }

  /** Those that are waited for, and nothing else that goes on. */
  #end(): void {
    for (const job of this.#host.view.jobs)
      if (job.what === "compare" && job.id) this.#host.send({ type: "cancel", id: job.id });
  }

  #progress(view: ViewState): void {
    const { live, state } = view;
    const jobs = new Map((state?.jobs ?? []).filter(({ what }) => what === "compare").map((job) => [job.name, job]));
    setOff(this.#cancel, !live || jobs.size === 0);
    putStyle(this.#box, "--dg-shape", String((state?.width ?? 1) / (state?.height ?? 1)));
    for (const [name, { element, go, cancel, told }] of this.#tiles) {
      const job = jobs.get(name);
      if (job) putStyle(element, "--dg-done", String(job.progress ?? 0));
      const over = told !== null && told.status !== "waits" && told.status !== "runs";
      go.hidden = !over || told.step === 0;
      setOff(go, !live);
      cancel.hidden = over;
      setOff(cancel, !live || !job);
    }
  }

  #row({ name, help, refusal }: Told["engines"]["engines"][number], present: boolean) {
    const id = `dg-${Math.random().toString(36).slice(2)}`;
    const refused = refusal !== "";
    const box = make("input", { type: "checkbox", id, named: `Compare ${name}`, disabled: refused });
    box.checked = !refused;
    const use = make("button", {
      type: "button",
      class: "dg-button dg-wide",
      named: `Use ${name}`,
      title: `Pull with ${name} from now on`,
    });
    const element = make(
      "div",
      { class: "dg-engine", "data-refused": refused },
      box,
      make("label", { for: id }, make("b", {}, name), make("small", {}, refusal || `${help}.`)),
      use,
    );
    on(box, "change", () => this.show(this.#host.view));
    on(use, "click", () => isOff(use) || this.#host.send({ type: "settings", values: { engine: name } }));
    return { row: { name, box, use, refused, present }, element };
  }

  #tile(name: string): Tile {
    const canvas = make("canvas", { role: "img", named: `What ${name} makes of it` });
    const words = make("small", {}, "Waits for its turn");
    const go = wide("Go on from this", "Take this picture and this engine; Undo leads back");
    put(go, "aria-label", `Go on from ${name}`);
    const cancel = wide("Cancel", "End this one; the others go on");
    put(cancel, "aria-label", `Cancel ${name}`);
    const element = make(
      "figure",
      "dg-tile",
      canvas,
      make("b", { title: name }, name),
      words,
      make("i", "dg-done"),
      go,
      cancel,
    );
    on(go, "click", () => isOff(go) || this.#host.send({ type: "take", engine: name }));
    on(cancel, "click", () => {
      const job = this.#host.view.jobs.find((each) => each.what === "compare" && each.name === name);
      if (job && !isOff(cancel)) this.#host.send({ type: "cancel", id: job.id });
    });
    return { element, canvas, words, go, cancel, told: null };
  }

  #tell(text: string, bad = false): void {
    say(this.#said, text);
    this.#said.toggleAttribute("data-bad", bad);
  }
}
