// A stand-in for Colab's page on a real kernel. What is like Colab in it, and made widgets fail there:
// - every output is a frame of its own with models of its own, made from what the kernel said when it made them;
// - once no cell runs, a message of the kernel is delivered only while a message of a frame is handled, to that frame;
// - buffers come as Uint8Array, parts of something bigger; `initialize` and `render` get no signal;
// - widgets from elsewhere show only where the custom widget manager is enabled.
import { Outputs, WIDGET } from "./outputs.js";

class Colab extends Outputs {
  /** How many messages came from the kernel and were not let through. */
  withheld = 0;

  shows(...metadata) {
    return metadata.some((each) => each?.[WIDGET]?.colab?.custom_widget_manager?.url);
  }

  makeFrame() {
    const html = '<!doctype html><meta charset="utf-8"><body><script type="module" src="/frame.js"></script>';
    return Object.assign(document.createElement("iframe"), { srcdoc: html });
  }

  deliver(frame, message, parent) {
    if (this.cells.size === 0 && frame !== this.asked.get(parent)) this.withheld += 1;
    else frame.element.contentWindow.postMessage(message, "*");
  }
}

window.host = new Colab();
