// A over B: two sets of streams by one metric, with an interval for the difference of their medians.

const METRICS = ["ttft_s", "ttft_text_s", "duration_s", "gap_max_s", "gap_p99_s", "stream_s", "headers_s", "tpot_s"];
const DRAWS = 1000;
const FEW = 200;

class Compare {
  constructor(specs, config) {
    this.section = element("section", { class: "card wide", id: "compare", "aria-labelledby": "compare-title" });
    this.metric = element("select", { id: "metric", onchange: () => this.redraw() }, ...METRICS.map((name) => element("option", {}, name)));
    this.sides = ["A", "B"].map((side) => element("select", { id: `side-${side}`, onchange: () => this.redraw() }));
    this.said = element("p", { id: "difference", "aria-live": "polite" });
    const figures = ["compare", "shift"].map((name) => element("figure", { class: "chart", id: `chart-${name}` }));
    this.section.append(
      element("h2", { id: "compare-title" }, "Compare"),
      element(
        "div", { class: "controls" },
        element("label", {}, "A ", this.sides[0]), element("label", {}, "B ", this.sides[1]), element("label", {}, "by ", this.metric),
      ),
      this.said,
      element("div", { class: "columns" }, ...figures),
    );
    $("charts").after(this.section);
    this.charts = figures.map((figure, n) => new Chart(figure, figure.id, specs[["compare", "shift"][n]], config));
  }

  async draw(table, places) {
    Object.assign(this, { table, places });
    const options = ["first half of the time", "second half of the time", "all", ...table.groups, ...tagsOf(table)];
    this.sides.forEach((select, n) => {
      const before = select.value;
      select.replaceChildren(...options.map((name) => element("option", { value: name }, name)));
      select.value = options.includes(before) ? before : options[n];
    });
    await this.redraw();
  }

  async redraw() {
    const name = this.metric.value;
    const [a, b] = this.sides.map((select) => positive(this.table.sorted(this.of(select.value), name)));
    this.said.textContent = difference(a, b, name);
    const both = a.length > 1 && b.length > 1;
    const sides = [...ecdf(a, { side: "A" }), ...ecdf(b, { side: "B" })];
    const medians = [{ side: "A", seconds: quantile(a, 0.5) }, { side: "B", seconds: quantile(b, 0.5) }];
    await this.charts[0].draw(both ? { sides, medians } : {});
    await this.charts[1].draw(both ? { shift: shiftRows(a, b) } : {});
  }

  of(name) {
    const { table, places } = this;
    const half = places.length ? (table.get("t", places[0]) + table.get("t", places.at(-1))) / 2 : 0;
    if (name === "all") return places;
    if (name === "first half of the time") return places.filter((place) => table.get("t", place) < half);
    if (name === "second half of the time") return places.filter((place) => table.get("t", place) >= half);
    if (table.groups.includes(name)) return places.filter((place) => table.get("group", place) === name);
    return places.filter((place) => table.tagged[table.columns.tags[place]].has(name));
  }
}

// The same numbers each time, so that a page looks the same each time.
function chance(seed) {
  return () => {
    seed = (seed + 0x6d2b79f5) | 0;
    let t = Math.imul(seed ^ (seed >>> 15), 1 | seed);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 4294967296;
  };
}

// The median of a sample drawn from `sorted` with replacement. Its rank is all that chance decides: of many values
// that is normal around the middle, with a deviation of half the root of their number.
function resampledMedian(sorted, random) {
  const n = sorted.length;
  if (n < FEW) return quantile(Float64Array.from(sorted, () => sorted[Math.floor(random() * n)]).sort(), 0.5);
  const z = Math.sqrt(-2 * Math.log(1 - random())) * Math.cos(2 * Math.PI * random());
  return quantile(sorted, Math.min(1, Math.max(0, 0.5 + (z * Math.sqrt(n)) / 2 / (n - 1))));
}

function difference(a, b, name) {
  if (a.length < 2 || b.length < 2) return "Too few streams on one side.";
  const random = chance(1);
  const again = (from) => resampledMedian(from, random);
  const [mid, ...drawnOnes] = [quantile(b, 0.5) - quantile(a, 0.5), ...Array.from({ length: DRAWS }, () => again(b) - again(a))];
  const sorted = Float64Array.from(drawnOnes).sort();
  const signed = (value) => `${value < 0 ? "−" : "+"}${seconds(Math.abs(value))}`;
  const n = `n = ${a.length.toLocaleString("en")} and ${b.length.toLocaleString("en")}`;
  return `Median ${name}: A ${seconds(quantile(a, 0.5))} s, B ${seconds(quantile(b, 0.5))} s; B − A = ${signed(mid)} s, ` +
    `95 % interval ${signed(quantile(sorted, 0.025))} to ${signed(quantile(sorted, 0.975))} s (bootstrap, ${DRAWS} draws); ${n}.`;
}

function tagsOf(table) {
  const counts = new Map();
  table.columns.tags.forEach((place) => table.tagged[place].forEach((tag) => counts.set(tag, (counts.get(tag) ?? 0) + 1)));
  return [...counts].sort((a, b) => b[1] - a[1]).slice(0, 200).map(([tag]) => tag);
}
