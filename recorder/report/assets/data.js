"use strict";
// What page.py packed, unpacked; and the streams as a table that is read column by column.

const UNIT_S = 1e-5;
const OTHERS = "(other models)";
const SECONDS = new Set([
  "headers_s", "first_event_s", "ttft_s", "ttft_text_s", "stream_s", "tail_s", "duration_s", "gap_p50_s", "gap_p99_s",
  "gap_max_s", "stalled_s", "hold_s", "ttft_call_s", "duration_call_s",
]);
const ENDED = ["complete", "open"];
const SCALES = { tpot_s: 1e-6, cache_share: 1e-3 };

async function inflated(stream) {
  return new Response(stream.pipeThrough(new DecompressionStream("gzip"))).json();
}

async function unpack(id) {
  const text = atob(document.getElementById(`packed-${id}`).textContent);
  const bytes = new Uint8Array(text.length);
  for (let n = 0; n < bytes.length; n++) bytes[n] = text.charCodeAt(n);
  return inflated(new Response(bytes).body);
}

// Control characters, and those that turn the direction of text around, are shown as escapes: recorded text is not
// to be trusted, not even with the order of its letters.
const CONTROLS = /[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ufeff]/g;
function visible(text) {
  return String(text).replace(CONTROLS, (one) => `\\u${one.charCodeAt(0).toString(16).padStart(4, "0")}`);
}

class Table {
  constructor(data) {
    Object.assign(this, data);
    this.decoded = {};
    const known = new Set(this.groups);
    this.groupOf = this.names.model.map((model) => (known.has(model) ? model : OTHERS));
    this.tagged = this.names.tags.map((tags) => new Set((tags ?? []).map(([key, value]) => `${key}=${value}`)));
    this.places = new Map(this.columns.stream.map((id, place) => [id, place]));
  }

  // A column as a person knows it: seconds, shares, names. Null where it is not known.
  column(name) {
    return (this.decoded[name] ??= this.decode(name));
  }

  decode(name) {
    const { columns, names } = this;
    if (name === "group") return columns.model.map((model) => this.groupOf[model]);
    if (name === "t") return columns.wall_ms;
    if (name === "ended") return this.column("outcome").map((one) => (ENDED.includes(one) ? one : "not complete"));
    if (name in names) return columns[name].map((value) => names[name][value]);
    const scale = SECONDS.has(name) ? UNIT_S : SCALES[name];
    return scale === undefined ? columns[name] : columns[name].map((value) => (value === null ? null : value * scale));
  }

  get(name, place) {
    return this.column(name)[place];
  }

  rows(places, fields) {
    const columns = fields.map((name) => [name, this.column(name)]);
    return places.map((place) => Object.fromEntries(columns.map(([name, column]) => [name, column[place]])));
  }

  // The known values of a column, sorted.
  sorted(places, name) {
    const column = this.column(name);
    const values = new Float64Array(places.length);
    let size = 0;
    for (const place of places) if (column[place] !== null) values[size++] = column[place];
    return values.subarray(0, size).sort();
  }

  // Places, by time, of the streams that a filter lets through.
  select({ models, outcome, tag, from, to }) {
    const { model, outcome: ended, tags, wall_ms } = this.columns;
    const out = [];
    for (let place = 0; place < this.count; place++) {
      if (models && !models.has(this.groupOf[model[place]])) continue;
      if (outcome && this.names.outcome[ended[place]] !== outcome) continue;
      if (tag && !this.tagged[tags[place]].has(tag)) continue;
      if (from !== null && wall_ms[place] < from) continue;
      if (to !== null && wall_ms[place] > to) continue;
      out.push(place);
    }
    return out;
  }

  // The gaps of these streams, added up: rows of type, bin and n.
  gapRows(places) {
    const totals = new Map();
    const { starts, codes, counts, types } = this.gaps;
    for (const place of places) {
      for (let n = starts[place]; n < starts[place + 1]; n++) {
        totals.set(codes[n], (totals.get(codes[n]) ?? 0) + counts[n]);
      }
    }
    return [...totals]
      .sort((a, b) => a[0] - b[0])
      .map(([code, n]) => ({ type: types[Math.floor(code / 1000)], bin: (code % 1000) - 500, n }));
  }
}

// Interpolated linearly between the two nearest of sorted values; null of none.
function quantile(sorted, p) {
  if (!sorted.length) return null;
  const at = (sorted.length - 1) * p;
  const low = Math.floor(at);
  const above = sorted[Math.min(low + 1, sorted.length - 1)];
  return above === Infinity && at > low ? Infinity : sorted[low] + (at - low) * (above - sorted[low] || 0);
}

function utc(ms) {
  return new Date(ms).toISOString().replace("T", " ").replace(/\.\d+Z$/, "");
}

function seconds(value) {
  if (value === null || value === undefined) return "–";
  if (value === Infinity) return "∞";
  return value.toFixed(Math.abs(value) < 0.1 ? 4 : Math.abs(value) < 100 ? 3 : 1);
}
