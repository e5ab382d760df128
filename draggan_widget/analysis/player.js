// Play, pause, scrub. The clock is here and not in the kernel, so what is linked to `frame` moves while that is busy.

function save(model) {
  model.set("said", ["asked", "frame", "playing"].map((name) => model.get(name)));
  model.save_changes();
}

function initialize({ model }) {
  let from, began, timer;
  let ticking = false;
  const last = () => model.get("labels").length - 1;
  const rebase = () => {
    if (!ticking) [from, began] = [model.get("frame"), performance.now()];
  };
  const tick = () => {
    const passed = ((performance.now() - began) * model.get("speed")) / model.get("milliseconds");
    ticking = true;
    model.set("frame", Math.min(last(), from + Math.floor(passed)));
    ticking = false;
    if (model.get("frame") === last()) model.set("playing", false);
    else timer = requestAnimationFrame(tick);
    save(model);
  };
  const turn = () => {
    cancelAnimationFrame(timer);
    if (!model.get("playing")) return;
    if (model.get("frame") === last()) model.set("frame", 0);
    rebase();
    tick();
  };
  model.on("change:playing", turn);
  model.on("change:frame", rebase);
  model.on("change:speed", rebase);
  model.on("change:asked", () => save(model));
  turn();
  return () => cancelAnimationFrame(timer);
}

function render({ model, el }) {
  const root = document.createElement("div");
  root.className = "draggan-player";
  root.innerHTML = `<button type="button" class="jupyter-button"><i class="fa" aria-hidden="true"></i> <span></span>
    </button><input type="range" min="0" step="1" aria-label="Frame"><output></output>
    <select aria-label="Speed" title="Speed"><option value="0.5">½ ×</option><option value="1">1 ×</option><option
    value="2">2 ×</option></select>`;
  const [button, slider, output, speed] = root.children;
  const show = () => {
    const playing = model.get("playing");
    const label = model.get("labels")[model.get("frame")];
    button.querySelector("i").className = `fa fa-${playing ? "pause" : "play"}`;
    button.querySelector("span").textContent = playing ? "Pause" : "Play";
    button.title = playing ? "Pause here" : "Play the edit";
    slider.max = model.get("labels").length - 1;
    slider.value = model.get("frame");
    slider.setAttribute("aria-valuetext", label);
    output.value = label;
    speed.value = model.get("speed");
  };
  const set = (values) => {
    for (const [name, value] of Object.entries(values)) model.set(name, value);
    save(model);
  };
  button.onclick = () => set({ playing: !model.get("playing") });
  slider.onpointerdown = () => set({ playing: false });
  slider.oninput = () => set({ playing: false, frame: Number(slider.value) });
  speed.onchange = () => set({ speed: Number(speed.value) });
  root.onkeydown = (event) => event.stopPropagation(); // keys are shortcuts of the notebook as well
  const changes = ["playing", "frame", "speed"].map((name) => `change:${name}`);
  for (const change of changes) model.on(change, show);
  show();
  el.append(root);
  return () => {
    for (const change of changes) model.off(change, show);
  };
}

export default { initialize, render };
