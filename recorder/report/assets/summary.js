// The summary: one line for all streams, one for each model.

const ENOUGH = 100;
const SPREADS = [
  ["ttft p50", "ttft_s", 0.5], ["p95", "ttft_s", 0.95], ["p99", "ttft_s", 0.99], ["adjusted p95", "adjusted", 0.95],
  ["ttft_text p50", "ttft_text_s", 0.5], ["duration p50", "duration_s", 0.5], ["longest gap p50", "gap_max_s", 0.5],
  ["p95", "gap_max_s", 0.95], ["s per token p50", "tpot_s", 0.5],
];

function drawSummary(table, places) {
  const some = [...byGroup(table, places)].filter(([, of]) => of.length);
  const lines = some.length > 1 ? [["(all)", places], ...some] : some;
  const heads = ["model", "streams", "complete", "no output", "with a stall", "n of ttft", ...SPREADS.map(([name]) => name)];
  $("summary").replaceChildren(
    element("thead", {}, element("tr", {}, ...heads.map((name) => element("th", { scope: "col" }, name)))),
    element("tbody", {}, ...lines.map(([name, of]) => summaryLine(table, name, of))),
  );
}

function summaryLine(table, name, places) {
  const over = places.filter((place) => table.get("outcome", place) !== "open");
  const share = (test) => (over.length ? `${((100 * over.filter(test).length) / over.length).toFixed(1)} %` : "–");
  const known = {};
  for (const [, metric] of SPREADS) known[metric] ??= metric === "adjusted" ? null : table.sorted(places, metric);
  known.adjusted = new Float64Array(Math.max(over.length, known.ttft_s.length)).fill(Infinity);
  known.adjusted.set(known.ttft_s);
  const cells = [
    [places.length.toLocaleString("en")],
    [share((place) => table.get("outcome", place) === "complete")],
    [share((place) => table.get("ttft_s", place) === null)],
    [share((place) => table.get("stalls", place) > 0)],
    [known.ttft_s.length.toLocaleString("en")],
    ...SPREADS.map(([, metric, p]) => [seconds(quantile(known[metric], p)), p === 0.99 && known[metric].length < ENOUGH]),
  ];
  const tds = cells.map(([text, small]) => element("td", { class: small ? "small" : null, title: small ? "n too small" : null }, text));
  return element("tr", {}, element("th", { scope: "row" }, name), ...tds);
}
