/** The login page: its words, and why the last try was refused. */

import { find } from "./dom.js";
import { loadTexts, t } from "./texts.js";

await loadTexts();
const query = new URLSearchParams(location.search);
const reason = query.get("error");
if (reason) {
  const minutes = Number.parseInt(query.get("minutes"), 10) || 1;
  find("login-error").textContent = t(reason === "wait" ? "page-login-wait" : "page-login-wrong", { minutes });
  find("password").setAttribute("aria-invalid", "true");
}
find("password").focus();
