/** The login page: its words, and why the last try was refused. */

import { find } from "./dom.js";
import { loadTexts, t } from "./texts.js";

await loadTexts();
const reason = new URLSearchParams(location.search).get("error");
if (reason) {
  find("login-error").textContent = t(reason === "wait" ? "page-login-wait" : "page-login-wrong");
  find("password").setAttribute("aria-invalid", "true");
}
find("password").focus();
