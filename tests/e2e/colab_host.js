// A stand-in for Colab's page on a real kernel. What is like Colab in it, and made widgets fail there:
// - every output is a frame of its own with models of its own, made from what the kernel said when it made them;
// - once no cell runs, a message of the kernel is delivered only while a message of a frame is handled, to that frame;
// - buffers come as Uint8Array, parts of something bigger; `initialize` and `render` get no signal;
// - widgets from elsewhere show only where the custom widget manager is enabled.
const WIDGET = "application/vnd.jupyter.widget-view+json";

const pack = (message, buffers) => {
  const parts = [new TextEncoder().encode(JSON.stringify(message)), ...buffers];
  const head = new DataView(new ArrayBuffer(4 * (parts.length + 1)));
  head.setUint32(0, parts.length);
  let offset = head.byteLength;
  parts.forEach((part, n) => {
    head.setUint32(4 * (n + 1), offset);
    offset += part.byteLength;
  });
  return new Blob([head, ...parts]);
};

const unpack = (data) => {
  if (typeof data === "string") return { ...JSON.parse(data), buffers: [] };
  const view = new DataView(data);
  const count = view.getUint32(0);
  const ends = Array.from({ length: count }, (_, n) => view.getUint32(4 * (n + 1))).concat(data.byteLength);
  const parts = Array.from({ length: count }, (_, n) => new Uint8Array(data, ends[n], ends[n + 1] - ends[n]));
  return { ...JSON.parse(new TextDecoder().decode(parts[0])), buffers: parts.slice(1) };
};

/** Inside an output's frame: anywidget as far as this widget needs it. */
const FRAME = `<!doctype html><meta charset="utf-8"><body><script type="module">
  const hear = new Map();
  let state;
  const model = {
    get: (name) => state[name],
    set: (name, value) => { state[name] = value; },
    save_changes: () => {},
    on: (event, each) => hear.set(event, [...(hear.get(event) ?? []), each]),
    off: (event, each) => hear.set(event, (hear.get(event) ?? []).filter((other) => other !== each)),
    send: (content, _, buffers = []) => parent.postMessage({ content, buffers }, "*"),
  };
  addEventListener("message", async ({ data }) => {
    if (data.state) {
      state = data.state;
      const url = URL.createObjectURL(new Blob([state._esm], { type: "text/javascript" }));
      const widget = (await import(url)).default;
      widget.initialize?.({ model });
      widget.render({ model, el: document.body });
    } else if (data.changes) Object.assign(state, data.changes);
    else for (const each of hear.get("msg:custom") ?? []) each(data.content, data.buffers);
  });
  parent.postMessage({ born: true }, "*");
</script>`;

export class Colab {
  models = new Map();
  frames = new Map();
  cells = new Map();
  asked = new Map();
  /** How many messages came from the kernel and were not let through. */
  withheld = 0;

  async connect(name, token) {
    const headers = { Authorization: `token ${token}` };
    const answer = await fetch("/api/kernels", { method: "POST", headers, body: JSON.stringify({ name }) });
    if (!answer.ok) throw new Error(`no kernel ${name}: ${await answer.text()}`);
    this.id = (await answer.json()).id;
    this.socket = new WebSocket(`ws://${location.host}/api/kernels/${this.id}/channels?token=${token}`);
    this.socket.binaryType = "arraybuffer";
    this.socket.onmessage = ({ data }) => this.hear(unpack(data));
    await new Promise((resolve, reject) => Object.assign(this.socket, { onopen: resolve, onerror: reject }));
    addEventListener("message", (event) => this.fromFrame(event));
  }

  send(type, content, buffers = []) {
    const header = { msg_id: crypto.randomUUID(), msg_type: type, username: "", session: "colab", version: "5.3" };
    const message = { header, parent_header: {}, metadata: {}, content, channel: "shell" };
    this.socket.send(buffers.length ? pack(message, buffers) : JSON.stringify(message));
    return header.msg_id;
  }

  /** Runs a cell in place of the one of that number; resolves with what it printed when it has ended. */
  run(number, code) {
    for (const frame of this.frames.values()) if (frame.cell === number) frame.element.remove();
    return new Promise((resolve) => {
      const id = this.send("execute_request", { code, silent: false, store_history: true, allow_stdin: false });
      this.cells.set(id, { number, text: "", resolve });
    });
  }

  fromFrame({ source, data }) {
    const frame = [...this.frames.values()].find(({ element }) => element.contentWindow === source);
    if (data.born) return source.postMessage({ state: this.models.get(frame.model) }, "*");
    const id = this.send(
      "comm_msg",
      { comm_id: frame.model, data: { method: "custom", content: data.content } },
      data.buffers,
    );
    this.asked.set(id, frame);
  }

  hear({ header, parent_header: { msg_id: parent }, content, metadata, buffers }) {
    const cell = this.cells.get(parent);
    switch (header.msg_type) {
      case "status":
        if (content.execution_state !== "idle") return;
        this.asked.delete(parent);
        this.cells.delete(parent);
        return cell?.resolve(cell.text);
      case "stream":
        if (cell) cell.text += content.text;
        return;
      case "error":
        if (cell) cell.text += `${content.ename}: ${content.evalue}`;
        return;
      case "comm_open":
        this.models.set(content.comm_id, content.data.state);
        return;
      case "execute_result":
      case "display_data":
        return cell && this.show(cell.number, content.data[WIDGET]?.model_id, metadata, content.metadata);
      case "comm_msg":
        return this.deliver(parent, content, buffers);
    }
  }

  show(cell, model, ...metadata) {
    if (!model || !metadata.some((each) => each?.[WIDGET]?.colab?.custom_widget_manager?.url)) return;
    const element = document.createElement("iframe");
    element.srcdoc = FRAME;
    element.style = "width: 100%; height: 1200px; border: 0";
    this.frames.set(element, { element, model, cell });
    document.body.append(element);
  }

  deliver(parent, { comm_id: model, data }, buffers) {
    const asking = this.asked.get(parent);
    for (const frame of this.frames.values()) {
      if (frame.model !== model || !frame.element.contentWindow) continue;
      if (this.cells.size === 0 && frame !== asking) this.withheld += 1;
      else if (data.method === "custom") frame.element.contentWindow.postMessage({ content: data.content, buffers }, "*");
      else frame.element.contentWindow.postMessage({ changes: data.state }, "*");
    }
  }
}

window.colab = new Colab();
