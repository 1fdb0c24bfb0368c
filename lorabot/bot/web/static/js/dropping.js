/** Files out of a drop, a paste or the file dialog: folders are walked, what is neither picture nor zip is left out. */

import { find } from "./dom.js";
import { clock, t } from "./texts.js";

const WANTED = /\.(zip|jpe?g|jfif|png|webp|gif|bmp|tiff?|avif|heic|heif)$/i;
// What operating systems leave in folders; nobody means to send it.
const CLUTTER = /^(\..*|thumbs\.db|desktop\.ini|__macosx)$/i;

const inFolder = (file) => WANTED.test(file.name) || file.type.startsWith("image/");

async function walk(entry, wanted, skipped) {
  if (CLUTTER.test(entry.name)) return;
  if (entry.isFile) {
    const file = await new Promise((resolve, reject) => entry.file(resolve, reject));
    (inFolder(file) ? wanted : skipped).push(file);
    return;
  }
  const reader = entry.createReader();
  // A reader gives a folder in pieces of a hundred or so; an empty piece is the end.
  for (;;) {
    const piece = await new Promise((resolve, reject) => reader.readEntries(resolve, reject));
    if (!piece.length) return;
    for (const child of piece) await walk(child, wanted, skipped);
  }
}

/** The files of a DataTransfer: `{files, skipped}`. Single files are all taken: the server says what is wrong with one. */
async function gather(transfer) {
  // Entries must be taken before the first await: the browser empties the list after the event.
  const entries = [...transfer.items].filter((item) => item.kind === "file").map((item) => item.webkitGetAsEntry?.() ?? item.getAsFile());
  const files = [];
  const skipped = [];
  for (const entry of entries) {
    if (entry instanceof File) files.push(entry);
    else if (entry?.isFile) files.push(await new Promise((resolve, reject) => entry.file(resolve, reject)));
    else if (entry) await walk(entry, files, skipped);
  }
  return { files, skipped };
}

const hasFiles = (transfer) => [...(transfer?.types ?? [])].includes("Files");

/** Takes files from everywhere on the page; `take({files, skipped})` gets them. */
export function listenForFiles(take) {
  const veil = find("drop");
  let over = 0;
  addEventListener("dragover", (event) => {
    if (!hasFiles(event.dataTransfer)) return;
    event.preventDefault();
    event.dataTransfer.dropEffect = "copy";
    veil.hidden = false;
    // Leaving the window is not told reliably, but dragover comes several times a second while over it.
    clearTimeout(over);
    over = setTimeout(() => (veil.hidden = true), 400);
  });
  addEventListener("drop", async (event) => {
    if (!hasFiles(event.dataTransfer)) return;
    event.preventDefault();
    clearTimeout(over);
    veil.hidden = true;
    take(await gather(event.dataTransfer));
  });
  addEventListener("paste", (event) => {
    const pasted = [...(event.clipboardData?.files ?? [])];
    if (!pasted.length) return;
    event.preventDefault();
    take({ files: pasted.map(named), skipped: [] });
  });
  const input = find("files");
  input.addEventListener("change", () => {
    take({ files: [...input.files], skipped: [] });
    input.value = "";
  });
}

// A pasted screenshot is always called image.png; a time tells several apart.
function named(file) {
  if (file.name !== "image.png") return file;
  return new File([file], `${t("page-pasted", { time: clock(new Date()).replace(":", ".") })}.png`, { type: file.type });
}
