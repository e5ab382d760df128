/** Icons of Lucide, as the bare shapes that the build leaves of them. */
import brush from "lucide-static/icons/brush.svg";
import results from "lucide-static/icons/chevron-down.svg";
import previous from "lucide-static/icons/chevron-left.svg";
import next from "lucide-static/icons/chevron-right.svg";
import help from "lucide-static/icons/circle-question-mark.svg";
import code from "lucide-static/icons/code.svg";
import compare from "lucide-static/icons/columns-2.svg";
import invert from "lucide-static/icons/contrast.svg";
import copy from "lucide-static/icons/copy.svg";
import dice from "lucide-static/icons/dices.svg";
import download from "lucide-static/icons/download.svg";
import eraser from "lucide-static/icons/eraser.svg";
import full from "lucide-static/icons/expand.svg";
import showing from "lucide-static/icons/eye.svg";
import film from "lucide-static/icons/film.svg";
import branch from "lucide-static/icons/git-branch.svg";
import hand from "lucide-static/icons/hand.svg";
import picture from "lucide-static/icons/image.svg";
import photo from "lucide-static/icons/image-plus.svg";
import lasso from "lucide-static/icons/lasso.svg";
import fit from "lucide-static/icons/maximize.svg";
import minus from "lucide-static/icons/minus.svg";
import points from "lucide-static/icons/move-up-right.svg";
import pin from "lucide-static/icons/pin.svg";
import play from "lucide-static/icons/play.svg";
import plus from "lucide-static/icons/plus.svg";
import redo from "lucide-static/icons/redo-2.svg";
import reset from "lucide-static/icons/rotate-ccw.svg";
import settings from "lucide-static/icons/sliders-horizontal.svg";
import attributes from "lucide-static/icons/smile.svg";
import stop from "lucide-static/icons/square.svg";
import rectangle from "lucide-static/icons/square-dashed.svg";
import step from "lucide-static/icons/step-forward.svg";
import trash from "lucide-static/icons/trash-2.svg";
import warning from "lucide-static/icons/triangle-alert.svg";
import undo from "lucide-static/icons/undo-2.svg";
import suggest from "lucide-static/icons/wand-sparkles.svg";
import close from "lucide-static/icons/x.svg";

const SHAPES = {
  attributes,
  branch,
  code,
  compare,
  copy,
  film,
  fit,
  full,
  invert,
  lasso,
  minus,
  photo,
  picture,
  pin,
  plus,
  rectangle,
  results,
  settings,
  showing,
  suggest,
  warning,
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
