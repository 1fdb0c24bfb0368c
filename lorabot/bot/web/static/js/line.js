/** One line of the conversation: its text, pictures, files, buttons and card, each changed only where it differs. */

import { createCard } from "./card.js";
import { openViewer } from "./dialogs.js";
import { el, icon, setText } from "./dom.js";
import { clock, size, t } from "./texts.js";

// A hundred dropped photos are named by the first few.
const MOST_FILES = 5;
const MARKS = /(`[^`\n]+`|\*\*[^*\n]+\*\*)/;

/** `code` and **bold** of a text; a command in code can be pressed to put it into the message box. */
function rich(text, onCommand) {
  return text.split(MARKS).map((part) => {
    if (part.length > 4 && part.startsWith("**") && part.endsWith("**")) return el("strong", {}, part.slice(2, -2));
    if (part.length < 3 || !part.startsWith("`") || !part.endsWith("`")) return part;
    const code = part.slice(1, -1);
    if (!/^\/[a-z]/.test(code)) return el("code", {}, code);
    return el("button", { type: "button", class: "code", onclick: () => onCommand(code) }, code);
  });
}

function picture(images, index) {
  const { url, thumb, alt } = images[index];
  const image = el("img", { src: thumb ?? url, alt, loading: "lazy" });
  const label = t("page-open", { name: alt });
  return el("button", { type: "button", class: "shot", "aria-label": label, onclick: () => openViewer(images, index) }, image);
}

function download(file) {
  if (!file.url) return el("span", { class: "sent" }, icon(/\.zip$/i.test(file.name) ? "zip" : "file"), el("span", {}, file.name), el("span", { class: "size" }, size(file.size)));
  const main = file.name.endsWith(".safetensors");
  const label = main ? t("page-download", { name: file.name }) : file.name;
  return el(
    "a",
    { class: main ? "button primary" : "lesser", href: file.url, download: file.name },
    icon(main ? "download" : "file"), el("span", {}, label), el("span", { class: "size" }, size(file.size)),
  );
}

/** The view of `line`: its `node` and `update(line)`. `on` has `press(button)` and `command(text)`. */
export function createLine(line, on) {
  const when = new Date(line.at);
  const who = el(
    "p", { class: "who" },
    el("b", {}, t(line.author === "you" ? "page-you" : "page-bot")),
    el("time", { datetime: line.at, title: when.toLocaleString() }, clock(when)),
  );
  const text = el("div", { class: "text" });
  const images = el("div", { class: line.kind === "result" ? "figures" : "thumbs" });
  const files = el("div", { class: "files" });
  const buttons = el("div", { class: "choices" });
  const card = line.card ? createCard(buttons) : null;
  const parts = card ? [text, card.node, images, files] : [text, images, files, buttons];
  const node = el(
    "div", { class: `line ${line.author}`, "data-kind": line.kind, tabindex: "-1" },
    who, line.kind === "result" ? el("div", { class: "result", role: "group", "aria-label": t("page-result") }, parts) : parts,
  );
  const known = {};

  function changed(name, value) {
    const now = JSON.stringify(value ?? null);
    if (known[name] === now) return false;
    known[name] = now;
    return true;
  }

  function update(next) {
    node.classList.toggle("busy", Boolean(next.busy));
    if (changed("text", next.text)) {
      const typed = next.author === "you" && /^[/／]/.test(next.text);
      text.classList.toggle("typed", typed);
      text.replaceChildren(...(next.author === "you" ? [next.text] : rich(next.text, on.command)));
      text.hidden = !next.text;
    }
    if (changed("images", next.images)) {
      images.replaceChildren(...(next.images ?? []).map((_, i) => picture(next.images, i)));
      images.hidden = !next.images?.length;
    }
    if (changed("files", next.files)) {
      const all = next.files ?? [];
      const few = all.length > MOST_FILES + 1 ? all.slice(0, MOST_FILES) : all;
      files.replaceChildren(...few.map(download));
      if (few !== all) files.append(el("span", { class: "sent" }, t("page-more", { count: all.length - few.length })));
      files.hidden = !next.files?.length;
    }
    if (changed("buttons", next.buttons)) {
      const focused = buttons.contains(document.activeElement);
      buttons.replaceChildren(...(next.buttons ?? []).map((button) =>
        el("button", { type: "button", class: `button ${button.style ?? "plain"}`, onclick: () => on.press(button) }, button.label)));
      buttons.hidden = !next.buttons?.length;
      // The pressed button is gone: whoever works by keyboard stays at this line.
      if (focused) node.focus({ preventScroll: true });
    }
    if (card && changed("card", next.card)) card.update(next.card);
  }

  update(line);
  return { node, update };
}

/** The line of a message that the server has not confirmed; `waiting` says what for. */
export function createPending(message, waiting) {
  const wait = el("p", { class: "wait" });
  setText(wait, waiting);
  const text = el("div", { class: /^[/／]/.test(message) ? "text typed" : "text" }, message);
  const node = el("div", { class: "line you pending" }, text, wait);
  return { node, setWaiting: (words) => setText(wait, words) };
}
