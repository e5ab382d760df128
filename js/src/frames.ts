/**
 * The newest picture wins. Frames come faster than a page can draw; each is decoded off the main thread, and of those
 * decoded when the browser repaints only the newest is drawn. A frame that a newer one overtook is acknowledged all the
 * same: the kernel counts frames under way, and one that never comes back would narrow its window for good.
 */
import type { FrameMessage } from "./protocol.ts";

export interface Frame extends FrameMessage {
  readonly data: ArrayBufferView;
}

export interface Picture {
  close?(): void;
}

export interface FrameHost<P extends Picture> {
  decode(frame: Frame): Promise<P>;
  draw(picture: P, frame: Frame): void;
  ack(frame: Frame): void;
  hidden(): boolean;
  schedule(draw: () => void): void;
}

export class FrameQueue<P extends Picture> {
  readonly #host: FrameHost<P>;
  readonly #acked = new WeakSet<Frame>();
  #seen = Number.NEGATIVE_INFINITY;
  #waiting: Frame | null = null;
  #decoding = false;
  #decoded: { picture: P; frame: Frame } | null = null;
  #closed = false;

  constructor(host: FrameHost<P>) {
    this.#host = host;
  }

  push(frame: Frame): void {
    if (this.#closed) return;
    if (frame.seq <= this.#seen) {
      this.#ack(frame);
      return;
    }
    this.#seen = frame.seq;
    if (this.#waiting) this.#ack(this.#waiting);
    this.#waiting = frame;
    // Out of sight nothing is drawn, but the last frame is kept: it is what somebody who comes back should see.
    if (this.#host.hidden()) this.#ack(frame);
    else this.#next();
  }

  /** The page can be seen again: draw what came meanwhile. */
  reveal(): void {
    this.#next();
  }

  close(): void {
    this.#closed = true;
    this.#waiting = null;
    this.#decoded?.picture.close?.();
    this.#decoded = null;
  }

  #next(): void {
    const frame = this.#waiting;
    if (!frame || this.#decoding) return;
    this.#waiting = null;
    this.#decoding = true;
    this.#host
      .decode(frame)
      .then(
        (picture) => this.#keep(picture, frame),
        () => this.#ack(frame), // a broken picture must not stop the stream
      )
      .finally(() => {
        this.#decoding = false;
        if (!this.#closed) this.#next();
      });
  }

  #keep(picture: P, frame: Frame): void {
    if (this.#closed) {
      picture.close?.();
      return;
    }
    const older = this.#decoded;
    this.#decoded = { picture, frame };
    if (older) {
      older.picture.close?.();
      this.#ack(older.frame);
    } else {
      this.#host.schedule(() => this.#draw());
    }
  }

  #draw(): void {
    const newest = this.#decoded;
    if (!newest || this.#closed) return;
    this.#decoded = null;
    this.#host.draw(newest.picture, newest.frame);
    newest.picture.close?.();
    this.#ack(newest.frame);
  }

  #ack(frame: Frame): void {
    if (this.#acked.has(frame)) return;
    this.#acked.add(frame);
    this.#host.ack(frame);
  }
}
