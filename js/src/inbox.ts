/** From the kernel: each message goes to the part of the view that it is for. */
import type { BeforePicture } from "./before.ts";
import type { Drawer } from "./drawer.ts";
import type { Exports } from "./exports.ts";
import type { FrameQueue } from "./frames.ts";
import type { Looker } from "./looking.ts";
import type { Masking } from "./masking.ts";
import type { More } from "./more.ts";
import type { PhotoOpener } from "./photo.ts";
import type { PointerInput } from "./pointer.ts";
import type { KernelMessage } from "./protocol.ts";
import type { Settings } from "./settings.ts";
import type { Timeline } from "./timeline.ts";
import type { ViewState } from "./viewstate.ts";

export interface InboxParts {
  readonly view: ViewState;
  readonly pointer: PointerInput;
  readonly masking: Masking;
  readonly before: BeforePicture;
  readonly looker: Looker;
  readonly frames: FrameQueue<ImageBitmap>;
  readonly settings: Settings;
  readonly drawer: Drawer;
  readonly timeline: Timeline;
  readonly exports: Exports;
  readonly photo: PhotoOpener;
  readonly more: More;
  /** A line for a moment. */
  aside(text: string, milliseconds: number): void;
  update(): void;
}

export class Inbox {
  readonly #parts: InboxParts;

  constructor(parts: InboxParts) {
    this.#parts = parts;
  }

  receive(message: KernelMessage, buffers: readonly ArrayBufferView[]): void {
    const {
      view,
      pointer,
      masking,
      before,
      looker,
      frames,
      settings,
      drawer,
      timeline,
      exports,
      photo,
      more,
      aside,
      update,
    } = this.#parts;
    const [data] = buffers;
    switch (message.type) {
      case "state":
        // What is being pulled is of a picture that is no more.
        if (view.receive(message)) {
          pointer.drop();
          masking.believe();
          before.forget();
        }
        looker.shows(message.shown);
        update();
        break;
      case "frame":
        if (data) frames.push({ ...message, data });
        break;
      case "mask":
        // The end of a stroke that is under way sends all of the mask anyhow.
        if (view.tool === "points" || !pointer.active) masking.receive(message, data);
        update();
        break;
      case "classes":
        settings.classes.receive(message.names);
        break;
      case "schema":
        drawer.receive(message);
        break;
      case "models":
        settings.models.receive(message);
        update();
        break;
      case "course":
        timeline.course(message);
        break;
      case "thumbnails":
        void timeline.thumbnails(message, buffers);
        break;
      case "before":
        if (data) void before.receive(message, data).then(update);
        break;
      case "part":
        photo.receive(message.view, message.at);
        break;
      case "placing":
        view.placeable = true;
        if (data) void more.place(message, data).then(update);
        break;
      case "more":
        if (data) void more.receive(data);
        break;
      case "panel":
        more.hear(message, buffers);
        break;
      case "export":
        exports.receive(message, data);
        break;
      case "notice":
        // Whatever was refused, it may be what was chosen.
        settings.believe();
        drawer.believe();
        view.exporting.clear();
        view.starting.forget();
        view.sentSeed.forget();
        update();
        aside(message.text, 6000);
        break;
      case "pong":
        break;
    }
  }
}
