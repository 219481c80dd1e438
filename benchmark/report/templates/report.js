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

// A table that does not fit in the text's width gets more, where the screen has it. Only what scrolls is a tab stop.
function fitTables() {
  for (const box of document.querySelectorAll(".box:has(> :is(.data, .by-seed))")) {
    box.classList.remove("grown");
    box.classList.toggle("grown", box.scrollWidth > box.clientWidth);
  }
  for (const box of document.querySelectorAll(".box, pre")) {
    const scrolls = box.scrollWidth > box.clientWidth || box.scrollHeight > box.clientHeight;
    if (scrolls) box.tabIndex = 0;
    else box.removeAttribute("tabindex");
  }
}
addEventListener("resize", fitTables);
document.addEventListener("toggle", fitTables, true);
fitTables();

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
  const text = cell.textContent.replace(/^[◇–]\s*/u, "").trim();
  return text === "" ? null : text;
}

function compare(a, b) {
  if (typeof a === "number" && typeof b === "number") return a - b;
  if (typeof a !== typeof b) return typeof a === "number" ? -1 : 1; // numbers before text
  return a.localeCompare(b, "en", { numeric: true });
}

// Filter the rows of tables, or the configurations, that follow a form, up to the next form, by text, kind of model, and
// "measured". Groups without a match are hidden.
for (const form of document.querySelectorAll("main section form.filters:not(#compare form)")) {
  const [search, kind, measured] = form.querySelectorAll("input[type=search], select, input[type=checkbox]");
  const followers = [];
  for (let next = form.nextElementSibling; next && next.tagName !== "FORM"; next = next.nextElementSibling) followers.push(next);
  const items = followers.flatMap((part) => [...part.querySelectorAll("[data-kind]")]);
  const groups = followers.flatMap((part) => [part, ...part.querySelectorAll(".folded, .box")])
    .filter((part) => part.matches(".folded, .dataset, .box") && part.querySelector("[data-kind]"));
  const filter = () => {
    const words = search.value.toLowerCase().split(/\s+/).filter(Boolean);
    for (const item of items) {
      const text = (item.querySelector("summary") ?? item).textContent.toLowerCase();
      const matches = words.every((word) => text.includes(word)) && (!kind.value || item.dataset.kind === kind.value);
      item.hidden = !matches || (measured.checked && item.dataset.measured === undefined);
    }
    for (const group of groups) {
      group.hidden = !group.querySelector("[data-kind]:not([hidden])");
      if (words.length) group.open = true;
    }
    const filtered = words.length || kind.value || measured.checked;
    const found = items.filter((item) => !item.hidden).length;
    form.querySelector("output").textContent = !filtered ? "" : found ? `${found} of ${items.length} shown` : "No row matches.";
    form.querySelector("button").hidden = !filtered;
  };
  form.addEventListener("input", filter);
  form.addEventListener("reset", (event) => {
    event.preventDefault(); // the browser empties the fields only after this event
    [search.value, kind.value, measured.checked] = ["", "", false];
    filter();
  });
  form.addEventListener("submit", (event) => event.preventDefault());
  filter();
}

// Clear the filter that hides what the address's #fragment points to, unfold it, scroll to it and focus its summary.
function openTarget() {
  const target = location.hash && document.getElementById(decodeURIComponent(location.hash.slice(1)));
  if (!target) return;
  if (target.closest("[hidden]")) target.closest("section").querySelector("form.filters").reset();
  for (let part = target.closest("details"); part; part = part.parentElement.closest("details")) part.open = true;
  const block = target.closest("details.configuration");
  (block ?? target).scrollIntoView();
  block?.querySelector("summary").focus({ preventScroll: true });
}
addEventListener("hashchange", openTarget);
addEventListener("click", (event) => {
  if (event.target.closest("td a")?.hash !== location.hash) return;
  event.preventDefault();
  openTarget(); // the address stays the same at a second click
});
openTarget();

// Compare two models. The numbers over all seeds were computed by the report; the listed texts are of the first seeds.
const source = document.getElementById("comparisons");
if (source) {
  const splits = JSON.parse(source.textContent);
  const [which, one, other] = ["split", "a", "b"].map((name) => document.getElementById(`compare-${name}`));
  const fill = () => {
    const { configurations, chosen } = splits[which.value];
    [one, other].forEach((select, side) => {
      const options = configurations.map((item, place) => {
        const option = new Option(`${item.name}: ${item.accuracy.toFixed(4)}`, place, false, place === chosen[side]);
        return [item.reduced, option];
      });
      const reduced = element("optgroup", ...options.filter(([isReduced]) => isReduced).map(([, option]) => option));
      reduced.label = "Reduced runs";
      select.replaceChildren(...options.filter(([isReduced]) => !isReduced).map(([, option]) => option));
      if (reduced.children.length) select.append(reduced);
    });
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
  const differing = gold.flatMap((label, item) => {
    const rightA = ofA[item] === label;
    return rightA === (ofB[item] === label) ? [] : [[item, rightA]];
  });
  const [difference, low, high, p, onlyA, onlyB, pairs, adjusted, differs] = pairOf(split, a, b);
  const both = first.accuracy * gold.length - onlyA;
  const counts = [["Both right", both], ["Only A right", onlyA], ["Only B right", onlyB],
    ["Both wrong", gold.length - both - onlyA - onlyB]];
  const verdict = adjusted === null
    ? `McNemar’s test without correction for the number of comparisons: p ${short(p)}.`
    : `The difference is ${differs ? "" : "not "}significant (McNemar’s test after Holm’s correction: p ${short(adjusted)}).`;
  return [
    element("p", `Accuracy of A minus that of B: ${signed(difference)}, 95% interval ${signed(low)} to ${signed(high)}. ${verdict}`),
    tableOf([pairs > 1 ? `Mean over the ${pairs} pairs of seeds` : "Result", "Texts"], counts.map(([name, count]) => [name, mean(count)])),
    folded(`The ${differing.length.toLocaleString("en")} texts that only one of them gets right (seed ${first.seed} of A, ` +
      `seed ${second.seed} of B)`, itemTable(split, differing, ofA, ofB)),
  ];
}

// The report's pair, which has the configuration that comes first as A.
function pairOf(split, a, b) {
  const [i, j] = [Math.min(a, b), Math.max(a, b)];
  const pair = split.pairs[(i * (2 * split.configurations.length - i - 1)) / 2 + (j - i - 1)];
  const [difference, low, high, p, wins, losses, ...others] = pair;
  return a < b ? pair : [-difference, -high, -low, p, losses, wins, ...others];
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

// A count, or a mean of counts with one decimal.
function mean(count) {
  const rounded = Math.round(10 * count) / 10;
  return rounded.toLocaleString("en", { minimumFractionDigits: Number.isInteger(rounded) ? 0 : 1 });
}

function short(p) {
  return p < 0.001 ? "< 0.001" : `= ${p.toFixed(p < 0.1 ? 3 : 2)}`;
}

function signed(value) {
  return `${value < 0 ? "-" : "+"}${Math.abs(value).toFixed(4)}`; // with the minus sign of the tables
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
