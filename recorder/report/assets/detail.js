// One stream: its numbers, and where its events are here, its pictures and its text.

const ONE = ["waterfall", "curve", "strip"];
const NUMBERS = [
  "model", "outcome", "error_type", "status", "headers_s", "first_event_s", "ttft_s", "ttft_text_s", "stream_s", "tail_s", "duration_s",
  "gap_p50_s", "gap_p99_s", "gap_max_s", "stalls", "stalled_s", "hold_s", "pings", "events", "tpot_s", "input",
  "cache_share", "output_tokens", "output_chars", "attempt", "ttft_call_s", "duration_call_s",
];

class Detail {
  // `find(id)`: the details of a stream, or null where they are not to be had.
  constructor(specs, config, find) {
    this.find = find;
    this.player = new Player();
    const figures = ONE.map((name) => element("figure", { class: "chart", id: `chart-${name}` }));
    $("stream-charts").append(...figures);
    this.charts = Object.fromEntries(ONE.map((name, n) => [name, new Chart(figures[n], name, specs[name], config)]));
    $("close").addEventListener("click", () => $("stream").close());
    $("previous").addEventListener("click", () => this.step(-1));
    $("next").addEventListener("click", () => this.step(1));
    $("stream").addEventListener("close", () => this.closed());
    $("stream").addEventListener("keydown", (event) => this.key(event));
  }

  key(event) {
    if (event.ctrlKey || event.altKey || event.metaKey) return;
    const free = !/^(INPUT|SELECT)$/.test(event.target.tagName);
    if (free && event.key === "ArrowLeft") this.step(-1);
    else if (free && event.key === "ArrowRight") this.step(1);
    else if ($("player").hidden || !this.player.key(event)) return;
    event.preventDefault();
  }

  closed() {
    this.player.pause();
    history.replaceState(null, "", location.pathname + location.search);
  }

  step(by) {
    const next = this.places[this.places.indexOf(this.place) + by];
    if (next !== undefined) this.open(this.table, next, this.places);
  }

  // `places`: the streams that the filter lets through, to go to the next.
  async open(table, place, places) {
    const id = table.get("stream", place);
    Object.assign(this, { table, place, places });
    history.replaceState(null, "", `#stream=${encodeURIComponent(id)}`);
    $("stream-title").textContent = visible(`Stream ${id}`);
    const line = [`sent ${utc(table.get("t", place))} UTC`, table.get("model", place), table.get("outcome", place), tagText(table.get("tags", place))];
    $("stream-line").textContent = visible(line.filter(Boolean).join(" · "));
    $("previous").disabled = places.indexOf(place) <= 0;
    $("next").disabled = places.indexOf(place) === places.length - 1;
    this.numbers(table, place);
    if (!$("stream").open) $("stream").showModal();
    const one = await this.find(id);
    if (this.place === place) await this.show(one, table, place);
  }

  async show(one, table, place) {
    this.player.pause();
    this.note(one);
    this.request(one);
    $("player").hidden = one === null || !one.frames.at.length;
    if (!$("player").hidden) this.player.load(one, (time) => this.moved(time));
    const spans = one?.spans ?? roughSpans(table, place);
    const [strip, stalls, pings] = ["strip", "stalls", "pings"].map((name) => one?.[name] ?? []);
    const curve = one === null ? [] : curveRows(one.frames);
    const params = { end: one?.end_s ?? Math.max(...spans.map(({ end }) => end)) };
    await this.charts.waterfall.draw({ spans }, [], params);
    await this.charts.curve.draw(curve.length ? { curve, stalls, pings, now: [{ at: 0 }] } : {}, [], params);
    await this.charts.strip.draw({ strip }, [], params);
  }

  note(one) {
    const said = [];
    if (one === null) said.push(`Its events are not in this page: recorder show PATH ${this.table.get("stream", this.place)} has them.`);
    if (one?.error) said.push(one.error);
    if (one?.textless) said.push("Recorded without text: the player shows blocks of its length.");
    if (!one?.textless && one?.frames.text.some((text, n) => text === null && one.frames.chars[n])) {
      said.push("Some of its text is too long for this page: the player shows blocks of its length.");
    }
    if (one?.left_out) said.push(`The last ${one.left_out.toLocaleString("en")} outputs are not in this page.`);
    if (one?.eager) said.push("The tap read ahead of the application: times are of its own reads.");
    $("stream-note").hidden = !said.length;
    $("stream-note").replaceChildren(...said.flatMap((text) => [element("span", {}, text), element("br")]).slice(0, -1));
  }

  numbers(table, place) {
    const rows = NUMBERS.map((name) => [name, table.get(name, place)]).filter(([, value]) => value !== null && value !== undefined);
    $("numbers").replaceChildren(...rows.map(([name, value]) => {
      return element("tr", {}, element("th", { scope: "row" }, name), element("td", {}, numberText(name, value)));
    }));
  }

  request(one) {
    if (one === null) return $("request").replaceChildren(element("p", {}, "Not in this page."));
    const headers = one.response.map(([name, value]) => `${name}: ${value}`).join("\n");
    const parts = [
      element("p", { class: "mono" }, one.url),
      element("p", { class: "mono" }, `call ${one.call}, attempt ${one.attempt}; ${one.file}`),
      headers && element("pre", {}, headers),
      one.request === null ? null : element("details", {}, element("summary", {}, "Request body"), element("pre", {}, one.request)),
    ];
    return $("request").replaceChildren(...parts.filter(Boolean));
  }

  // Ten times a second is enough for a line that moves.
  moved(time) {
    const { view } = this.charts.curve;
    const now = performance.now();
    if (view === null || (this.player.playing && now - (this.drawn ?? 0) < 100)) return;
    this.drawn = now;
    view.data("now", [{ at: time }]).runAsync();
  }
}

function numberText(name, value) {
  if (name === "tpot_s") return value.toFixed(5);
  if (name.endsWith("_s")) return seconds(value);
  return typeof value === "number" ? String(Math.round(value * 1000) / 1000) : value;
}

// What the row of a stream tells, where its events are not here.
function roughSpans(table, place) {
  const of = (name) => table.get(name, place);
  const [headers, first, stream, end] = ["headers_s", "ttft_s", "stream_s", "duration_s"].map(of);
  const last = first === null ? headers : first + (stream ?? 0);
  return [
    { lane: "connection", kind: "wait for headers", start: 0, end: headers },
    { lane: "wait", kind: "wait for first output", start: headers, end: first },
    { lane: "block", kind: "output", start: first, end: last },
    { lane: "tail", kind: "tail", start: last, end },
  ].filter(({ start, end: stop }) => start !== null && stop !== null);
}
