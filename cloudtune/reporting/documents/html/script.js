
const read = (id) => JSON.parse(document.getElementById(id).textContent);
const labels = read("labels");
const specs = read("specs");
const views = new Map();
const boxes = [...document.querySelectorAll('input[name="group"]')];
const share = document.getElementById("share");
const tip = document.getElementById("tip");
const none = document.getElementById("none");
const later = window.requestIdleCallback ?? ((act) => setTimeout(act, 50));
let chosen = labels;

function config() {
  const of = (name) => `var(${name})`;
  const words = { labelColor: of("--soft"), titleColor: of("--soft"), titleFontWeight: 500 };
  return {
    background: null,
    font: "system-ui, -apple-system, Segoe UI, Roboto, Helvetica Neue, sans-serif",
    view: { stroke: null },
    mark: { aria: false },
    text: { fill: of("--soft"), fontSize: 11 },
    axis: { ...words, labelFontSize: 11, titleFontSize: 12, titlePadding: 8, labelLimit: 140,
      titleLimit: 320, gridColor: of("--grid"), domainColor: of("--line"), tickColor: of("--line") },
    legend: { ...words, labelFontSize: 12, orient: "top", symbolSize: 90, symbolStrokeWidth: 2 },
    range: { category: [0, 1, 2, 3, 4, 5].map((n) => of(`--g${n}`)) },
  };
}

function said(titles, event, value) {
  tip.hidden = !value;
  if (!value) return;
  const list = document.createElement("dl");
  for (const [field, title] of titles) {
    for (const [kind, words] of [["dt", title], ["dd", value[field]]]) {
      list.appendChild(document.createElement(kind)).textContent = words;
    }
  }
  tip.replaceChildren(list);
  const left = Math.min(event.clientX + 14, innerWidth - tip.offsetWidth - 8);
  const above = event.clientY + 14 + tip.offsetHeight > innerHeight;
  tip.style.left = `${Math.max(8, left)}px`;
  tip.style.top = `${event.clientY + (above ? -14 - tip.offsetHeight : 14)}px`;
}

async function draw(place) {
  const id = place.dataset.chart;
  if (views.has(id)) return;
  views.set(id, null);
  const spec = structuredClone(specs[id]);
  for (const param of spec.params) {
    if (param.name === "shown") param.value = chosen;
    if (param.name === "share") param.value = Number(share.value);
  }
  place.style.minHeight = `${spec.height + 60}px`;
  const made = await vegaEmbed(place, spec, {
    ast: true, renderer: "svg", actions: false, defaultStyle: false, config: config(),
    tooltip: (_handler, event, _item, value) => said(spec.usermeta.titles, event, value),
  });
  views.set(id, made);
  place.dataset.drawn = "yes";
}

function update(name, value) {
  for (const made of views.values()) {
    if (made && made.spec.params.some((param) => param.name === name)) {
      made.view.signal(name, value).runAsync();
    }
  }
}

const places = [...document.querySelectorAll("[data-chart]")];
const seen = new IntersectionObserver((entries) => {
  for (const entry of entries) if (entry.isIntersecting) draw(entry.target);
}, { rootMargin: "600px" });
for (const place of places) seen.observe(place);

async function drawAll() {
  for (const place of places) {
    await new Promise((act) => later(act));
    await draw(place);
  }
}
drawAll();

function choose() {
  const some = labels.filter((_, place) => boxes[place].checked);
  document.body.classList.toggle("none", !some.length);
  none.textContent = some.length ? "" : "Nothing is ticked, so nothing is drawn.";
  if (!some.length) return;
  chosen = some;
  update("shown", chosen);
}
for (const box of boxes) box.addEventListener("change", choose);
if (share) {
  share.addEventListener("input", () => {
    document.getElementById("share-said").textContent = share.value;
    update("share", Number(share.value));
  });
}
addEventListener("beforeprint", () => places.forEach(draw));
addEventListener("keydown", (event) => {
  if (event.key === "Escape") tip.hidden = true;
});
