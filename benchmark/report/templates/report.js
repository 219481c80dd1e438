"use strict";
// Optional: sorts table columns, and opens the folded runs that a link points to.
document.documentElement.classList.add("js");

for (const table of document.querySelectorAll("table.sortable")) {
  table.querySelectorAll("thead th").forEach((heading, column) => {
    const button = document.createElement("button");
    button.type = "button";
    button.textContent = heading.textContent;
    button.addEventListener("click", () => sort(table, heading, column));
    heading.replaceChildren(button);
  });
}

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
  const text = cell.textContent.replace(/^[●◇○◈▫–]\s*/u, "").trim();
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
