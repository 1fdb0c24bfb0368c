/** The WebSocket to the server: kept up with back-off; what was not received is sent again under the same key. */

import { uniqueKey } from "./dom.js";
import { chosenLanguage } from "./texts.js";

const FIRST_WAIT_MS = 400;
const LONGEST_WAIT_MS = 12_000;
// A line that is not confirmed for so long means a dead connection that nobody closed (sleep, a new Wi-Fi).
const CONFIRM_WITHIN_MS = 8_000;
// A connection counts as good after this: one that is closed right away must not be retried without a pause.
const PROVEN_AFTER_MS = 4_000;
// Links to files are good for a day: a page that stays open for longer gets new ones with a new welcome.
const RENEW_LINKS_MS = 6 * 3_600_000;
const NO_SESSION = 4401;
const TOO_MANY_TABS = 4429;
const RELOADED = "lorabot.reloaded";
const UNSENT = "lorabot.unsent";

export class Connection {
  #events;
  #socket = null;
  #welcomed = false;
  #failures = 0;
  #timer = 0;
  #deadline = 0;
  #proof = 0;
  #renewal = 0;
  #unsent = new Map(JSON.parse(sessionStorage.getItem(UNSENT) ?? "[]"));
  #presses = [];
  #questions = new Map();
  #question = 0;

  /**
   * @param events `since()` gives the line to go on from; `welcome(message)`, `line(line)`, `update(line)`,
   * `error(text)`,
   * `tooManyTabs()` and `state("connecting" | "open" | "lost")` are told.
   */
  constructor(events) {
    this.#events = events;
    addEventListener("online", () => this.#now());
    addEventListener("offline", () => this.#socket?.close());
    document.addEventListener("visibilitychange", () => document.hidden || this.#now());
  }

  get unsent() {
    return [...this.#unsent];
  }

  open() {
    clearTimeout(this.#timer);
    this.#events.state(this.#failures ? "lost" : "connecting");
    const socket = new WebSocket(`${location.protocol === "https:" ? "wss" : "ws"}://${location.host}/ws`);
    this.#socket = socket;
    socket.onopen = () => this.#send({ type: "hello", since: this.#events.since(), language: chosenLanguage() });
    socket.onmessage = (event) => this.#receive(JSON.parse(event.data));
    socket.onclose = ({ code }) => socket === this.#socket && this.#closed(code);
  }

  /** Says `text`, now or as soon as there is a connection; gives the key its line will have. */
  say(text, key = uniqueKey()) {
    this.#unsent.set(key, text);
    this.#remember();
    if (this.#welcomed) this.#send({ type: "say", text, key });
    this.#expect();
    return key;
  }

  press(action) {
    const message = { type: "press", action, key: uniqueKey() };
    if (!this.#welcomed) this.#presses.push(message);
    else this.#send(message);
  }

  /** Completions of `text`; none while there is no connection. */
  complete(text) {
    if (!this.#welcomed) return Promise.resolve([]);
    const id = ++this.#question;
    this.#send({ type: "complete", text, id });
    return new Promise((resolve) => this.#questions.set(id, resolve));
  }

  #send(message) {
    if (this.#socket?.readyState === WebSocket.OPEN) this.#socket.send(JSON.stringify(message));
  }

  #receive(message) {
    switch (message.type) {
      case "welcome":
        this.#welcomed = true;
        this.#proof = setTimeout(() => (this.#failures = 0), PROVEN_AFTER_MS);
        this.#renewal = setTimeout(() => this.#drop(), RENEW_LINKS_MS);
        this.#events.welcome(message);
        for (const line of message.lines) this.#confirm(line.key);
        for (const [key, text] of this.#unsent) this.#send({ type: "say", text, key });
        for (const press of this.#presses.splice(0)) this.#send(press);
        this.#events.state("open");
        this.#expect();
        break;
      case "line":
        this.#confirm(message.line.key);
        this.#events.line(message.line);
        break;
      case "update":
        this.#events.update(message.line);
        break;
      case "completions":
        this.#questions.get(message.id)?.(message.items);
        this.#questions.delete(message.id);
        break;
      case "error":
        this.#events.error(message.text);
        break;
    }
  }

  #confirm(key) {
    if (!key || !this.#unsent.delete(key)) return;
    this.#remember();
    this.#expect();
  }

  #expect() {
    clearTimeout(this.#deadline);
    if (this.#unsent.size && this.#welcomed) this.#deadline = setTimeout(() => this.#drop(), CONFIRM_WITHIN_MS);
  }

  #remember() {
    sessionStorage.setItem(UNSENT, JSON.stringify([...this.#unsent]));
  }

  // A close handshake with a dead peer takes minutes: let go of the socket at once.
  #drop() {
    const socket = this.#socket;
    this.#socket = null;
    socket?.close();
    this.#closed();
  }

  #closed(code) {
    this.#welcomed = false;
    clearTimeout(this.#deadline);
    clearTimeout(this.#proof);
    clearTimeout(this.#renewal);
    for (const resolve of this.#questions.values()) resolve([]);
    this.#questions.clear();
    this.#failures += 1;
    if (code === TOO_MANY_TABS) this.#events.tooManyTabs();
    else this.#events.state("lost");
    if (code === NO_SESSION && this.#renew()) return;
    const wait = code === TOO_MANY_TABS ? LONGEST_WAIT_MS : Math.min(FIRST_WAIT_MS * 2 ** (this.#failures - 1), LONGEST_WAIT_MS);
    this.#timer = setTimeout(() => this.open(), wait * (0.75 + Math.random() / 2));
  }

  // Loading the page gives a new session or asks for the password; without cookies that would go round for ever.
  #renew() {
    if (Date.now() - Number(sessionStorage.getItem(RELOADED)) < LONGEST_WAIT_MS) return false;
    sessionStorage.setItem(RELOADED, String(Date.now()));
    location.reload();
    return true;
  }

  #now() {
    if (!this.#welcomed && this.#socket?.readyState !== WebSocket.CONNECTING) this.open();
  }
}
