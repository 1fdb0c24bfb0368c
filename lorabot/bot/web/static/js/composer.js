/** The message box: grows with its text, sends with Enter, recalls what was said with Arrow up. */

import { Completion } from "./completion.js";
import { find } from "./dom.js";

const DRAFT = "lorabot.draft";

export class Composer {
  #box = find("say");
  #send = find("send");
  #completion;
  #on;
  #recalled = 0;

  /** @param on `say(text)`, `complete(text)`, `said()` (own texts, newest last). */
  constructor(on) {
    this.#on = on;
    this.#completion = new Completion(this.#box, find("suggestions"), on.complete);
    // What was typed while the page was still loading stands.
    this.#box.value ||= sessionStorage.getItem(DRAFT) ?? "";
    this.#box.addEventListener("input", () => this.#changed());
    this.#box.addEventListener("keydown", (event) => this.#key(event));
    find("composer").addEventListener("submit", (event) => {
      event.preventDefault();
      this.#submit();
    });
    this.#changed();
  }

  /** Puts `text` into the box, ready to be changed or sent. */
  fill(text) {
    this.#box.value = text;
    this.#box.focus();
    this.#box.setSelectionRange(text.length, text.length);
    this.#changed();
  }

  focus() {
    this.#box.focus({ preventScroll: true });
  }

  #changed() {
    sessionStorage.setItem(DRAFT, this.#box.value);
    this.#send.disabled = !this.#box.value.trim();
    if (CSS.supports("field-sizing", "content")) return;
    this.#box.style.height = "auto";
    this.#box.style.height = `${this.#box.scrollHeight}px`;
  }

  #key(event) {
    if (this.#completion.key(event)) {
      event.preventDefault();
    } else if (event.key === "Enter" && !event.shiftKey && !event.isComposing) {
      event.preventDefault();
      this.#submit();
    } else if (event.key === "ArrowUp" && (!this.#box.value || this.#recalled)) {
      this.#recall(event, 1);
    } else if (event.key === "ArrowDown" && this.#recalled) {
      this.#recall(event, -1);
    } else if (event.key.length === 1) {
      this.#recalled = 0;
    }
  }

  #recall(event, step) {
    const said = this.#on.said();
    this.#recalled = Math.max(0, Math.min(this.#recalled + step, said.length));
    event.preventDefault();
    this.fill(this.#recalled ? said.at(-this.#recalled) : "");
  }

  #submit() {
    const text = this.#box.value.trim();
    if (!text) return;
    this.#completion.close();
    this.#recalled = 0;
    this.fill("");
    this.#on.say(text);
  }
}
