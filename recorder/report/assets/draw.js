// Elements out of data. Text only ever becomes a text node: nothing recorded is read as HTML.

const $ = (id) => document.getElementById(id);

function element(name, attributes = {}, ...children) {
  const one = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) {
    if (key.startsWith("on")) one.addEventListener(key.slice(2), value);
    else if (value === true) one.setAttribute(key, "");
    else if (value !== false && value !== null && value !== undefined) one.setAttribute(key, value);
  }
  one.append(...children.filter((child) => child !== null).map((child) => (child instanceof Node ? child : visible(child))));
  return one;
}

// Asks the browser to draw and take input, so that long work does not freeze it.
function breathe() {
  return new Promise((done) => setTimeout(done));
}

// vega's tooltip, without its HTML.
function showTip(_, event, __, value) {
  const tip = $("tip");
  tip.hidden = value === null || value === undefined || value === "";
  if (tip.hidden) return;
  const pairs = typeof value === "object" ? Object.entries(value) : [["", value]];
  tip.replaceChildren(...pairs.flatMap(([key, one]) => [element("dt", {}, key), element("dd", {}, String(one))]));
  const { clientX: x, clientY: y } = event;
  tip.style.left = `${Math.max(4, x + 16 + tip.offsetWidth > innerWidth ? x - tip.offsetWidth - 12 : x + 16)}px`;
  tip.style.top = `${Math.max(4, Math.min(y + 12, innerHeight - tip.offsetHeight - 8))}px`;
}

// A picture: a Vega-Lite document drawn into a figure, its data given, and given again.
class Chart {
  constructor(figure, name, spec, config) {
    Object.assign(this, { figure, name, spec, config, view: null, onclick: null });
    const { title, caption } = spec.usermeta;
    this.place = element("div", { class: "plot" });
    this.empty = element("p", { class: "nothing", hidden: true }, "Nothing to show.");
    figure.append(element("h3", {}, title), this.place, this.empty, element("figcaption", {}, caption));
  }

  // `sets`: rows by name of the data; `groups`: what has a colour; `params`: of the document. Resolves when it is drawn.
  async draw(sets, groups = [], params = {}) {
    const some = Object.values(sets).some((rows) => rows.length);
    this.place.hidden = !some;
    this.empty.hidden = some;
    if (!some) return;
    if (this.view === null || this.groups !== String(groups)) return this.embed(sets, groups, params);
    for (const [name, rows] of Object.entries(sets)) this.view.data(name, rows);
    for (const [name, value] of Object.entries(params)) this.view.signal(name, value);
    await this.view.resize().runAsync();
  }

  async embed(sets, groups, params) {
    this.view?.finalize();
    this.groups = String(groups);
    const spec = JSON.parse(JSON.stringify(this.spec).replaceAll('"@groups"', JSON.stringify(groups)));
    for (const param of spec.params ?? []) param.value = params[param.name] ?? param.value;
    spec.width = "container";
    spec.datasets = sets;
    if (typeof spec.height === "number") spec.autosize = { type: "fit-x", contains: "padding" };
    const { clientWidth: width } = this.place;
    const columns = width < 520 ? 2 : width < 800 ? 4 : 6;
    const config = { ...this.config, legend: { ...this.config.legend, columns } };
    // `ast`: expressions are interpreted, for the page's policy forbids to make programs of text
    const options = { actions: false, renderer: "svg", ast: true, config, tooltip: showTip, defaultStyle: false, logLevel: 1 };
    const { view } = await window.vegaEmbed(this.place, spec, options);
    this.view = view;
    view.addEventListener("click", (_, item) => item?.datum?.stream && this.onclick?.(item.datum.stream));
    view.addEventListener("mouseout", () => ($("tip").hidden = true));
  }
}
