/** The page's words, from the server's catalogue, and numbers and times as the language writes them. */

let texts = {};
let language = document.documentElement.lang;
let languages = {};

const CHOICE = "lorabot.language";

/** The language chosen on the page, or null: then the browser's own counts. */
export const chosenLanguage = () => localStorage.getItem(CHOICE);

/** Fetches the catalogue and fills it into the page; tries again while the server is away.
 *
 * Without a choice of the person's, `known` is the language they speak, else the browser's own counts.
 */
export async function loadTexts(known = null) {
  const wanted = chosenLanguage() ?? known;
  for (let wait = 300; ; wait = Math.min(wait * 2, 5000)) {
    try {
      const response = await fetch(wanted ? `/api/texts?lang=${wanted}` : "/api/texts");
      if (response.ok) {
        ({ language, languages, texts } = await response.json());
        break;
      }
    } catch {
      // The server is on its way; the next round asks again.
    }
    await new Promise((resolve) => setTimeout(resolve, wait));
  }
  document.documentElement.lang = language;
  document.title = t("page-title");
  for (const node of document.querySelectorAll("[data-text]")) node.textContent = t(node.dataset.text);
  for (const node of document.querySelectorAll("[data-label]")) {
    node.setAttribute("aria-label", t(node.dataset.label));
    if (node instanceof HTMLButtonElement) node.title = t(node.dataset.label);
  }
  for (const node of document.querySelectorAll("[data-placeholder]")) node.placeholder = t(node.dataset.placeholder);
  document.body.classList.remove("loading");
}

/** Lets `select` choose the language of the page. */
export function offerLanguages(select) {
  for (const [code, name] of Object.entries(languages)) select.add(new Option(name, code, false, code === language));
  select.addEventListener("change", () => {
    localStorage.setItem(CHOICE, select.value);
    location.reload();
  });
}

/** The text `id`, its `{name}` places filled in. An unknown id is shown itself. */
export function t(id, values = {}) {
  return (texts[id] ?? id).replace(/\{(\w+)\}/g, (place, name) => (name in values ? String(values[name]) : place));
}

export const number = (value, options = {}) => new Intl.NumberFormat(language, options).format(value);
export const percent = (share) => number(share, { style: "percent" });
export const loss = (value) => number(value, value < 0.01 ? { maximumSignificantDigits: 2 } : { minimumFractionDigits: 3, maximumFractionDigits: 3 });

/** A size of a file in decimal units, as file managers show it. */
export function size(bytes) {
  const units = ["byte", "kilobyte", "megabyte", "gigabyte"];
  const power = Math.min(Math.floor(Math.log10(Math.max(bytes, 1)) / 3), 3);
  const value = bytes / 1000 ** power;
  const digits = value < 10 && power > 0 ? 1 : 0;
  return number(value, { style: "unit", unit: units[power], unitDisplay: power ? "short" : "long", maximumFractionDigits: digits });
}

export const clock = (date) => date.toLocaleTimeString(language, { hour: "numeric", minute: "2-digit" });

/** The name of a day as one would say it now. */
export function day(date) {
  const days = Math.round((new Date().setHours(0, 0, 0, 0) - new Date(date).setHours(0, 0, 0, 0)) / 86_400_000);
  if (days === 0) return t("page-today");
  if (days === 1) return t("page-yesterday");
  const year = date.getFullYear() === new Date().getFullYear() ? undefined : "numeric";
  return date.toLocaleDateString(language, { weekday: "long", day: "numeric", month: "long", year });
}
