/** Puts the page together: what the server says goes to the conversation, what the person does goes to the server. */

import { Composer } from "./composer.js";
import { Connection } from "./connection.js";
import { Conversation } from "./conversation.js";
import { confirmPress, prepareDialogs } from "./dialogs.js";
import { find, setText, uniqueKey } from "./dom.js";
import { listenForFiles } from "./dropping.js";
import { openPicker } from "./picker.js";
import { loadTexts, offerLanguages, percent, t } from "./texts.js";
import { Uploads } from "./uploads.js";

// A short break is nobody's business; a longer one is said.
const SAY_LOST_AFTER_MS = 700;
const BACK_MS = 1800;
const TRAIN = /^[/／](train|训练)/i;
const DOUBLE_CLICK_MS = 1000;

await loadTexts();

let joined = null;

const uploads = new Uploads({
  address: (file, query) => `/api/uploads?name=${encodeURIComponent(file.name)}&${query}&lang=${document.documentElement.lang}`,
  rest: find("say"),
});
const conversation = new Conversation({ press, command: (text) => composer.fill(text) });
const connection = new Connection({
  since: () => conversation.since,
  welcome({ lines, limits, conversation: name }) {
    if (joined && joined !== name) return location.reload();
    joined = name;
    uploads.mostBytes = limits.file_bytes;
    conversation.tell(lines);
    for (const [key, text] of connection.unsent) if (!lines.some((line) => line.key === key)) conversation.pend(key, text, t("page-sending"));
    title();
  },
  line(line) {
    conversation.put([line], true);
    title(line);
  },
  update(line) {
    conversation.put([line], false);
    title();
  },
  error: (text) => tell(text, false),
  tooManyTabs: () => tell(t("page-too-many-tabs"), false, 0),
  state: showState,
});
const composer = new Composer({ say, complete: (text) => connection.complete(text), said: () => conversation.said });

/** Says `text`. A /train waits for the photos that are still on their way: it is meant for them, too. */
async function say(text) {
  const key = uniqueKey();
  uploads.settle();
  if (uploads.busy && TRAIN.test(text)) {
    conversation.pend(key, text, t("page-waiting"));
    await uploads.idle();
  }
  conversation.pend(key, text, t("page-sending"));
  connection.say(text, key);
}

const pressed = new Set();

/** Presses `button`, after a question where something would be lost; a double click counts once. */
async function press(button) {
  if (button.style === "danger" && !(await confirmPress(button))) return;
  if (pressed.has(button.action)) return;
  pressed.add(button.action);
  setTimeout(() => pressed.delete(button.action), DOUBLE_CLICK_MS);
  connection.press(button.action);
}

let told = 0;
let lost = false;

function tell(text, good, forMs = 6000) {
  clearTimeout(told);
  find("link").classList.toggle("good", good);
  setText(find("link"), text);
  if (forMs) told = setTimeout(() => setText(find("link"), ""), forMs);
}

function showState(state) {
  document.body.dataset.connection = state;
  if (state === "open") {
    if (lost) tell(t("page-back"), true, BACK_MS);
    else clearTimeout(told);
    lost = false;
  } else if (state === "lost" && !lost) {
    clearTimeout(told);
    told = setTimeout(() => {
      lost = true;
      tell(t("page-lost"), false, 0);
    }, SAY_LOST_AFTER_MS);
  }
}

let news = "";

/** The tab's title: how far the job is, or what came while nobody looked. */
function title(line) {
  if (line?.kind === "result" && document.hidden) news = "● ";
  const card = conversation.running;
  const share = card?.state === "running" ? `${percent((card.percent ?? 0) / 100)} ${card.name} · ` : "";
  document.title = news + share + t("page-title");
}

document.addEventListener("visibilitychange", () => {
  news = "";
  title();
});

const pick = () => openPicker({ complete: (text) => connection.complete(text), say });
find("open-picker").addEventListener("click", pick);
find("empty-presets").addEventListener("click", pick);
find("ask-help").addEventListener("click", () => say("/help"));
find("example").addEventListener("click", () => composer.fill(t("page-empty-example")));
for (const id of ["attach", "empty-files"]) find(id).addEventListener("click", () => find("files").click());

offerLanguages(find("language"));
prepareDialogs();
listenForFiles((found) => uploads.add(found));
connection.open();
// On a phone the keyboard would cover the page before it was seen.
if (matchMedia("(hover: hover)").matches) composer.focus();
