// The text of a stream, arriving as it did.

const SPEEDS = [0.25, 0.5, 1, 2, 4, 8, 16];
const LONG_S = 1;
const HIDDEN = "░";
const STEP_S = 1;

class Player {
  constructor() {
    $("speed").append(...SPEEDS.map((speed) => element("option", { value: speed, selected: speed === 1 }, `${speed}×`)));
    $("play").addEventListener("click", () => (this.playing ? this.pause() : this.start()));
    $("scrub").addEventListener("input", (event) => this.seek(event.target.valueAsNumber));
    this.playing = false;
  }

  // `one`: the details of a stream; `moved(seconds)`: told where the player is.
  load(one, moved) {
    this.pause();
    Object.assign(this, { frames: one.frames, end: Math.max(one.end_s, 0.001), blocks: one.blocks, moved });
    $("scrub").max = this.end;
    this.seek(0);
  }

  start() {
    if (this.time >= this.end) this.seek(0);
    this.playing = true;
    $("play").textContent = "Pause";
    this.last = performance.now();
    requestAnimationFrame((now) => this.tick(now));
  }

  pause() {
    this.playing = false;
    $("play").textContent = "Play";
  }

  tick(now) {
    if (!this.playing) return;
    const passed = Math.max(0, now - this.last) / 1000;
    this.last = now;
    this.seek(this.skipped(this.time + passed * Number($("speed").value)));
    if (this.time >= this.end) this.pause();
    else requestAnimationFrame((next) => this.tick(next));
  }

  // With long waits skipped, the time just before the next output.
  skipped(time) {
    if (!$("skip").checked) return time;
    const next = this.frames.at[this.shown] ?? this.end;
    return next - time > LONG_S ? next - LONG_S / 4 : time;
  }

  seek(time) {
    this.time = Math.min(this.end, Math.max(0, time));
    const { at } = this.frames;
    if (!this.shown || (this.shown && at[this.shown - 1] > this.time)) this.clear();
    while (this.shown < at.length && at[this.shown] <= this.time) this.append(this.shown++);
    this.flush();
    $("scrub").value = this.time;
    $("scrub").setAttribute("aria-valuetext", `${seconds(this.time)} of ${seconds(this.end)} seconds`);
    $("clock").textContent = `${seconds(this.time)} of ${seconds(this.end)} s · ${this.chars.toLocaleString("en")} characters`;
    this.moved(this.time);
  }

  clear() {
    this.shown = this.chars = 0;
    this.block = undefined;
    this.pending = "";
    this.node = null;
    $("text").replaceChildren();
  }

  append(n) {
    const { block, kind, chars, text } = this.frames;
    const hidden = text[n] === null;
    if (this.node === null || block[n] !== this.block) this.begin(block[n], kind[n], hidden);
    this.chars += chars[n];
    this.pending += hidden ? HIDDEN.repeat(Math.min(chars[n], 5000)) : text[n];
  }

  begin(block, kind, hidden) {
    this.flush();
    this.block = block;
    this.node = document.createTextNode("");
    const label = block === null ? kind : `${block} ${this.blocks[block] ?? kind}`;
    $("text").append(element("div", { class: `block ${kind}${hidden ? " hidden-text" : ""}` }, element("small", {}, label), this.node));
  }

  // Text is added once a frame, not once an event.
  flush() {
    if (this.node === null || !this.pending) return;
    this.node.appendData(visible(this.pending));
    this.pending = "";
    $("text").scrollTop = $("text").scrollHeight;
  }

  key(event) {
    if (/^(INPUT|SELECT|BUTTON)$/.test(event.target.tagName) && event.key !== "k") return false;
    if (event.key === " " || event.key === "k") this.playing ? this.pause() : this.start();
    else if (event.key === "," || event.key === "j") this.seek(this.time - STEP_S);
    else if (event.key === "." || event.key === "l") this.seek(this.time + STEP_S);
    else return false;
    return true;
  }
}
