// The charts of many streams: which data each takes.

const BUCKETS = 60;
const DRAWN = 2500;
const WINDOW = 40;

const MANY = ["ecdf", "gaps", "over_time", "gantt", "tokens", "heat", "goodput"];
const LIMITS = { ttft: "first token, s", gap: "longest gap, s", duration: "duration, s" };

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
    this.limits = Object.fromEntries(specs.goodput.params.map(({ name, value }) => [name, value]));
    this.limitInputs();
    this.windowButtons();
  }

  // `all`: without the filter by time. Draws one after the other, so that the first is there soon.
  async draw(table, places, all, details) {
    Object.assign(this, { table, places, details });
    this.first = Math.min(this.first, Math.max(0, places.length - WINDOW));
    const turn = (this.turn = {});
    await this.volume.draw({ rows: bucketed(table, all, ["ended"]).rows }, bucketed(table, all, []).signals);
    for (const name of MANY) {
      await breathe();
      if (this.turn !== turn) return;
      await this.drawOne(name);
    }
  }

  async drawOne(name) {
    const { table, places } = this;
    const [sets, signals] = this[name](table, places);
    await this.byName[name].draw(sets, signals, table.groups);
    performance.mark(name);
  }

  ecdf(table, places) {
    return [{ rows: table.rows(places, ["group", "ttft_s", "ttft_text_s"]) }];
  }

  gaps(table, places) {
    return [{ gaps: table.gapRows(places) }];
  }

  over_time(table, places) {
    const { rows, signals } = bucketed(table, places, ["ttft_s"]);
    return [{ rows, drawn: table.rows(drawn(table, places), ["t", "group", "model", "stream", "ttft_s"]) }, signals];
  }

  tokens(table, places) {
    const known = places.filter((place) => table.get("input", place) > 0);
    const fields = ["stream", "model", "ttft_s", "input", "cache_share"];
    return [{ drawn: table.rows(drawn(table, known), fields) }];
  }

  heat(table, places) {
    return [{ rows: table.rows(places, ["t", "ttft_s"]) }];
  }

  goodput(table, places) {
    const calls = places.filter((place) => table.get("last", place));
    const fields = ["group", "outcome", "ttft_s", "ttft_call_s", "gap_max_s", "duration_call_s"];
    return [{ calls: table.rows(calls, fields) }, this.limits];
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
      (this.details.get(stream)?.runs ?? []).map(({ kind, start, end }) => ({ stream, model, kind, from: t + start, to: t + end }))
    ));
    const last = this.first + shown.length;
    this.which.textContent = shown.length ? `${this.first + 1} to ${last} of ${places.length.toLocaleString("en")}, from ${utc(t0)}` : "";
    this.earlier.disabled = this.first === 0;
    this.later.disabled = last >= places.length;
    return [{ window: rows, runs }];
  }

  windowButtons() {
    const move = (by) => () => {
      this.first = Math.max(0, Math.min(this.first + by, this.places.length - WINDOW));
      this.drawOne("gantt");
    };
    this.which = element("output", { "aria-live": "polite" });
    this.earlier = element("button", { type: "button", onclick: move(-WINDOW) }, "← Earlier");
    this.later = element("button", { type: "button", onclick: move(WINDOW) }, "Later →");
    const starts = [["", "where they overlap, at their time"], ["time", "at their time"], ["send", "all from 0"]];
    this.start = element("select", { onchange: () => this.drawOne("gantt") }, ...starts.map(([value, text]) => element("option", { value }, text)));
    const label = element("label", {}, "Bars begin ", this.start);
    this.byName.gantt.place.before(element("div", { class: "controls" }, this.earlier, this.later, this.which, label));
  }

  limitInputs() {
    const labels = Object.entries(LIMITS).map(([name, text]) => {
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

// Rows with the number of their part of the time, of 60, and what turns such a number back into a time.
function bucketed(table, places, fields) {
  if (!places.length) return { rows: [], signals: {} };
  const t0 = table.get("t", places[0]);
  const step = Math.max(1, (table.get("t", places.at(-1)) - t0) / (BUCKETS - 1e-6));
  const rows = table.rows(places, fields);
  rows.forEach((row, n) => (row.bucket = Math.floor((table.get("t", places[n]) - t0) / step)));
  return { rows, signals: { t0, step } };
}

// The slowest, and of the others every so manyth.
function drawn(table, places) {
  if (places.length <= DRAWN) return places;
  const slowest = [...places].sort((a, b) => (table.get("ttft_s", b) ?? 0) - (table.get("ttft_s", a) ?? 0));
  const first = slowest.slice(0, DRAWN / 5);
  const rest = slowest.slice(DRAWN / 5).sort((a, b) => a - b);
  const left = DRAWN - first.length;
  return [...first, ...Array.from({ length: left }, (_, n) => rest[Math.floor((n * rest.length) / left)])];
}
