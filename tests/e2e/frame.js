// Inside the frame of an output: anywidget as far as this widget needs it.
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
