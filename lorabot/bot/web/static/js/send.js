/** The upload page: files go to the conversation that the link was made for; 'Done' closes the link. */

import { find, setText } from "./dom.js";
import { listenForFiles } from "./dropping.js";
import { chosenLanguage, loadTexts, number, offerLanguages, size, t } from "./texts.js";
import { Uploads } from "./uploads.js";

const PLATFORMS = { discord: "Discord", telegram: "Telegram" };
const here = `/api/send/${location.pathname.split("/").pop()}`;
const inLanguage = () => `lang=${document.documentElement.lang}`;

/** What the link is for, or the sentence why it is not good any more; asks again while the server is away. */
async function about() {
  for (let wait = 300; ; wait = Math.min(wait * 2, 5000)) {
    try {
      const response = await fetch(`${here}${chosenLanguage() ? `?lang=${chosenLanguage()}` : ""}`);
      if (response.ok) return await response.json();
      if (response.status === 404 || response.status === 410) return response.json();
    } catch {
      // The server is on its way; the next round asks again.
    }
    await new Promise((resolve) => setTimeout(resolve, wait));
  }
}

const link = await about();
await loadTexts(link.language);
offerLanguages(find("language"));

if (link.error) finish("close", t("page-send-over"), link.error);
else begin();

function begin() {
  const uploads = new Uploads({
    address: (file, query) => `${here}?name=${encodeURIComponent(file.name)}&${query}&${inLanguage()}`,
    rest: find("choose"),
    keepsSent: true,
    changed: count,
  });
  uploads.mostBytes = link.limits.file_bytes;
  setText(find("where"), place("page-send-where", "page-send-where-web"));
  setText(find("most"), t("page-send-most", { size: size(link.limits.file_bytes) }));
  find("sending").hidden = false;
  find("bottom").hidden = false;
  find("choose").addEventListener("click", () => find("files").click());
  find("done").addEventListener("click", () => end(uploads));
  listenForFiles((found) => uploads.add(found));
  count(uploads);
}

/** A text that names the platform, where it is one that people know by its name. */
function place(id, otherwise) {
  const platform = PLATFORMS[link.platform];
  return platform ? t(id, { platform }) : t(otherwise);
}

function count(uploads) {
  const { sent, waiting } = uploads;
  document.body.classList.toggle("busy", sent + waiting > 0);
  const words = waiting ? t("page-send-waiting", { sent: number(sent), all: number(sent + waiting) }) : sent ? t("page-send-sent", { sent: number(sent) }) : t("page-send-none");
  setText(find("count"), uploads.failed ? `${words} · ${t("page-send-failed", { failed: number(uploads.failed) })}` : words);
  find("done").disabled = waiting > 0 || sent === 0;
}

async function end(uploads) {
  const button = find("done");
  button.disabled = true;
  try {
    const response = await fetch(`${here}/done?${inLanguage()}`, { method: "POST" });
    // 410: it was closed in another tab, which is what was wanted.
    if (!response.ok && response.status !== 410) throw new Error((await response.json()).error);
    finish("check", t("page-send-thanks"), place("page-send-back", "page-send-back-web"));
  } catch (error) {
    setText(find("tray-note"), error instanceof TypeError ? t("page-upload-failed") : error.message);
    count(uploads);
  }
}

function finish(icon, title, text) {
  find("sending").hidden = true;
  find("bottom").hidden = true;
  find("over-icon").setAttribute("href", `/static/icons.svg#${icon}`);
  setText(find("over-title"), title);
  setText(find("over-text"), text);
  find("over").hidden = false;
  find("over").focus();
}
