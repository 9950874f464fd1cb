// Tables of many rows: a page at a time, sorted by a click on a head.

class Grid {
  // `columns`: {name, value(row), text(value), right}; `open(row)`: what a click does, `marked(row)`: shown in bold.
  constructor(table, nav, columns, { open, marked = () => false, size = 25, sort = null }) {
    Object.assign(this, { table, nav, columns, open, marked, size, sort, page: 0, rows: [] });
    this.down = true;
    this.head = element("tr", {}, ...columns.map((column, n) => (
      element("th", { scope: "col", class: column.right ? "right" : null },
        element("button", { type: "button", onclick: () => this.by(n) }, column.name))
    )));
    this.body = element("tbody");
    table.replaceChildren(element("thead", {}, this.head), this.body);
    this.where = element("output");
    this.back = element("button", { type: "button", onclick: () => this.go(-1) }, "←");
    this.on = element("button", { type: "button", onclick: () => this.go(1) }, "→");
    this.back.setAttribute("aria-label", "Page before");
    this.on.setAttribute("aria-label", "Next page");
    nav.replaceChildren(this.back, this.where, this.on);
  }

  show(rows) {
    this.rows = rows;
    this.ordered = this.sort === null ? rows : this.inOrder();
    this.page = Math.min(this.page, Math.max(0, Math.ceil(rows.length / this.size) - 1));
    this.draw();
  }

  inOrder() {
    const { value } = this.columns[this.sort];
    const keyed = this.rows.map((row) => [value(row), row]);
    const sign = this.down ? -1 : 1;
    keyed.sort(([a], [b]) => {
      if (a === null || b === null) return (a === null) - (b === null);
      return sign * (a < b ? -1 : a > b ? 1 : 0);
    });
    return keyed.map(([, row]) => row);
  }

  by(n) {
    this.down = this.sort === n ? !this.down : true;
    this.sort = n;
    this.page = 0;
    this.show(this.rows);
  }

  go(by) {
    this.page += by;
    this.draw();
  }

  draw() {
    const pages = Math.max(1, Math.ceil(this.rows.length / this.size));
    const from = this.page * this.size;
    this.body.replaceChildren(...this.ordered.slice(from, from + this.size).map((row) => this.line(row)));
    [...this.head.children].forEach((th, n) => {
      th.setAttribute("aria-sort", n !== this.sort ? "none" : this.down ? "descending" : "ascending");
    });
    this.where.textContent = this.rows.length ? `page ${this.page + 1} of ${pages.toLocaleString("en")}` : "none";
    this.back.disabled = this.page === 0;
    this.on.disabled = this.page >= pages - 1;
    this.nav.hidden = pages === 1 && this.rows.length > 0;
  }

  line(row) {
    const cells = this.columns.map(({ value, text = (one) => one ?? "–", right }, n) => {
      const shown = String(text(value(row)));
      const inside = n === 0 ? element("button", { type: "button", class: "link" }, shown) : shown;
      return element("td", { class: right ? "right" : null, title: shown.length > 30 ? visible(shown) : null }, inside);
    });
    return element("tr", { class: this.marked(row) ? "marked" : null, onclick: () => this.open(row) }, ...cells);
  }
}

const short = (id) => id.slice(0, 8);
const tagText = (tags) => (tags ?? []).map(([key, value]) => `${key}=${value}`).join(" ");

function streamGrid(table, open, marked) {
  const of = (name) => (place) => table().get(name, place);
  const time = (name) => ({ name, value: of(name), text: seconds, right: true });
  const columns = [
    { name: "stream", value: of("stream"), text: short },
    { name: "sent (UTC)", value: of("t"), text: utc },
    { name: "model", value: of("model") },
    { name: "outcome", value: of("outcome") },
    time("ttft_s"), time("ttft_text_s"), time("duration_s"), time("gap_max_s"),
    { name: "stalls", value: of("stalls"), right: true },
    { name: "events", value: of("events"), right: true },
    { name: "tokens", value: of("output_tokens"), right: true },
    { name: "tags", value: (place) => tagText(of("tags")(place)) },
  ];
  return new Grid($("stream-table"), $("stream-pages"), columns, { open, marked });
}

function stallGrid(table, open) {
  const of = (name) => (n) => table().stalls[name][n];
  const place = (n) => table().stalls.stream[n];
  const columns = [
    { name: "stream", value: (n) => table().get("stream", place(n)), text: short },
    { name: "sent (UTC)", value: (n) => table().get("t", place(n)), text: utc },
    { name: "model", value: (n) => table().get("model", place(n)) },
    { name: "kind", value: of("kind") },
    { name: "block", value: of("type"), text: (type) => type || "–" },
    { name: "at, s", value: of("start_s"), text: seconds, right: true },
    { name: "stall, s", value: of("stall_s"), text: seconds, right: true },
    { name: "held, s", value: of("hold_s"), text: seconds, right: true },
    { name: "pings", value: of("pings"), right: true },
  ];
  return new Grid($("stall-table"), $("stall-pages"), columns, { open: (n) => open(place(n)), size: 12, sort: 6 });
}
