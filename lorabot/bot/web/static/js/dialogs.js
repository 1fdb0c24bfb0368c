/** Dialogs over the page: the picture viewer, and the question before something is lost. */

import { find, setText } from "./dom.js";
import { t } from "./texts.js";

// A picture smaller than this is shown at a fixed size instead of being blown up to the whole window.
const SMALL_PX = 512;

let shown = [];
let index = 0;

function show(next) {
  index = (next + shown.length) % shown.length;
  const image = find("viewer").querySelector("img");
  image.src = shown[index].url;
  image.alt = shown[index].alt;
  setText(find("viewer").querySelector("figcaption"), shown[index].alt);
}

/** Shows `images` ({url, alt}) large, beginning with number `start`. */
export function openViewer(images, start = 0) {
  shown = images;
  const viewer = find("viewer");
  for (const button of viewer.querySelectorAll(".previous, .following")) button.hidden = images.length < 2;
  show(start);
  viewer.showModal();
}

export function prepareDialogs() {
  for (const button of document.querySelectorAll("[data-close]")) button.addEventListener("click", () => button.closest("dialog").close());
  const viewer = find("viewer");
  const image = viewer.querySelector("img");
  image.addEventListener("load", () => image.classList.toggle("small", image.naturalWidth < SMALL_PX));
  viewer.querySelector(".previous").addEventListener("click", () => show(index - 1));
  viewer.querySelector(".following").addEventListener("click", () => show(index + 1));
  viewer.addEventListener("click", (event) => event.target.closest("img, .previous, .following") || viewer.close());
  viewer.addEventListener("keydown", (event) => {
    if (event.key === "ArrowLeft") show(index - 1);
    if (event.key === "ArrowRight") show(index + 1);
  });
}

/** Asks before `button` ({label, action}) is pressed; true when the person goes on. */
export function confirmPress(button) {
  const dialog = find("confirm");
  const cancels = button.action.startsWith("cancel:");
  find("confirm-title").textContent = cancels ? t("page-confirm-cancel") : t("page-confirm-other", { label: button.label });
  find("confirm-text").textContent = t(cancels ? "page-confirm-cancel-text" : "page-confirm-other-text");
  dialog.querySelector("[value=yes]").textContent = cancels ? t("page-confirm-cancel-yes") : button.label;
  dialog.returnValue = "";
  dialog.showModal();
  return new Promise((resolve) => dialog.addEventListener("close", () => resolve(dialog.returnValue === "yes"), { once: true }));
}
