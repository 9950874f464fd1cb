// The charts of many streams: which data each takes.

const DRAWN = 1500;
const WINDOW = 40;

const MANY = ["ecdf", "gaps", "over_time", "gantt", "tokens", "goodput", "heat"];
const LIMITS = { ttft: ["first token, s", 5], gap: ["longest gap, s", 2], duration: ["duration, s", 60] };

class Charts {
  constructor(specs, config, open) {
    this.byName = {};
    this.open = open;
    this.first = 0;
    for (const name of MANY) {
      const figure = element("figure", { class: `chart card${specs[name].usermeta.wide ? " wide" : ""}`, id: `chart-${name}` });
      $("charts").append(figure);
      this.byName[name] = new Chart(figure, name, specs[name], config);
      this.byName[name].onclick = open;
    }
    this.volume = new Chart($("volume"), "volume", specs.volume, config);
    this.limits = Object.fromEntries(Object.entries(LIMITS).map(([name, [, value]]) => [name, value]));
    this.limitInputs();
    this.windowButtons();
  }

  // `all`: without the filter by time. Draws one after the other, so that the first is there soon.
  async draw(table, places, all, details) {
    Object.assign(this, { table, places, details });
    this.first = Math.min(this.first, Math.max(0, places.length - WINDOW));
    const turn = (this.turn = {});
    await this.volume.draw({ volume: all.length ? volumeRows(table, all) : [] });
    for (const name of MANY) {
      await breathe();
      if (this.turn !== turn) return;
      await this.drawOne(name);
    }
  }

  async drawOne(name) {
    const { table, places } = this;
    await this.byName[name].draw(places.length ? this[name](table, places) : {}, table.groups);
  }

  ecdf(table, places) {
    return { ecdf: ecdfRows(table, places) };
  }

  gaps(table, places) {
    return { gaps: table.gapRows(places) };
  }

  over_time(table, places) {
    const known = places.filter((place) => table.get("ttft_s", place) > 0);
    const fields = ["t", "group", "model", "stream", "ttft_s"];
    return { rolling: rollingRows(table, places), drawn: table.rows(drawn(table, known), fields) };
  }

  tokens(table, places) {
    const known = places.filter((place) => table.get("ttft_s", place) > 0 && table.get("input", place) > 0);
    return { drawn: table.rows(drawn(table, known), ["stream", "model", "ttft_s", "input", "cache_share"]) };
  }

  heat(table, places) {
    return { heat: heatRows(table, places) };
  }

  goodput(table, places) {
    return { goodput: goodputRows(table, places, this.limits) };
  }

  gantt(table, places) {
    const shown = places.slice(this.first, this.first + WINDOW);
    const fields = ["stream", "model", "t", "headers_s", "ttft_s", "stream_s", "duration_s", "gap_p50_s"];
    const rows = table.rows(shown, fields);
    const [t0, t1] = [rows[0]?.t, rows.at(-1)?.t];
    const busy = rows.reduce((sum, row) => sum + (row.duration_s ?? 0), 0);
    const together = this.start.value === "" ? busy < (t1 - t0) / 1000 : this.start.value === "send";
    for (const row of rows) row.t = together ? 0 : (row.t - t0) / 1000;
    const runs = rows.flatMap(({ stream, model, t }) => (
      runRows(this.details.get(stream)?.frames ?? { at: [] }).map(({ kind, start, end }) => ({ stream, model, kind, from: t + start, to: t + end }))
    ));
    const last = this.first + shown.length;
    this.which.textContent = shown.length ? `${this.first + 1} to ${last} of ${places.length.toLocaleString("en")}, from ${utc(t0)}` : "";
    this.earlier.disabled = this.first === 0;
    this.later.disabled = last >= places.length;
    return { window: rows, runs };
  }

  windowButtons() {
    const move = (by) => () => {
      this.first = Math.max(0, Math.min(this.first + by, this.places.length - WINDOW));
      this.drawOne("gantt");
    };
    this.which = element("output", { "aria-live": "polite" });
    this.earlier = element("button", { type: "button", onclick: move(-WINDOW) }, "← Earlier");
    this.later = element("button", { type: "button", onclick: move(WINDOW) }, "Later →");
    const starts = [["", "by themselves"], ["time", "at their time"], ["send", "all from 0"]];
    this.start = element("select", { onchange: () => this.drawOne("gantt") }, ...starts.map(([value, text]) => element("option", { value }, text)));
    const label = element("label", {}, "Bars begin ", this.start);
    this.byName.gantt.place.before(element("div", { class: "controls" }, this.earlier, this.later, this.which, label));
  }

  limitInputs() {
    const labels = Object.entries(LIMITS).map(([name, [text]]) => {
      const change = (event) => {
        if (!(event.target.valueAsNumber > 0)) return;
        this.limits[name] = event.target.valueAsNumber;
        this.drawOne("goodput");
      };
      const input = element("input", { type: "number", min: 0, step: "any", value: this.limits[name], oninput: change });
      return element("label", {}, `${text} `, input);
    });
    this.byName.goodput.place.before(element("div", { class: "controls" }, ...labels));
  }
}

// The slowest, and of the others every so manyth.
function drawn(table, places) {
  if (places.length <= DRAWN) return places;
  const ttft = table.column("ttft_s");
  const limit = table.sorted(places, "ttft_s").at(-DRAWN / 10);
  const slowest = places.filter((place) => ttft[place] >= limit);
  const rest = places.filter((place) => ttft[place] < limit);
  const left = DRAWN - DRAWN / 10;
  return [...slowest, ...Array.from({ length: left }, (_, n) => rest[Math.floor((n * rest.length) / left)])];
}
