/** The job card: one element that is changed in place as the job goes on. */

import { createChart } from "./chart.js";
import { openViewer } from "./dialogs.js";
import { el, setText } from "./dom.js";
import { number, percent, t } from "./texts.js";

/** The film strip: per prompt its first and its newest picture; a click shows all of that prompt's pictures. */
function createSamples() {
  const node = el("div", { class: "contact", role: "group", "aria-label": t("page-samples"), hidden: true });
  const frames = new Map();

  function frame(sample, siblings, caption) {
    const image = el("img", { src: sample.url, alt: sample.alt, loading: "lazy" });
    const show = () => openViewer(siblings, siblings.indexOf(sample));
    return el("button", { type: "button", class: "frame", onclick: show }, image, el("small", {}, caption));
  }

  function update(samples) {
    const rows = grouped(samples);
    for (const [prompt, all] of rows) {
      all.sort((a, b) => a.step - b.step);
      const first = all[0];
      const newest = all.at(-1);
      const shown = frames.get(prompt);
      if (shown?.newest === newest.url && shown.count === all.length) continue;
      const pair = el("div", { class: "pair" }, frame(first, all, first.step ? t("page-at-step", { step: number(first.step) }) : t("page-before")));
      if (newest !== first) pair.append(frame(newest, all, t("page-at-step", { step: number(newest.step) })));
      if (shown) shown.pair.replaceWith(pair);
      else node.append(el("figure", {}, pair, el("figcaption", { title: prompt }, prompt)));
      frames.set(prompt, { pair, newest: newest.url, count: all.length });
    }
    node.hidden = frames.size === 0;
  }

  return { node, update };
}

function grouped(samples) {
  const rows = new Map();
  for (const sample of samples) rows.set(sample.prompt, [...(rows.get(sample.prompt) ?? []), sample]);
  return rows;
}

/** A card and its `update(card)`; `actions` is the element with the line's buttons. */
export function createCard(actions) {
  const name = el("h2");
  const about = el("p", { class: "about" });
  const state = el("span", { class: "state" });
  const stage = el("p", { class: "stage" });
  const bar = el("progress", { max: "100", "aria-label": t("page-progress") });
  const steps = el("b");
  const rate = el("span");
  const eta = el("span");
  const numbers = el("p", { class: "numbers" }, steps, rate, eta);
  const note = el("p", { class: "note" });
  const chart = createChart();
  const samples = createSamples();
  const foot = el("div", { class: "foot" }, actions);
  // Changes twice a second would drown a listener: only a new state and a new stage are read out.
  const spoken = el("div", { "aria-live": "polite", "aria-atomic": "true" }, el("header", {}, name, state), about, stage);
  const numeric = el("div", { "aria-live": "off" }, bar, numbers, chart.node);
  const node = el("article", { class: "card" }, spoken, numeric, note, samples.node, foot);

  function update(card) {
    node.dataset.state = card.state;
    node.setAttribute("aria-label", t("page-card", { name: card.name }));
    setText(name, card.name);
    setText(about, [card.title, card.trigger === card.name ? "" : card.trigger].filter(Boolean).join(" · "));
    setText(state, card.state_text);
    setText(stage, card.final ? "" : card.stage_text);
    bar.hidden = card.state !== "running";
    if (card.percent === null || card.percent === undefined) bar.removeAttribute("value");
    else bar.value = card.percent;
    bar.setAttribute("aria-valuetext", [percent((card.percent ?? 0) / 100), card.eta_text].filter(Boolean).join(", "));
    setText(steps, card.total_steps ? t("page-steps", { step: number(card.step), total: number(card.total_steps) }) : "");
    setText(rate, card.final ? "" : card.rate_text);
    setText(eta, card.final ? "" : card.eta_text);
    numbers.hidden = steps.hidden && rate.hidden && eta.hidden;
    setText(note, card.note);
    chart.update(card);
    samples.update(card.samples ?? []);
    foot.hidden = !actions.childElementCount;
  }

  return { node, update };
}
