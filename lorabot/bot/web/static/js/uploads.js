/** Uploads: a few at a time, each with its picture, its progress and its cancel in the tray. */

import { el, find, icon, setText, uniqueKey } from "./dom.js";
import { percent, size, t } from "./texts.js";

const AT_ONCE = 3;
const PICTURE_PX = 80;
// A tray of hundreds of thumbnails would decode hundreds of photos; the first ones give the idea.
const MOST_PICTURES = 24;

/** A small picture of `file` on a canvas; a file the browser can't read keeps its icon. */
async function drawPicture(file, frame) {
  try {
    const bitmap = await createImageBitmap(file, { resizeWidth: PICTURE_PX, resizeQuality: "medium" });
    const canvas = el("canvas", { width: PICTURE_PX, height: PICTURE_PX });
    const side = Math.min(bitmap.width, bitmap.height);
    const from = [(bitmap.width - side) / 2, (bitmap.height - side) / 2, side, side];
    canvas.getContext("2d").drawImage(bitmap, ...from, 0, 0, PICTURE_PX, PICTURE_PX);
    bitmap.close();
    frame.replaceChildren(canvas);
  } catch {
    // Not a picture for this browser: the server will say what it makes of it.
  }
}

export class Uploads {
  /** The largest file the server takes; it would break the connection in the middle of a larger one. */
  mostBytes = Infinity;
  #tray = find("tray");
  #note = find("tray-note");
  #waiting = [];
  #active = new Set();
  #whenIdle = [];
  #pictures = 0;
  #address;
  #rest;
  #keepsSent;
  #changed;
  /** How many have arrived. */
  sent = 0;

  /** `address(file, query)` is where a file goes; `rest` gets the focus of what vanishes; `changed(this)` hears of all.
   *
   * With `keepsSent` a file that has arrived stays in the tray.
   */
  constructor({ address, rest, keepsSent = false, changed = () => {} }) {
    this.#address = address;
    this.#rest = rest;
    this.#keepsSent = keepsSent;
    this.#changed = changed;
    addEventListener("beforeunload", (event) => this.busy && event.preventDefault());
  }

  /** How many are on their way. */
  get waiting() {
    return this.#waiting.length + this.#active.size;
  }

  /** How many were refused or broke off, and were not put away yet. */
  get failed() {
    return this.#tray.querySelectorAll(".failed").length;
  }

  get busy() {
    return this.waiting > 0;
  }

  /** Resolves when nothing is under way any more. */
  idle() {
    return this.busy ? new Promise((resolve) => this.#whenIdle.push(resolve)) : Promise.resolve();
  }

  /** Takes away what was said about the last files. */
  settle() {
    setText(this.#note, "");
  }

  /** Uploads `files` as one batch. */
  add({ files, skipped }) {
    if (skipped.length) setText(this.#note, t("page-upload-skipped", { names: skipped.map((file) => file.name).join(", ") }));
    else setText(this.#note, files.length ? "" : t("page-upload-nothing"));
    // What is too large never leaves; the others must not be waited for with it.
    const query = `batch=${uniqueKey()}&of=${files.filter((file) => file.size <= this.mostBytes).length}`;
    for (const file of files) this.#waiting.push(this.#show(file, query));
    this.#next();
  }

  #show(file, query) {
    const zip = /\.zip$/i.test(file.name);
    const frame = el("div", { class: "picture" }, icon(zip ? "zip" : "file"));
    const words = el("small", {}, t("page-upload-waiting"));
    const bar = el("progress", { max: "1", value: "0", "aria-label": file.name });
    const acts = el("div", { class: "acts" });
    const node = el("li", {}, frame, el("b", { title: file.name }, file.name), words, acts, bar);
    const upload = { file, query, node, words, bar, acts, request: null };
    acts.append(this.#button("close", "page-upload-cancel", upload, () => this.#cancel(upload)));
    if (!zip && this.#pictures++ < MOST_PICTURES) drawPicture(file, frame);
    this.#tray.append(node);
    this.#tray.hidden = false;
    return upload;
  }

  #button(name, text, { file }, onclick) {
    const label = t(text, { name: file.name });
    return el("button", { type: "button", class: "round", "aria-label": label, title: label, onclick }, icon(name));
  }

  #next() {
    while (this.#active.size < AT_ONCE && this.#waiting.length) this.#start(this.#waiting.shift());
    this.#changed(this);
    if (this.busy) return;
    this.#pictures = 0;
    for (const resolve of this.#whenIdle.splice(0)) resolve();
  }

  // XMLHttpRequest, since fetch tells nothing about how much has been sent.
  #start(upload) {
    const { file, query, words, bar } = upload;
    if (file.size > this.mostBytes) return this.#fail(upload, t("page-upload-too-large", { size: size(file.size), most: size(this.mostBytes) }), { mayHelp: false });
    const request = new XMLHttpRequest();
    upload.request = request;
    this.#active.add(upload);
    request.responseType = "json";
    request.upload.onprogress = ({ loaded, total }) => {
      bar.value = total ? loaded / total : 0;
      setText(words, t("page-upload-progress", { percent: percent(bar.value), size: size(file.size) }));
    };
    request.upload.onload = () => {
      bar.removeAttribute("value");
      setText(words, t("page-upload-checking"));
    };
    request.onload = () => (request.status === 200 ? this.#arrive(upload) : this.#finish(upload, request.response?.error ?? t("page-upload-failed")));
    request.onerror = () => this.#finish(upload, t("page-upload-failed"));
    request.onabort = () => this.#finish(upload, null);
    request.open("POST", this.#address(file, query));
    request.send(file);
  }

  #cancel(upload) {
    if (upload.request) return upload.request.abort();
    this.#waiting.splice(this.#waiting.indexOf(upload), 1);
    this.#remove(upload);
    this.#next();
  }

  #arrive(upload) {
    this.sent += 1;
    if (!this.#keepsSent) return this.#finish(upload, null);
    this.#active.delete(upload);
    upload.node.classList.add("sent");
    setText(upload.words, size(upload.file.size));
    upload.acts.replaceChildren(icon("check"));
    this.#next();
  }

  #finish(upload, error) {
    this.#active.delete(upload);
    if (error === null) this.#remove(upload);
    else this.#fail(upload, error);
    this.#next();
  }

  /** `mayHelp`: whether trying again could end in another way. */
  #fail(upload, error, { mayHelp = true } = {}) {
    upload.node.classList.add("failed");
    upload.words.setAttribute("role", "alert");
    setText(upload.words, error);
    const again = this.#button("retry", "page-upload-retry", upload, () => {
      this.#remove(upload);
      this.#waiting.push(this.#show(upload.file, upload.query));
      this.#next();
    });
    upload.acts.replaceChildren(this.#button("close", "page-upload-dismiss", upload, () => this.#remove(upload)));
    if (mayHelp) upload.acts.prepend(again);
  }

  #remove({ node }) {
    const focused = node.contains(document.activeElement);
    node.remove();
    this.#changed(this);
    this.#tray.hidden = !this.#tray.childElementCount;
    if (focused) this.#rest.focus();
  }
}
