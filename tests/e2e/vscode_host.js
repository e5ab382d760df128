// A stand-in for VS Code's notebook on a real kernel. What is like VS Code in it:
// - outputs live in a webview, a frame of another origin that may not fill the screen; what it says to the kernel and
//   is told goes through the host and takes its time, in order;
// - a key that goes down in the webview, and was not stopped on its way up to the window, is told to the host, which
//   runs the command of the notebook that it means, whether or not its default was prevented;
// - keys in a field are commands, too: not every version of it notices that a field has the focus;
// - no subshells: a message waits for the end of a cell that blocks;
// - the theme comes as variables of the document and as a class of the body.
import { Outputs } from "./outputs.js";

/** What keys do to a notebook that is not being written in. */
const COMMANDS = {
  a: "insert above", b: "insert below", d: "delete", c: "copy", x: "cut", v: "paste", m: "to markdown", y: "to code",
  z: "undo", l: "line numbers", o: "hide output", j: "down", k: "up", Enter: "edit", Delete: "delete", " ": "scroll",
  ArrowUp: "up", ArrowDown: "down", Escape: "leave output", "ctrl+ArrowUp": "leave output", "ctrl+Enter": "run",
  "shift+Enter": "run", "ctrl+s": "save", "ctrl+z": "undo", "ctrl+y": "redo", "ctrl+f": "find", F1: "commands",
};

const THEMES = {
  light: { "editor-background": "#ffffff", foreground: "#3b3b3b", "editor-foreground": "#3b3b3b",
    descriptionForeground: "#3b3b3b", "panel-border": "#e5e5e5", "toolbar-hoverBackground": "#b8b8b850",
    "button-background": "#005fb8" },
  dark: { "editor-background": "#1f1f1f", foreground: "#cccccc", "editor-foreground": "#cccccc",
    descriptionForeground: "#9d9d9d", "panel-border": "#2b2b2b", "toolbar-hoverBackground": "#5a5d5e50",
    "button-background": "#0078d4" },
  "high-contrast": { "editor-background": "#000000", foreground: "#ffffff", "editor-foreground": "#ffffff",
    descriptionForeground: "#ffffffb3", "panel-border": "#6fc3df" },
  "high-contrast-light": { "editor-background": "#ffffff", foreground: "#292929", "editor-foreground": "#292929",
    descriptionForeground: "#292929", "panel-border": "#0f4a85", "button-background": "#0f4a85" },
};

class VSCode extends Outputs {
  theme = "light";
  /** Keys that the webview told, and the commands that they were. */
  keys = [];
  ran = [];
  /** Milliseconds that a message takes each way, from and to. */
  delay = [30, 60];
  #due = { in: 0, out: 0 };
  #underWay = { in: [], out: [] };

  constructor() {
    super();
    document.body.innerHTML = '<div id="cell" tabindex="0" style="font: 13px monospace">editor</div>';
  }

  #later(way, act) {
    const [least, most] = this.delay;
    this.#due[way] = Math.max(this.#due[way], performance.now() + least + Math.random() * (most - least));
    this.#underWay[way].push(act);
    setTimeout(() => this.#underWay[way].shift()(), this.#due[way] - performance.now());
  }

  fromFrame(event) {
    const { data, source } = event;
    if (data.born) source.postMessage({ theme: this.theme, styles: THEMES[this.theme] }, "*");
    if (data.key) this.#press(data);
    else this.#later("out", () => super.fromFrame(event));
  }

  #press({ key, ctrl, shift }) {
    if (["Alt", "Control", "Meta", "Shift"].includes(key)) return; // nothing by itself
    const name = `${ctrl ? "ctrl+" : ""}${shift && key.length > 1 ? "shift+" : ""}${key}`;
    this.keys.push(name);
    const command = COMMANDS[name];
    if (command) this.ran.push(command);
    if (command === "leave output") document.querySelector("#cell").focus();
  }

  setTheme(name) {
    this.theme = name;
    for (const { element } of this.frames.values())
      element.contentWindow.postMessage({ theme: name, styles: THEMES[name] }, "*");
  }

  makeFrame() {
    const allow = "clipboard-read; clipboard-write";
    return Object.assign(document.createElement("iframe"), { src: "http://webview.localhost/", allow });
  }

  deliver(frame, { content, buffers, changes }) {
    const views = buffers?.map((data) => new DataView(data.buffer, data.byteOffset, data.byteLength));
    const message = content ? { content, buffers: views } : { changes };
    this.#later("in", () => frame.element.contentWindow?.postMessage(message, "*"));
  }
}

window.host = new VSCode();
