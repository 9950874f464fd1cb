// What the charts of many streams show, out of their rows. aggregate.py does the same for pictures in files.

const BUCKETS = 60;
const STEPS = 200;
const AROUND = 1;
const MARKS = 2000;
const GAPS = [["under 25 ms", 0.025], ["25 to 50 ms", 0.05], ["over 50 ms", Infinity]];
const LIMITED = ["all of them", "complete", "first token", "longest gap", "duration"];

// Parts of the time from the first to the last of the streams: where it begins, how long a part is, in ms.
function parts(table, places) {
  const { wall_ms: wall } = table.columns;
  const t0 = wall[places[0]];
  return { t0, step: Math.max(1, (wall[places.at(-1)] - t0) / (BUCKETS - 1e-6)) };
}

function volumeRows(table, places) {
  const { t0, step } = parts(table, places);
  const [t, ended] = ["t", "ended"].map((name) => table.column(name));
  const counts = Object.fromEntries([...ENDED, "not complete"].map((kind) => [kind, new Array(BUCKETS).fill(0)]));
  for (const place of places) counts[ended[place]][Math.floor((t[place] - t0) / step)] += 1;
  return Object.entries(counts).flatMap(([kind, each]) => each.flatMap((n, bucket) => (
    n ? [{ from: t0 + bucket * step, to: t0 + (bucket + 1) * step, ended: kind, n }] : []
  )));
}

// Points of a cumulative distribution, of sorted values.
function ecdf(sorted, fields) {
  const size = sorted.length ? Math.min(STEPS, sorted.length) : 0;
  return Array.from({ length: size }, (_, n) => {
    const p = (n + 0.5) / size;
    return { ...fields, p, seconds: quantile(sorted, p) };
  });
}

function byGroup(table, places) {
  const groups = new Map(table.groups.map((group) => [group, []]));
  const of = table.column("group");
  for (const place of places) groups.get(of[place]).push(place);
  return groups;
}

function ecdfRows(table, places) {
  return [...byGroup(table, places)].flatMap(([group, of]) => (
    ["ttft_s", "ttft_text_s"].flatMap((metric) => ecdf(positive(table.sorted(of, metric)), { group, metric }))
  ));
}

// Of sorted values, those that a logarithmic scale can show.
function positive(sorted) {
  const first = sorted.findIndex((value) => value > 0);
  return first < 0 ? sorted.subarray(0, 0) : sorted.subarray(first);
}

function rollingRows(table, places) {
  const { t0, step } = parts(table, places);
  const buckets = Array.from({ length: BUCKETS }, () => []);
  for (const place of places) buckets[Math.floor((table.get("t", place) - t0) / step)].push(place);
  return buckets.flatMap((_, n) => {
    const near = buckets.slice(Math.max(0, n - AROUND), n + AROUND + 1).flat();
    const sorted = positive(table.sorted(near, "ttft_s"));
    const middle = t0 + (n + 0.5) * step;
    if (!sorted.length) return [];
    return [["p50", 0.5], ["p95", 0.95]].map(([line, p]) => ({ middle, line, seconds: quantile(sorted, p) }));
  });
}

function heatRows(table, places) {
  const hours = new Map();
  for (const place of places) {
    const hour = Math.floor(table.get("t", place) / 3_600_000);
    if (!hours.has(hour)) hours.set(hour, []);
    hours.get(hour).push(place);
  }
  return [...hours].flatMap(([at, of]) => {
    const sorted = table.sorted(of, "ttft_s");
    const [day, hour] = [Math.floor(at / 24) * 86_400_000, at % 24];
    return sorted.length ? [{ day, hour, seconds: quantile(sorted, 0.95), n: sorted.length }] : [];
  });
}

// `limits`: seconds, of ttft, gap and duration.
function goodputRows(table, places, limits) {
  return [...byGroup(table, places.filter((place) => table.get("last", place)))].flatMap(([group, of]) => {
    const kept = new Array(LIMITED.length).fill(0);
    for (const place of of) keptBy(table, place, limits).forEach((one, n) => (kept[n] += one ? 1 : 0));
    return of.length ? LIMITED.map((limit, n) => ({ group, limit, share: kept[n] / of.length, n: of.length })) : [];
  });
}

function keptBy(table, place, limits) {
  const [ttft, duration, gap] = ["ttft_call_s", "duration_call_s", "gap_max_s"].map((name) => table.get(name, place));
  const some = table.get("ttft_s", place) !== null;
  const each = [
    table.get("outcome", place) === "complete",
    ttft !== null && ttft <= limits.ttft,
    some && !(gap > limits.gap),
    some && duration !== null && duration <= limits.duration,
  ];
  return [each.every(Boolean), ...each];
}

function shiftRows(a, b) {
  return Array.from({ length: 19 }, (_, n) => {
    const p = (n + 1) / 20;
    const [A, B] = [quantile(a, p), quantile(b, p)];
    return { p, A, B, later: B - A, sign: B > A ? "B slower" : "B faster" };
  });
}

// Characters so far, at each output or every so manyth.
function curveRows({ at, chars }) {
  let sum = 0;
  const sums = chars.map((n) => (sum += n));
  const last = sums.length - 1;
  const places = last < MARKS ? [...sums.keys()] : Array.from({ length: MARKS }, (_, n) => Math.floor((n * last) / (MARKS - 1)));
  return places.map((place) => ({ at: at[place], chars: sums[place] }));
}

// The output of a stream as runs of gaps of one kind.
function runRows({ at }) {
  const runs = [];
  for (let n = 1; n < at.length; n++) {
    const [start, end] = [at[n - 1], at[n]];
    if (end <= start) continue;
    const [kind] = GAPS.find(([, limit]) => end - start < limit);
    if (runs.at(-1)?.kind === kind) runs.at(-1).end = end;
    else runs.push({ kind, start, end });
  }
  return runs.slice(0, MARKS);
}
