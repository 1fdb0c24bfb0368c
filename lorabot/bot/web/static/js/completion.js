/** The popup of suggestions over the message box; the box keeps the focus, the popup is steered from it. */

import { el } from "./dom.js";

const WAIT_MS = 60;
// Chinese keyboards write the wide slash.
const COMMAND = /^\s*[/／]/;

export class Completion {
  #box;
  #popup;
  #ask;
  #items = [];
  #active = -1;
  #chosen = false;
  #answered = "";
  #timer = 0;

  /** @param ask gives a promise of items ({insert, label, hint}) for a text. */
  constructor(box, popup, ask) {
    [this.#box, this.#popup, this.#ask] = [box, popup, ask];
    box.addEventListener("input", () => this.#later());
    box.addEventListener("blur", () => this.close());
    // Pressing the mouse must not take the focus out of the box.
    popup.addEventListener("pointerdown", (event) => event.preventDefault());
    popup.addEventListener("click", (event) => {
      const option = event.target.closest("[role=option]");
      if (option) this.#accept([...popup.children].indexOf(option));
    });
  }

  get #typed() {
    return this.#box.value.slice(0, this.#box.selectionEnd);
  }

  /** Handles a key of the box; true when it was for the popup. */
  key(event) {
    // Faster than the suggestions: the first one is taken when it comes. Once there are none, Tab goes on as always.
    if (event.key === "Tab" && !event.shiftKey && COMMAND.test(this.#typed) && this.#answered !== this.#typed) {
      clearTimeout(this.#timer);
      this.#look(true);
      return true;
    }
    if (this.#popup.hidden || event.shiftKey || event.isComposing) return false;
    if (event.key === "ArrowDown" || event.key === "ArrowUp") {
      const step = event.key === "ArrowDown" ? 1 : -1;
      const from = this.#active < 0 && step < 0 ? 0 : this.#active;
      this.#mark((from + step + this.#items.length) % this.#items.length, true);
      return true;
    }
    if (event.key === "Escape") {
      this.close();
      return true;
    }
    if (event.key === "Tab") {
      this.#accept(Math.max(this.#active, 0));
      return true;
    }
    // Enter takes what was chosen, or what finishes the word being typed; a finished command is sent instead.
    if (event.key === "Enter" && this.#active >= 0 && (this.#chosen || this.#finishes(this.#active))) {
      this.#accept(this.#active);
      return true;
    }
    return false;
  }

  #finishes(index) {
    const typed = this.#typed;
    const { insert } = this.#items[index];
    return !/\s$/.test(typed) && insert.startsWith(typed) && insert.trim() !== typed;
  }

  close() {
    clearTimeout(this.#timer);
    this.#popup.hidden = true;
    this.#items = [];
    this.#active = -1;
    this.#box.removeAttribute("aria-activedescendant");
  }

  #later() {
    clearTimeout(this.#timer);
    if (!COMMAND.test(this.#typed)) return this.close();
    this.#timer = setTimeout(() => this.#look(), WAIT_MS);
  }

  async #look(take = false) {
    const typed = this.#typed;
    const items = await this.#ask(typed);
    if (typed !== this.#typed || document.activeElement !== this.#box) return;
    this.#answered = typed;
    this.#show(items.filter((item) => item.insert !== typed));
    if (take && this.#items.length) this.#accept(0);
  }

  #show(items) {
    this.close();
    if (!items.length) return;
    this.#items = items;
    this.#popup.replaceChildren(
      ...items.map((item, i) =>
        el("li", { role: "option", id: `suggestion-${i}`, "aria-selected": "false" }, el("b", {}, item.label), item.hint && el("span", {}, item.hint))),
    );
    this.#popup.hidden = false;
    this.#chosen = false;
    if (this.#finishes(0)) this.#mark(0, false);
  }

  #mark(index, chosen) {
    this.#popup.children[this.#active]?.setAttribute("aria-selected", "false");
    this.#active = index;
    this.#chosen = chosen;
    const option = this.#popup.children[index];
    option.setAttribute("aria-selected", "true");
    option.scrollIntoView({ block: "nearest" });
    this.#box.setAttribute("aria-activedescendant", option.id);
  }

  #accept(index) {
    const rest = this.#box.value.slice(this.#box.selectionEnd);
    const { insert } = this.#items[index];
    this.close();
    this.#box.value = insert + rest;
    this.#box.setSelectionRange(insert.length, insert.length);
    this.#box.focus();
    this.#box.dispatchEvent(new Event("input", { bubbles: true }));
  }
}
