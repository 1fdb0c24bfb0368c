/** Makes elements. Data only ever becomes text or attributes, never markup. */

const SVG = "http://www.w3.org/2000/svg";

export const find = (id) => document.getElementById(id);

function assign(node, attributes) {
  for (const [name, value] of Object.entries(attributes)) {
    if (value === undefined || value === null || value === false) continue;
    if (name.startsWith("on")) node.addEventListener(name.slice(2), value);
    else node.setAttribute(name, value === true ? "" : value);
  }
  return node;
}

/** An HTML element: `on…` attributes are listeners, children are nodes or strings, empty ones are left out. */
export function el(name, attributes = {}, ...children) {
  const node = assign(document.createElement(name), attributes);
  node.append(...children.flat().filter((child) => child !== null && child !== undefined && child !== ""));
  return node;
}

export function svg(name, attributes = {}, ...children) {
  const node = assign(document.createElementNS(SVG, name), attributes);
  node.append(...children);
  return node;
}

export const icon = (name) =>
  svg("svg", { class: "icon", "aria-hidden": "true" }, svg("use", { href: `/static/icons.svg#${name}` }));

/** Sets a text only where it changed, so that nothing is announced or repainted twice. */
export function setText(node, text) {
  const value = text ?? "";
  if (node.textContent !== value) node.textContent = value;
  node.hidden = value === "";
}

/** A random name. `crypto.randomUUID` exists on secure origins only; a lorabot in a home network is none. */
export const uniqueKey = () =>
  Array.from(crypto.getRandomValues(new Uint8Array(16)), (byte) => byte.toString(16).padStart(2, "0")).join("");
