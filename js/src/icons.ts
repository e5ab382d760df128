/** Icons of Lucide, as the bare shapes that the build leaves of them. */
import brush from "lucide-static/icons/brush.svg";
import previous from "lucide-static/icons/chevron-left.svg";
import next from "lucide-static/icons/chevron-right.svg";
import help from "lucide-static/icons/circle-question-mark.svg";
import remove from "lucide-static/icons/delete.svg";
import dice from "lucide-static/icons/dices.svg";
import download from "lucide-static/icons/download.svg";
import eraser from "lucide-static/icons/eraser.svg";
import hand from "lucide-static/icons/hand.svg";
import points from "lucide-static/icons/move-up-right.svg";
import play from "lucide-static/icons/play.svg";
import redo from "lucide-static/icons/redo-2.svg";
import reset from "lucide-static/icons/rotate-ccw.svg";
import stop from "lucide-static/icons/square.svg";
import step from "lucide-static/icons/step-forward.svg";
import trash from "lucide-static/icons/trash-2.svg";
import undo from "lucide-static/icons/undo-2.svg";
import close from "lucide-static/icons/x.svg";

const SHAPES = {
  brush,
  close,
  dice,
  download,
  eraser,
  hand,
  help,
  next,
  play,
  points,
  previous,
  redo,
  remove,
  reset,
  step,
  stop,
  trash,
  undo,
};
export type Icon = keyof typeof SHAPES;

export function icon(name: Icon): SVGElement {
  const svg = document.createElementNS("http://www.w3.org/2000/svg", "svg");
  svg.setAttribute("viewBox", "0 0 24 24");
  svg.setAttribute("aria-hidden", "true");
  svg.setAttribute("class", `dg-icon dg-icon-${name}`);
  svg.innerHTML = SHAPES[name];
  return svg;
}
