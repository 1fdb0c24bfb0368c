/** The picker for people who do not type: a preset and a word make a /train command. */

import { el, find } from "./dom.js";
import { t } from "./texts.js";

const QUESTION = "/train preset:";

/** Opens the picker. `complete(text)` names the presets, `say(text)` gets the command. */
export async function openPicker({ complete, say }) {
  const dialog = find("picker");
  const options = dialog.querySelector(".options");
  const trigger = find("trigger");
  const before = options.querySelector(":checked")?.value;
  if (!options.childElementCount) options.replaceChildren(el("p", { class: "hint" }, t("page-picker-loading")));
  dialog.returnValue = "";
  dialog.showModal();
  dialog.addEventListener(
    "close",
    () => {
      const preset = options.querySelector(":checked")?.value;
      const word = trigger.value.trim();
      if (dialog.returnValue === "train" && preset) say(`${preset.trim()}${word ? ` trigger:${word}` : ""}`);
    },
    { once: true },
  );
  const items = await complete(QUESTION);
  options.replaceChildren(...(items.length ? items.map((item, i) => option(item, before ? item.insert === before : i === 0)) : [el("p", { class: "hint" }, t("page-picker-none"))]));
  options.querySelector(":checked")?.focus();
}

// A preset's hint is its title and its description.
function option({ insert, label, hint }, checked) {
  const [, title, description] = hint.match(/^(.+?): (.+)$/s) ?? [null, label, hint];
  const name = el("b", {}, title, " ", el("code", {}, label));
  return el("label", {}, el("input", { type: "radio", name: "preset", value: insert, checked }), name, el("span", {}, description));
}
