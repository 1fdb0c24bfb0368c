/** The loss curve: an SVG stretched to its box, so that only the labels around it are laid out in pixels. */

import { el, svg, setText } from "./dom.js";
import { loss as lossText, number, t } from "./texts.js";

const WIDTH = 1000;
const HEIGHT = 100;

function range(values) {
  const low = Math.min(...values);
  const high = Math.max(...values);
  const room = (high - low || Math.abs(high) || 1) * 0.08;
  return [Math.max(low - room, 0), high + room];
}

const path = (points) => points.map(([x, y], i) => `${i ? "L" : "M"}${x.toFixed(1)} ${y.toFixed(2)}`).join("");

function nearest(points, step) {
  let best = null;
  for (const point of points) if (!best || Math.abs(point[0] - step) < Math.abs(best[0] - step)) best = point;
  return best;
}

/** A chart and its `update({loss, validation, total_steps})`; it stays hidden until there are two points. */
export function createChart() {
  const shapes = Object.fromEntries(["rule", "area", "train", "held", "dots", "cursor"].map((name) => [name, svg("path", { class: name })]));
  const drawing = svg("svg", { viewBox: `0 0 ${WIDTH} ${HEIGHT}`, preserveAspectRatio: "none", role: "img" }, ...Object.values(shapes));
  const high = el("span");
  const low = el("span");
  const last = el("span");
  const title = el("b", {}, t("page-loss"));
  const trained = el("span");
  const held = el("span");
  const training = el("span", {}, el("i", { class: "key" }), trained);
  const validation = el("span", {}, el("i", { class: "key dots" }), held);
  const node = el(
    "figure",
    { class: "chart", hidden: true },
    el("figcaption", {}, title, training, validation),
    el("div", { class: "plot" }, el("div", { class: "y" }, high, low), drawing, el("div", { class: "x" }, el("span", {}, "0"), last)),
  );
  let data = { loss: [], validation: [] };
  let end = 1;

  function legend(step) {
    const train = step === null ? data.loss.at(-1) : nearest(data.loss, step);
    const check = step === null ? data.validation.at(-1) : nearest(data.validation, step);
    setText(title, step === null ? t("page-loss") : t("page-at-step", { step: number(train[0]) }));
    setText(trained, `${t("page-training")} ${lossText(train[1])}`);
    if (check) setText(held, `${t("page-validation")} ${lossText(check[1])}`);
    validation.hidden = !check;
    shapes.cursor.setAttribute("d", step === null ? "" : `M${(train[0] / end) * WIDTH} 0V${HEIGHT}`);
  }

  drawing.addEventListener("pointermove", (event) => {
    const box = drawing.getBoundingClientRect();
    legend(((event.clientX - box.left) / box.width) * end);
  });
  drawing.addEventListener("pointerleave", () => legend(null));

  function update(card) {
    data = { loss: card.loss ?? [], validation: card.validation ?? [] };
    node.hidden = data.loss.length < 2;
    if (node.hidden) return;
    end = Math.max(card.total_steps, data.loss.at(-1)[0], 1);
    const [bottom, top] = range([...data.loss, ...data.validation].map((point) => point[1]));
    const place = ([step, value]) => [(step / end) * WIDTH, HEIGHT - ((value - bottom) / (top - bottom)) * HEIGHT];
    const curve = data.loss.map(place);
    const checks = data.validation.map(place);
    shapes.rule.setAttribute("d", [0, 0.5, 1].map((share) => `M0 ${share * HEIGHT}H${WIDTH}`).join(""));
    shapes.train.setAttribute("d", path(curve));
    shapes.area.setAttribute("d", `${path(curve)}V${HEIGHT}H${curve[0][0].toFixed(1)}Z`);
    shapes.held.setAttribute("d", path(checks));
    // A stroke without length and with round ends is a dot that the stretching leaves round.
    shapes.dots.setAttribute("d", checks.map(([x, y]) => `M${x.toFixed(1)} ${y.toFixed(2)}h.01`).join(""));
    setText(high, lossText(top));
    setText(low, lossText(bottom));
    setText(last, number(end));
    const [step, value] = data.loss.at(-1);
    drawing.setAttribute("aria-label", t("page-loss-chart", { step: number(step), loss: lossText(value) }));
    legend(null);
  }

  return { node, update };
}
