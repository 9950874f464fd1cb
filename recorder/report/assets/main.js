// The page: reads its data, keeps the filter, draws.

class Page {
  constructor({ charts: specs, config }, about) {
    this.about = about;
    this.details = new Map();
    const open = (id) => this.open(this.table.places.get(id));
    this.charts = new Charts(specs, config, open);
    this.compare = new Compare(specs, config);
    this.detail = new Detail(specs, config, (id) => this.find(id));
    this.streams = streamGrid(() => this.table, (place) => this.open(place), (place) => this.details.has(this.table.get("stream", place)));
    this.stalls = stallGrid(() => this.table, (place) => this.open(place));
    this.limits = { models: null, outcome: "", tag: "", from: null, to: null };
    this.listen();
  }

  async show(data) {
    this.table = new Table(data);
    this.about.count = data.count;
    $("title").textContent = visible(this.about.title);
    this.filters();
    const drawn = this.draw();
    if (!this.linked) this.openLinked();
    await drawn;
  }

  filters() {
    const { groups, names, columns } = this.table;
    const count = this.table.count.toLocaleString("en");
    const time = () => `${utc(columns.wall_ms[0])} to ${utc(columns.wall_ms.at(-1))} UTC`;
    $("span").textContent = this.table.count ? `${count} streams, ${time()}` : "No streams yet.";
    const tags = tagsOf(this.table);
    const known = JSON.stringify([groups, names.outcome, tags]);
    if (known === this.known) return; // live: what somebody is choosing from stays as it is
    this.known = known;
    const boxes = groups.map((group) => {
      const checked = this.limits.models === null || this.limits.models.has(group);
      return element("label", {}, element("input", { type: "checkbox", value: group, checked }), ` ${group}`);
    });
    $("models").replaceChildren($("models").firstElementChild, ...boxes);
    options($("outcome"), "any", [...names.outcome].sort(), this.limits.outcome);
    options($("tag"), "any", tags, this.limits.tag);
  }

  listen() {
    const changed = () => this.filtered();
    for (const id of ["outcome", "tag", "from", "to", "models"]) $(id).addEventListener("change", changed);
    $("filters").addEventListener("submit", (event) => event.preventDefault());
    $("filters").addEventListener("reset", () => setTimeout(() => {
      for (const box of $("models").querySelectorAll("input")) box.checked = true;
      this.filtered();
    }));
    $("theme").addEventListener("click", () => {
      const root = document.documentElement;
      const dark = root.dataset.theme ? root.dataset.theme === "dark" : matchMedia("(prefers-color-scheme: dark)").matches;
      root.dataset.theme = dark ? "light" : "dark";
    });
  }

  filtered() {
    const boxes = [...$("models").querySelectorAll("input")];
    const checked = boxes.filter((box) => box.checked).map((box) => box.value);
    this.limits = {
      models: checked.length === boxes.length ? null : new Set(checked),
      outcome: $("outcome").value,
      tag: $("tag").value,
      from: moment($("from").value, 0),
      to: moment($("to").value, 999),
    };
    this.draw();
  }

  async draw() {
    const { table } = this;
    const places = table.select(this.limits);
    const all = this.limits.from === null && this.limits.to === null ? places : table.select({ ...this.limits, from: null, to: null });
    this.places = places;
    $("count").textContent = `${places.length.toLocaleString("en")} of ${table.count.toLocaleString("en")} streams`;
    drawSummary(table, places);
    this.streams.show(places);
    const shown = new Set(places);
    this.stalls.show(table.stalls.stream.flatMap((place, n) => (shown.has(place) ? [n] : [])));
    await this.charts.draw(table, places, all, this.details);
    this.brush();
    await breathe();
    if (this.places === places) await this.compare.draw(table, places);
  }

  // A time drawn over the first chart fills in the fields of the filter.
  brush() {
    const { view } = this.charts.volume;
    if (view === null || view === this.brushed) return;
    this.brushed = view;
    view.addSignalListener("brush", (_, { from }) => {
      clearTimeout(this.later);
      this.later = setTimeout(() => {
        [$("from").value, $("to").value] = from ? from.map((time) => local(Number(time))) : ["", ""];
        this.filtered();
      }, 150);
    });
  }

  async find(id) {
    if (!this.about.live) return this.details.get(id) ?? null;
    const answer = await fetch(`stream?id=${encodeURIComponent(id)}`);
    return answer.ok ? inflated(answer.body) : null;
  }

  open(place) {
    if (place !== undefined) this.detail.open(this.table, place, this.places);
  }

  // What the address names is shown at once, before all else is drawn.
  openLinked() {
    this.linked = true;
    const id = new URLSearchParams(location.hash.slice(1)).get("stream");
    if (id !== null) this.open(this.table.places.get(id));
  }

  notes() {
    const { notes, reasons, live } = this.about;
    const why = Object.entries(reasons).map(([reason, n]) => `${n} ${reason}`).join(", ");
    $("inside").textContent = live
      ? "Choose a stream to see it event by event."
      : `Choose a stream to see it. Those in bold (${this.details.size.toLocaleString("en")}: ${why}) are here ` +
        "event by event, with a player; of the others there are only the numbers.";
    $("note-list").replaceChildren(...notes.map((note) => element("li", {}, note)));
    $("notes").hidden = !notes.length;
  }
}

function options(select, any, values, chosen) {
  select.replaceChildren(element("option", { value: "" }, any), ...values.map((value) => element("option", { value, selected: value === chosen }, value)));
}

// datetime-local fields hold a time without a zone: here it is UTC.
const local = (ms) => (Number.isFinite(ms) ? new Date(ms).toISOString().slice(0, 19) : "");
const moment = (text, ms) => (text ? Date.parse(`${text}${text.length === 16 ? ":00" : ""}Z`) + ms : null);

// Live: the data again, each time the server says that there is more.
async function follow(page) {
  const say = (text) => ($("live").textContent = text);
  let version = "";
  let wanted = null;
  const refresh = async () => {
    if (wanted !== null) return (wanted = true);
    do {
      wanted = false;
      const answer = await fetch("data");
      version = answer.headers.get("x-version");
      await page.show(await inflated(answer.body));
      say(`live, as of ${new Date().toISOString().slice(11, 19)} UTC`);
    } while (wanted);
    return (wanted = null);
  };
  $("live").hidden = false;
  await refresh();
  const changes = new EventSource(`changes?since=${version}`);
  changes.onmessage = refresh;
  changes.onerror = () => say("the server has gone");
}

async function begin() {
  const [charts, about] = await Promise.all([unpack("charts"), unpack("about")]);
  const page = new Page(charts, about);
  window.page = page;
  if (about.live) {
    page.notes();
    await follow(page);
  } else {
    const [data, details] = await Promise.all([unpack("data"), unpack("details")]);
    for (const one of details) page.details.set(one.stream, one);
    page.notes();
    await page.show(data);
  }
  document.documentElement.dataset.drawn = Math.round(performance.now());
}

begin().catch((error) => {
  $("failed").hidden = false;
  $("failed").textContent = `This page could not be drawn: ${error.message}`;
  throw error;
});
