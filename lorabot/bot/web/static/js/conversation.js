/** The conversation: lines in their order, grouped by author and day, and the scrolling that follows them. */

import { el, find, setText } from "./dom.js";
import { createLine, createPending } from "./line.js";
import { day } from "./texts.js";

const GROUP_MS = 3 * 60_000;
const NEAR_END_PX = 90;

export class Conversation {
  #on;
  #lines = new Map();
  #pending = new Map();
  #scroller = find("scroller");
  #log = find("log");
  #newer = find("newer");
  #follow = true;

  /** @param on `press(button)`, `command(text)`: the lines' buttons. */
  constructor(on) {
    this.#on = on;
    this.#scroller.addEventListener("scroll", () => this.#scrolled(), { passive: true });
    this.#newer.addEventListener("click", () => this.toEnd(true));
    // Pictures arrive and cards grow after they were put in: keep the end in sight if it was.
    new ResizeObserver(() => this.#follow && this.toEnd()).observe(this.#log);
    new ResizeObserver(() => this.#follow && this.toEnd()).observe(this.#scroller);
  }

  /** The last line that is known. */
  get since() {
    return Math.max(0, ...this.#lines.keys());
  }

  /** The newest card that has not ended, or null. */
  get running() {
    return [...this.#lines.values()].map(({ line }) => line.card).filter((card) => card && !card.final).at(-1) ?? null;
  }

  /** Texts that the person wrote, newest last. */
  get said() {
    return [...this.#lines.values()].filter(({ line }) => line.author === "you" && line.kind === "text").map(({ line }) => line.text);
  }

  /** Puts in what was said before; a screen reader need not read all of it. */
  tell(lines) {
    this.#log.ariaBusy = "true";
    // What the server has deleted meanwhile is gone from the page, too.
    const there = new Set(lines.map((line) => line.id));
    for (const [id, { view }] of this.#lines) {
      if (there.has(id)) continue;
      view.node.remove();
      this.#lines.delete(id);
      for (const divider of this.#log.querySelectorAll(".day")) divider.remove();
    }
    this.put(lines, false);
    this.#arrange();
    setTimeout(() => (this.#log.ariaBusy = null), 500);
  }

  /** Puts `lines` in or changes them; `fresh` ones are moved in and counted as new. */
  put(lines, fresh) {
    let added = false;
    for (const line of lines) {
      const known = this.#lines.get(line.id);
      if (known) {
        known.line = line;
        known.view.update(line);
        continue;
      }
      added = true;
      this.#forget(line.key);
      const view = createLine(line, this.#on);
      view.node.classList.toggle("new", fresh);
      this.#lines.set(line.id, { line, view });
      const after = [...this.#lines.values()].filter((one) => one.line.id > line.id).sort((a, b) => a.line.id - b.line.id)[0];
      this.#log.insertBefore(view.node, after?.view.node ?? this.#pending.values().next().value?.node ?? null);
      if (fresh && !this.#follow) this.#newer.hidden = false;
      if (line.author === "you" && fresh) this.toEnd();
    }
    if (added) this.#arrange();
    if (this.#follow) this.toEnd();
  }

  /** Shows a message that is not confirmed yet. */
  pend(key, text, waiting) {
    const known = this.#pending.get(key);
    if (known) return known.setWaiting(waiting);
    const pending = createPending(text, waiting);
    this.#pending.set(key, pending);
    this.#log.append(pending.node);
    this.#arrange();
    this.toEnd();
  }

  #forget(key) {
    this.#pending.get(key)?.node.remove();
    this.#pending.delete(key);
  }

  toEnd(smooth = false) {
    if (!find("empty").hidden) return;
    this.#follow = true;
    this.#newer.hidden = true;
    this.#scroller.scrollTo({ top: this.#scroller.scrollHeight, behavior: smooth ? "smooth" : "instant" });
  }

  #arrange() {
    find("empty").hidden = this.#lines.size + this.#pending.size > 0;
    let before = null;
    for (const { line, view } of [...this.#lines.values()].sort((a, b) => a.line.id - b.line.id)) {
      const when = new Date(line.at);
      const sameDay = before && when.toDateString() === new Date(before.at).toDateString();
      // Only what is missing is put in: whatever comes into the log is read out.
      const above = view.node.previousElementSibling;
      const divided = above?.classList.contains("day");
      if (!sameDay && !divided) view.node.before(el("p", { class: "day" }, day(when)));
      else if (!sameDay) setText(above, day(when));
      else if (divided) above.remove();
      const close = sameDay && line.author === before.author && when - new Date(before.at) < GROUP_MS;
      view.node.classList.toggle("follows", Boolean(close));
      before = line;
    }
  }

  #scrolled() {
    const { scrollTop, scrollHeight, clientHeight } = this.#scroller;
    this.#follow = scrollHeight - scrollTop - clientHeight < NEAR_END_PX;
    if (this.#follow) this.#newer.hidden = true;
    document.body.classList.toggle("scrolled", scrollTop > 4);
  }
}
