// Shows a Bokeh document in an output cell and keeps it in step with the one in the kernel.
// BokehJS comes from the kernel, once per page and version, into a private root: another Bokeh on the page is untouched.

const PAGES = (globalThis[Symbol.for("netgeom.bokehjs")] ??= {});
const FREQUENT = new Set(["mousemove", "mouseenter", "mouseleave", "pan", "pinch", "rotate", "wheel", "rangesupdate"]);
const SIZES = new Set(["inner_width", "inner_height", "outer_width", "outer_height"]);
const PATIENCE = [1000, 3000, 9000]; // ms until a view asks again for its document
const NARROW = 560; // pixels; below, rows of figures become columns

async function unzip(buffer) {
  const stream = new Blob([buffer]).stream().pipeThrough(new DecompressionStream("gzip"));
  return (await new Response(stream).text()).replace(/\/\/# sourceMappingURL=.*/g, "");
}

// The bundles are UMD modules that attach themselves to `this`.
async function evaluate(source, root) {
  const text = `export default function (root) { (function () {${source}\n}).call(root); }`;
  const url = URL.createObjectURL(new Blob([text], {type: "text/javascript"}));
  try {
    (await import(/* webpackIgnore: true */ url)).default(root);
  } finally {
    URL.revokeObjectURL(url);
  }
}

function loadBundle(model, page, name) {
  page.bundles[name] ??= new Promise((resolve, reject) => {
    const timer = setTimeout(() => fail(new Error(`${name} did not arrive from the kernel`)), 60000);
    const fail = (error) => { stop(); delete page.bundles[name]; reject(error); }; // the next view asks again
    const onMessage = (message, buffers) => {
      if (message.t !== "bundle" || message.name !== name) return;
      stop();
      unzip(buffers[0]).then(async (source) => {
        await evaluate(source, page.root);
        if (name === "bokeh") {
          letPlotsGo(page.root.Bokeh);
          updateHoverInTurn(page.root.Bokeh);
        }
      }).then(resolve, fail);
    };
    const onDestroy = () => fail(new Error("closed while BokehJS was on its way"));
    const stop = () => {
      clearTimeout(timer);
      model.off("msg:custom", onMessage);
      model.off("destroy", onDestroy);
    };
    model.on("msg:custom", onMessage);
    model.on("destroy", onDestroy);
    model.send({t: "bundle", name});
  });
  return page.bundles[name];
}

// Every plot of BokehJS 3.9 listens to the page's visualViewport for ever, and so is never freed: stop with the plot.
function letPlotsGo(Bokeh) {
  const plot = Bokeh.Models.get("Plot").prototype.default_view.prototype;
  const {connect_signals, remove} = plot;
  const listeners = new WeakMap();
  plot.connect_signals = function () {
    const viewport = globalThis.visualViewport;
    const mine = [];
    listeners.set(this, mine);
    if (viewport) viewport.addEventListener = (...args) => {
      mine.push(args);
      EventTarget.prototype.addEventListener.apply(viewport, args);
    };
    try { connect_signals.call(this); } finally { if (viewport) delete viewport.addEventListener; }
    // BokehJS draws half a pixel aside and clears from there: what an early layout drew at the very edge would stay.
    for (const layer of [this.canvas_view?.primary, this.canvas_view?.overlays]) {
      if (layer) layer.clear = () => layer.ctx.clearRect(-1, -1, layer.bbox.width + 2, layer.bbox.height + 2);
    }
  };
  plot.remove = function () {
    for (const args of listeners.get(this) ?? []) globalThis.visualViewport.removeEventListener(...args);
    remove.call(this);
  };
}

// A hover tool builds its boxes anew whenever a glyph is added to its plot. BokehJS 3.9 does not wait for the last time to
// end, then removes boxes that are not connected yet, and fails.
function updateHoverInTurn(Bokeh) {
  const hover = Bokeh.Models.get("HoverTool").prototype.default_view.prototype;
  const update = hover._update_ttmodels;
  const turns = new WeakMap();
  hover._update_ttmodels = function () {
    const next = () => update.call(this);
    const turn = turns.has(this) ? turns.get(this).then(next, next) : next();
    turns.set(this, turn);
    return turn;
  };
}

const pageOf = (model) => (PAGES[model.get("bokeh_version")] ??= {root: {}, bundles: {}});

async function bokehWith(model, names) {
  const page = pageOf(model);
  for (const name of names) {
    try {
      await loadBundle(model, page, name);
    } catch {
      await loadBundle(model, page, name); // the view that had asked may be gone; this one asks itself, once
    }
  }
  return page.root.Bokeh;
}

function asArrayBuffer(data) {
  return data instanceof ArrayBuffer ? data : data.buffer.slice(data.byteOffset, data.byteOffset + data.byteLength);
}

function named(message, buffers) {
  return new Map(message.ids.map((id, i) => [id, asArrayBuffer(buffers[i])]));
}

// ---- colours of the notebook's theme, for every property that the figure leaves at its default

function themeOf() {
  const style = getComputedStyle(document.body); // a view may be drawn before it is attached
  const pick = (name, otherwise) => style.getPropertyValue(name).trim() || otherwise;
  const text = pick("--jp-ui-font-color1", pick("--vscode-editor-foreground", style.color || "#000"));
  const line = pick("--jp-ui-font-color2", text);
  return {text, line, faint: pick("--jp-border-color2", line), ground: pick("--jp-layout-color0", "transparent")};
}

function themedProperties(model, c) {
  const kind = model.type;
  if (kind === "Figure" || kind === "Plot") {
    // "transparent" and not null: without any background BokehJS 3.9 begins no path before it strokes the outline, and
    // strokes the last path of the picture before along with it.
    return {background_fill_color: "transparent", border_fill_color: null, outline_line_color: c.faint};
  }
  if (kind.endsWith("Axis")) {
    return {axis_label_text_color: c.text, major_label_text_color: c.text, axis_line_color: c.line,
            major_tick_line_color: c.line, minor_tick_line_color: c.line};
  }
  if (kind === "Grid") return {grid_line_color: c.faint, grid_line_alpha: 0.6};
  if (kind === "Title") return {text_color: c.text};
  if (kind === "Label") return {text_color: c.text};
  if (kind === "Legend") {
    return {label_text_color: c.text, title_text_color: c.text, background_fill_color: c.ground,
            background_fill_alpha: 0.8, border_line_color: c.faint};
  }
  if (kind.endsWith("ColorBar")) {
    return {background_fill_color: null, major_label_text_color: c.text, title_text_color: c.text,
            major_tick_line_color: c.line};
  }
  return {};
}

function applyTheme(doc, mine) {
  const colours = themeOf();
  for (const model of doc.all_models) {
    const values = {};
    for (const [attr, value] of Object.entries(themedProperties(model, colours))) {
      const property = model.properties[attr];
      const key = `${model.id}.${attr}`;
      if (property == null || (property.dirty && !mine.has(key))) continue; // set on purpose by the figure
      if (mine.get(key) === value) continue;
      mine.set(key, value);
      values[attr] = value;
    }
    if (Object.keys(values).length) model.setv(values, {sync: false});
  }
}

// ---- the wheel scrolls the page until the figure was clicked, or Ctrl/Cmd is held

function guardWheel(target, hint, signal) {
  let active = false;
  let timer;
  const quiet = {signal, capture: true, passive: true};
  target.addEventListener("pointerdown", () => { active = true; hint.hidden = true; }, quiet);
  target.addEventListener("pointerleave", () => { active = false; }, {signal});
  target.addEventListener("keydown", (event) => { if (event.key === "Escape") active = false; }, quiet);
  target.addEventListener("wheel", (event) => {
    if (active || event.ctrlKey || event.metaKey) return;
    event.stopPropagation(); // Bokeh must not see it; the page scrolls by itself
    hint.hidden = false;
    clearTimeout(timer);
    timer = setTimeout(() => { hint.hidden = true; }, 1200);
  }, quiet);
  signal.addEventListener("abort", () => clearTimeout(timer));
}

// ---- changes made in the browser: one message per frame, and the next only after the kernel has taken the last

class Outbox {
  constructor(model, view, doc) {
    Object.assign(this, {model, view, doc, queue: new Map(), serial: 0, waiting: false, frame: 0, opening: true});
    this.listener = (event) => this.add(event);
    doc.on_change(this.listener);
  }

  add(event) {
    if (event.sync === false || (this.opening && !SIZES.has(event.attr))) return; // a new view changes nothing but sizes
    let key = this.serial++;
    if (event.kind === "ModelChanged") key = `${event.model.id}.${event.attr}`;
    const data = event.msg_data;
    if (event.kind === "MessageSent" && FREQUENT.has(data?.event_name)) key = `${data.event_name}.${data.origin?.id}`;
    this.queue.delete(key); // the latest counts, at its own place
    this.queue.set(key, event);
    this.schedule();
  }

  schedule() {
    if (!this.waiting && !this.frame && this.queue.size) this.frame = requestAnimationFrame(() => this.flush());
  }

  flush() {
    this.frame = 0;
    if (!this.queue.size) return;
    const events = [...this.queue.values()];
    this.queue.clear();
    const ids = [];
    const buffers = [];
    const patch = JSON.parse(JSON.stringify(this.doc.create_json_patch(events), (_, value) => {
      if (!(value?.buffer instanceof ArrayBuffer)) return value;
      ids.push(`b${ids.length}`);
      buffers.push(value.buffer);
      return {id: ids.at(-1)};
    }));
    this.waiting = true;
    this.model.send({t: "events", view: this.view, events: patch.events, ids}, undefined, buffers);
  }

  acknowledged() {
    this.waiting = false;
    this.schedule();
  }

  close() {
    cancelAnimationFrame(this.frame);
    this.doc.remove_on_change(this.listener);
    this.queue.clear();
  }
}

// ---- one view

function element(parent, className, attributes = {}) {
  const node = document.createElement("div");
  node.className = className;
  for (const [name, value] of Object.entries(attributes)) node.setAttribute(name, value);
  parent.append(node);
  return node;
}

// Names and roles for screen readers, which ipywidgets has no traits for.
function describe(el) {
  const widget = el.closest(".netgeom-widget");
  widget?.querySelector(".netgeom-status")?.setAttribute("role", "status");
  widget?.querySelector(".netgeom-error")?.setAttribute("role", "alert");
  widget?.querySelector(".netgeom-progress")?.setAttribute("aria-hidden", "true"); // the status line says it
}

function stackRows(Bokeh, views, narrow) {
  for (const view of views.query((v) => v.model.type === "Row")) {
    view.el.style.flexDirection = narrow ? "column" : "";
    for (const child of view.child_views) child.el.style.flex = narrow ? "0 0 auto" : "";
    for (const child of view.child_views) child.el.style.alignSelf = narrow ? "stretch" : "";
  }
}

function render({model, el}) {
  const view = crypto.randomUUID?.() ?? String(Math.random());
  const stop = new AbortController();
  const {signal} = stop;
  const pane = element(el, "netgeom-pane", {role: "group", "aria-label": model.get("label")});
  const target = element(pane, "netgeom-figure");
  const hint = element(pane, "netgeom-hint", {"aria-hidden": "true"});
  const note = element(pane, "netgeom-note", {role: "status"});
  const themed = new Map();
  let doc, outbox, views, Bokeh, asking, answered = false, ready = false, dead = false;
  let inbox = Promise.resolve();

  hint.textContent = "click the figure, or hold Ctrl or Cmd, to zoom with the wheel";
  hint.hidden = true;
  const say = (text) => { note.textContent = text; note.hidden = !text; };
  say("loading the figure …");
  const slow = setTimeout(() => {
    if (!ready && !dead) say("The kernel does not answer. It may be busy: wait for the running cell. " +
                             "If nothing comes, restart the kernel and run the cell again.");
  }, 10000);

  // The first time the front end may not have a subshell yet: then the request waits for the cell that runs. The kernel
  // answers a view once, however often it asked.
  // BokehJS is asked for first, so that the browser reads it while the kernel writes the document.
  function ask(waits, again = false) {
    const page = pageOf(model);
    if (!page.bundles.bokeh) loadBundle(model, page, "bokeh").catch(() => {}); // open() tries once more, and says so
    else if (again && !page.root.Bokeh) model.send({t: "bundle", name: "bokeh"});
    model.send({t: "snapshot", view});
    if (waits.length) asking = setTimeout(() => { if (!answered && !dead) ask(waits.slice(1), true); }, waits[0]);
  }

  function die() {
    if (dead) return;
    dead = true;
    outbox?.close();
    pane.classList.add("netgeom-dead");
    say("No kernel behind this figure any more: run the cell again.");
    for (const box of el.closest(".netgeom-widget")?.querySelectorAll(".netgeom-controls") ?? []) {
      box.inert = true;
      box.classList.add("netgeom-off");
    }
  }

  function drawn() {
    requestAnimationFrame(() => { if (!dead && !signal.aborted) model.send({t: "drawn", view}); });
  }

  async function open(message, buffers) {
    answered = true;
    Bokeh = await bokehWith(model, message.bundles);
    if (signal.aborted) return;
    doc = Bokeh.require("document").Document.from_json(JSON.parse(message.json), undefined, named(message, buffers));
    doc.config.setv({notifications: null}, {sync: false}); // a box of its own outside the figure, never removed
    applyTheme(doc, themed);
    outbox = new Outbox(model, view, doc);
    views = await Bokeh.require("embed/standalone").add_document_standalone(doc, target, [target]);
    if (signal.aborted) return shut();
    outbox.opening = false;
    ready = true;
    clearTimeout(slow);
    if (!dead) say("");
    stackRows(Bokeh, views, pane.clientWidth < NARROW);
    drawn();
  }

  async function patch(message, buffers) {
    if (!ready || message.skip === view) return;
    await bokehWith(model, message.bundles);
    const content = JSON.parse(message.json);
    content.events = content.events.filter((event) => !SIZES.has(event.attr));
    doc.apply_json_patch(content, named(message, buffers));
    applyTheme(doc, themed);
    drawn();
  }

  function shut() {
    outbox?.close();
    if (!doc) return;
    doc.clear({sync: false});
    views?.clear?.();
    const all = Bokeh.documents; // BokehJS keeps every document it ever made
    const i = all.indexOf(doc);
    if (i >= 0) all.splice(i, 1);
    doc = views = outbox = Bokeh = undefined; // ipywidgets keeps closed models, and with them this closure, for good
    themed.clear();
    pane.replaceChildren();
  }

  const queue = (step) => { inbox = inbox.then(() => (signal.aborted ? undefined : step())).catch(trouble); };
  const trouble = (error) => {
    if (signal.aborted) return;
    say(`The figure could not be shown: ${error.message}`);
    console.error(error);
  };

  const onMessage = (message, buffers) => {
    if (message.t === "snapshot" && message.view === view) queue(() => open(message, buffers));
    else if (message.t === "patch") queue(() => patch(message, buffers));
    else if (message.t === "ack" && message.view === view) outbox?.acknowledged();
    else if (message.t === "reset") queue(() => { for (const v of views?.query((p) => p.reset && p.model.x_range) ?? []) v.reset(); });
  };
  model.on("msg:custom", onMessage);
  model.on("comm_live_update", die);
  guardWheel(target, hint, signal);

  const retheme = () => requestAnimationFrame(() => { if (ready && doc) applyTheme(doc, themed); });
  const themes = new MutationObserver(retheme);
  themes.observe(document.body, {attributes: true, attributeFilter: ["class", "data-jp-theme-light", "data-jp-theme-name"]});
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", retheme, {signal});
  let wasNarrow;
  const sizes = new ResizeObserver(() => {
    const narrow = pane.clientWidth < NARROW;
    if (pane.clientWidth && narrow !== wasNarrow && views) stackRows(Bokeh, views, (wasNarrow = narrow));
  });
  sizes.observe(pane);

  ask(PATIENCE);
  requestAnimationFrame(() => describe(el));

  return () => {
    stop.abort();
    clearTimeout(slow);
    clearTimeout(asking);
    themes.disconnect();
    sizes.disconnect();
    model.off("msg:custom", onMessage);
    model.off("comm_live_update", die);
    if (!dead) try { model.send({t: "gone", view}); } catch { /* the connection went first */ }
    shut();
    el.replaceChildren();
  };
}

export default {render};
