/** Icons that only the panels have. */
import shut from "lucide-static/icons/lock.svg";
import open from "lucide-static/icons/lock-open.svg";
import { make } from "../shared.ts";

function svg(shapes: string, name: string): SVGElement {
  const icon = document.createElementNS("http://www.w3.org/2000/svg", "svg");
  icon.setAttribute("viewBox", "0 0 24 24");
  icon.setAttribute("aria-hidden", "true");
  icon.setAttribute("class", `dg-icon dg-${name}`);
  icon.innerHTML = shapes;
  return icon;
}

/** A button that is pressed while something is held. */
export function lock(name: string, words = ""): HTMLButtonElement {
  const about = { type: "button", named: name, "aria-pressed": "false", title: `${name}: no pull changes it` };
  const button = make("button", { class: `dg-button dg-lock${words && " dg-wide"}`, ...about });
  button.append(svg(shut, "shut"), svg(open, "open"), ...(words ? [make("span", {}, words)] : []));
  return button;
}
