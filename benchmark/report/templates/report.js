"use strict";
// Optional: sorts and filters table rows, compares two models, and opens the folded runs that a link points to.
document.documentElement.classList.add("js");

for (const table of document.querySelectorAll("table.sortable")) {
  table.querySelectorAll("thead th").forEach((heading, column) => {
    const button = document.createElement("button");
    button.type = "button";
    button.textContent = heading.textContent;
    button.setAttribute("aria-label", `Sort by ${heading.textContent}`);
    button.addEventListener("click", () => sort(table, heading, column));
    heading.replaceChildren(button);
  });
}

// Only what scrolls is a tab stop.
function setTabStops() {
  for (const box of document.querySelectorAll(".box, pre")) {
    const scrolls = box.scrollWidth > box.clientWidth || box.scrollHeight > box.clientHeight;
    if (scrolls) box.tabIndex = 0;
    else box.removeAttribute("tabindex");
  }
}
addEventListener("resize", setTabStops);
document.addEventListener("toggle", setTabStops, true);
setTabStops();

function sort(table, heading, column) {
  const order = heading.getAttribute("aria-sort") === "ascending" ? "descending" : "ascending";
  for (const other of table.querySelectorAll("[aria-sort]")) other.removeAttribute("aria-sort");
  heading.setAttribute("aria-sort", order);
  const sign = order === "ascending" ? 1 : -1;
  const body = table.tBodies[0];
  const rows = [...body.rows].map((row) => [sortValue(row.cells[column]), row]);
  const filled = rows.filter(([value]) => value !== null).sort(([a], [b]) => sign * compare(a, b));
  const empty = rows.filter(([value]) => value === null); // last in both orders
  body.append(...[...filled, ...empty].map(([, row]) => row));
}

// The cell's number, else its text without the source symbol; null for an empty cell.
function sortValue(cell) {
  if (cell.dataset.number !== undefined) return Number(cell.dataset.number);
  const text = cell.textContent.replace(/^[◇◈–]\s*/u, "").trim();
  return text === "" ? null : text;
}

function compare(a, b) {
  if (typeof a === "number" && typeof b === "number") return a - b;
  if (typeof a !== typeof b) return typeof a === "number" ? -1 : 1; // numbers before text
  return a.localeCompare(b, "en", { numeric: true });
}

// Unfold what the address's #fragment points to, scroll to it and focus its summary.
function openTarget() {
  const target = location.hash && document.getElementById(decodeURIComponent(location.hash.slice(1)));
  if (!target) return;
  for (let part = target.closest("details"); part; part = part.parentElement.closest("details")) part.open = true;
  const block = target.closest("details.configuration");
  (block ?? target).scrollIntoView();
  block?.querySelector("summary").focus({ preventScroll: true });
}
addEventListener("hashchange", openTarget);
openTarget();

// Filter the rows of the tables that follow a form, up to the next form, by text, kind of model, and "measured".
for (const form of document.querySelectorAll("main section > form.filters:not(#compare form)")) {
  const [search, kind, measured] = form.querySelectorAll("input[type=search], select, input[type=checkbox]");
  const followers = [];
  for (let next = form.nextElementSibling; next && next.tagName !== "FORM"; next = next.nextElementSibling) followers.push(next);
  const rows = followers.flatMap((part) => [...part.querySelectorAll("tr[data-kind]")]);
  const filter = () => {
    const words = search.value.toLowerCase().split(/\s+/).filter(Boolean);
    for (const row of rows) {
      const text = row.textContent.toLowerCase();
      const matches = words.every((word) => text.includes(word)) && (!kind.value || row.dataset.kind === kind.value);
      row.hidden = !matches || (measured.checked && row.dataset.measured === undefined);
    }
    for (const part of followers.filter((one) => one.matches("details"))) {
      const found = part.querySelector("tbody tr:not([hidden])") !== null;
      if (part.id === "not-run") part.hidden = !found;
      if (words.length) part.open = found;
    }
    const filtered = words.length || kind.value || measured.checked;
    const found = rows.filter((row) => !row.hidden).length;
    form.querySelector("output").textContent = filtered ? `${found} of ${rows.length} rows of the tables below` : "";
  };
  form.addEventListener("input", filter);
  form.addEventListener("submit", (event) => event.preventDefault());
  filter();
}

// Compare two models. The numbers over all seeds were computed by the report; the counts are those of the first seeds.
const source = document.getElementById("comparisons");
if (source) {
  const splits = JSON.parse(source.textContent);
  const [which, one, other] = ["split", "a", "b"].map((name) => document.getElementById(`compare-${name}`));
  const fill = () => {
    const { configurations } = splits[which.value];
    for (const [select, chosen] of [[one, 0], [other, 1]]) {
      select.replaceChildren(...configurations.map((item, place) => {
        const name = `${item.name}: ${item.accuracy.toFixed(4)}${item.reduced ? " (reduced run)" : ""}`;
        return new Option(name, place, false, place === chosen);
      }));
    }
    show();
  };
  const show = () => {
    const shown = comparison(splits[which.value], Number(one.value), Number(other.value));
    document.getElementById("comparison").replaceChildren(...shown);
  };
  which.addEventListener("change", fill);
  for (const select of [one, other]) select.addEventListener("change", show);
  fill();
}

function comparison(split, a, b) {
  if (a === b) return [element("p", "A and B are the same.")];
  const [first, second] = [a, b].map((place) => split.configurations[place]);
  const [gold, ofA, ofB] = [split.gold, first.predicted, second.predicted].map((text) => unpacked(text, split.width));
  const counts = { both: 0, a: 0, b: 0, neither: 0 };
  const differing = [];
  gold.forEach((label, item) => {
    const [rightA, rightB] = [ofA[item] === label, ofB[item] === label];
    counts[rightA ? (rightB ? "both" : "a") : rightB ? "b" : "neither"] += 1;
    if (rightA !== rightB) differing.push([item, rightA]);
  });
  const [difference, low, high, p, firstP, pairs] = pairOf(split, a, b);
  const several = pairs > 1 ? `, means over ${seedsOf(first)} of A and ${seedsOf(second)} of B` : "";
  const combined = pairs > 1 ? ` McNemar’s p, combined over the ${pairs} pairs of seeds: ${short(p)}.` : "";
  const verdict = low > 0 || high < 0 ? "excludes" : "contains";
  const rows = [["Both right", counts.both], ["Only A right", counts.a], ["Only B right", counts.b], ["Both wrong", counts.neither]];
  return [
    element("p", `Accuracy of A minus that of B${several}: ${signed(difference)}. Its 95% interval, ${signed(low)} to ` +
      `${signed(high)}, ${verdict} 0.${combined}`),
    tableOf([`Seed ${first.seed} of A, seed ${second.seed} of B`, "Texts"], [
      ...rows.map(([name, count]) => [name, count.toLocaleString("en")]), ["McNemar’s exact p", short(firstP)],
    ]),
    element("p", "The p-values are not corrected for the number of comparisons."),
    folded(`The ${differing.length} texts that only one of them gets right`, itemTable(split, differing, ofA, ofB)),
  ];
}

// The report's pair, which has the configuration that comes first as A.
function pairOf(split, a, b) {
  const [i, j] = [Math.min(a, b), Math.max(a, b)];
  const pair = split.pairs[(i * (2 * split.configurations.length - i - 1)) / 2 + (j - i - 1)];
  return a < b ? pair : [-pair[0], -pair[2], -pair[1], ...pair.slice(3)];
}

function itemTable(split, differing, ofA, ofB) {
  const withTexts = split.texts.length > 0;
  const gold = unpacked(split.gold, split.width);
  const rows = differing.map(([item, rightA]) => [
    split.items[item], rightA ? "A" : "B", ...[gold, ofA, ofB].map((labels) => split.labels[labels[item]]),
    ...(withTexts ? [split.texts[item]] : []),
  ]);
  return tableOf(["Id", "Right", "Gold label", "A", "B", ...(withTexts ? ["Text"] : [])], rows);
}

function unpacked(text, width) {
  const digits = "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ";
  const values = [...text].map((digit) => digits.indexOf(digit));
  return width === 1 ? values : values.filter((_, place) => place % 2 === 0).map((high, item) => 62 * high + values[2 * item + 1]);
}

function seedsOf({ seeds }) {
  return seeds === 1 ? "1 seed" : `${seeds} seeds`;
}

function short(p) {
  return p < 0.0001 ? "< 0.0001" : p.toFixed(4);
}

function signed(value) {
  return `${value < 0 ? "−" : "+"}${Math.abs(value).toFixed(4)}`;
}

function element(name, ...content) {
  const made = document.createElement(name);
  made.append(...content);
  return made;
}

function folded(summary, content) {
  return element("details", element("summary", summary), content);
}

function tableOf(headings, rows) {
  const head = element("tr", ...headings.map((text) => element("th", text)));
  for (const heading of head.cells) heading.scope = "col";
  const body = rows.map(([first, ...others]) => {
    const name = element("th", first);
    name.scope = "row";
    return element("tr", name, ...others.map((text) => element("td", String(text))));
  });
  const box = element("div", element("table", element("thead", head), element("tbody", ...body)));
  box.className = "box";
  box.tabIndex = 0;
  box.setAttribute("role", "group");
  box.setAttribute("aria-label", headings[0]);
  return box;
}
