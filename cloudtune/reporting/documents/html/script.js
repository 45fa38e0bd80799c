
const read = (id) => JSON.parse(document.getElementById(id).textContent);
const labels = read("labels");
const specs = read("specs");
const views = new Map();
const boxes = [...document.querySelectorAll('input[name="group"]')];
const tip = document.getElementById("tip");
const none = document.getElementById("none");
const whenIdle = window.requestIdleCallback ?? ((act) => setTimeout(act, 50));
let selected = labels;

function config() {
  const color = (name) => `var(${name})`;
  const colors = { labelColor: color("--soft"), titleColor: color("--soft"), titleFontWeight: 500 };
  return {
    background: null,
    font: "system-ui, -apple-system, Segoe UI, Roboto, Helvetica Neue, sans-serif",
    view: { stroke: null },
    mark: { aria: false },
    text: { fill: color("--soft"), fontSize: 11 },
    axis: { ...colors, labelFontSize: 11, titleFontSize: 12, titlePadding: 8, labelLimit: 140,
      titleLimit: 320, gridColor: color("--grid"), domainColor: color("--line"), tickColor: color("--line") },
    legend: { ...colors, labelFontSize: 12, orient: "top", symbolSize: 90, symbolStrokeWidth: 2 },
    range: { category: [0, 1, 2, 3, 4, 5].map((n) => color(`--g${n}`)) },
  };
}

function showTip(titles, event, value) {
  tip.hidden = !value;
  if (!value) return;
  const list = document.createElement("dl");
  for (const [field, title] of titles) {
    for (const [kind, text] of [["dt", title], ["dd", value[field]]]) {
      list.appendChild(document.createElement(kind)).textContent = text;
    }
  }
  tip.replaceChildren(list);
  const left = Math.min(event.clientX + 14, innerWidth - tip.offsetWidth - 8);
  const above = event.clientY + 14 + tip.offsetHeight > innerHeight;
  tip.style.left = `${Math.max(8, left)}px`;
  tip.style.top = `${event.clientY + (above ? -14 - tip.offsetHeight : 14)}px`;
}

async function draw(container) {
  const id = container.dataset.chart;
  if (views.has(id)) return;
  views.set(id, null);
  const spec = structuredClone(specs[id]);
  spec.params[0].value = selected;
  container.style.minHeight = `${spec.height + 60}px`;
  const chart = await vegaEmbed(container, spec, {
    ast: true, renderer: "svg", actions: false, defaultStyle: false, config: config(),
    tooltip: (_handler, event, _item, value) => showTip(spec.usermeta.titles, event, value),
  });
  views.set(id, chart);
  container.dataset.drawn = "yes";
}

const containers = [...document.querySelectorAll("[data-chart]")];

function select() {
  const checked = labels.filter((_, index) => boxes[index].checked);
  document.body.classList.toggle("none", !checked.length);
  none.textContent = checked.length ? "" : "No group is selected.";
  if (!checked.length) return;
  selected = checked;
  for (const chart of views.values()) chart?.view.signal("shown", selected).runAsync();
}
for (const box of boxes) box.addEventListener("change", select);
addEventListener("beforeprint", () => containers.forEach(draw));
addEventListener("keydown", (event) => {
  if (event.key === "Escape") tip.hidden = true;
});
for (const container of containers) {
  await new Promise((act) => whenIdle(act));
  await draw(container);
}
