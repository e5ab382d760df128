// What the stand-ins for notebooks have in common: a page on a real kernel, each of whose outputs is a frame. Each says
// in its own file how it makes a frame (`makeFrame`) and how a message gets there (`deliver`).
export const WIDGET = "application/vnd.jupyter.widget-view+json";

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

export class Outputs {
  models = new Map();
  frames = new Map();
  cells = new Map();
  asked = new Map();

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
    const header = { msg_id: crypto.randomUUID(), msg_type: type, username: "", session: "stand-in", version: "5.3" };
    const message = { header, parent_header: {}, metadata: {}, content, channel: "shell" };
    this.socket.send(buffers.length ? pack(message, buffers) : JSON.stringify(message));
    return header.msg_id;
  }

  /** Runs a cell in place of the one of that number; resolves with what it printed when it has ended. */
  run(number, code) {
    for (const { element, cell } of [...this.frames.values()]) {
      if (cell !== number) continue;
      element.remove();
      this.frames.delete(element);
    }
    return new Promise((resolve) => {
      const id = this.send("execute_request", { code, silent: false, store_history: true, allow_stdin: false });
      this.cells.set(id, { number, text: "", resolve });
    });
  }

  fromFrame({ source, data }) {
    const frame = [...this.frames.values()].find(({ element }) => element.contentWindow === source);
    if (!frame) return; // it was removed meanwhile
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
        if (cell && this.shows(metadata, content.metadata)) this.show(cell.number, content.data[WIDGET]?.model_id);
        return;
      case "comm_msg":
        return this.toFrames(parent, content, buffers);
    }
  }

  show(cell, model) {
    if (!model) return;
    const element = this.makeFrame();
    element.style = "width: 100%; height: 1200px; border: 0";
    this.frames.set(element, { element, model, cell });
    document.body.append(element);
  }

  toFrames(parent, { comm_id: model, data }, buffers) {
    const message = data.method === "custom" ? { content: data.content, buffers } : { changes: data.state };
    for (const frame of this.frames.values()) {
      if (frame.model === model && frame.element.contentWindow) this.deliver(frame, message, parent);
    }
  }

  // --- what hosts do each in their way

  /** Whether a widget shows that comes with these metadata. */
  shows(..._metadata) {
    return true;
  }
}
