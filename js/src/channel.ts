/**
 * The one owner of the model. Every message to and from the kernel passes here, whichever view it belongs to: there is
 * one channel for a model (for every wrapper of it, where a host hands out several), and one `Connection` for a view.
 */
import type { AnyModel } from "@anywidget/types";
import { Connection, type Listener, type Wire } from "./connection.ts";
import { tight } from "./hosts/buffers.ts";
import { onReplaced } from "./hosts/ipywidgets.ts";
import { Settled } from "./hosts/marimo.ts";
import { parse } from "./parse.ts";
import type { KernelMessage, PageMessage } from "./protocol.ts";

export class Channel implements Wire {
  static readonly #channels = new WeakMap<object, Channel>();

  /** `initialize` makes it; a host that renders without initialising gets it here all the same. */
  static of(model: AnyModel): Channel {
    let channel = Channel.#channels.get(model);
    if (!channel) {
      channel = new Channel(model);
      Channel.#channels.set(model, channel);
    }
    return channel;
  }

  readonly #model: AnyModel;
  readonly #connections = new Set<Connection>();
  /** Ends hearing that the kernel was started again. */
  #replaced: (() => void) | null = null;
  readonly #settled = new Settled(() => {
    this.#model.set("settled", Date.now());
    this.#model.save_changes();
  });

  private constructor(model: AnyModel) {
    this.#model = model;
  }

  /** The PNG that the kernel left in the model for pages without one. */
  get still(): ArrayBufferView | null {
    const still: unknown = this.#model.get("still");
    return ArrayBuffer.isView(still) && still.byteLength > 0 ? still : null;
  }

  /** A connection for one view, silent until the view opens it. */
  connect(listener: Listener): Connection {
    const connection: Connection = new Connection(this, listener, () => this.#forget(connection));
    if (this.#connections.size === 0) {
      this.#model.on("msg:custom", this.#receive);
      this.#replaced = onReplaced(this.#model, () => {
        for (const each of [...this.#connections]) each.doubt();
      });
    }
    this.#connections.add(connection);
    return connection;
  }

  send(message: PageMessage, buffers: readonly ArrayBufferView[] = []): void {
    try {
      this.#model.send(message, undefined, buffers.map(tight));
    } catch (error) {
      // A kernel that has gone is shown to the person as a disconnection, not thrown at whatever they pressed.
      console.debug("draggan_widget: not sent", message.type, error);
    }
  }

  close(): void {
    this.#settled.close();
    for (const connection of [...this.#connections]) connection.close();
    Channel.#channels.delete(this.#model);
  }

  #forget(connection: Connection): void {
    this.#connections.delete(connection);
    if (this.#connections.size > 0) return;
    this.#model.off("msg:custom", this.#receive);
    this.#replaced?.();
  }

  readonly #receive = (raw: unknown, buffers: readonly ArrayBufferView[] = []): void => {
    let message: KernelMessage | null;
    try {
      message = parse(raw, buffers);
    } catch (error) {
      console.warn("draggan_widget:", error);
      return;
    }
    if (!message) return;
    if (message.type === "state") this.#settled.state(message);
    for (const connection of [...this.#connections]) connection.hear(message, buffers);
  };
}
