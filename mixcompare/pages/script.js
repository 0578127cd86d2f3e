"use strict";
// Tables sort by a click or a key press on a heading: up, down, and back to the order as given.
for (const table of document.querySelectorAll("table")) {
  const body = table.tBodies[0];
  const given = [...body.rows];
  if (given.length < 2) continue;
  const heads = [...table.tHead.rows[0].cells];
  heads.forEach((head, column) => {
    const button = document.createElement("button");
    button.type = "button";
    button.append(...[...head.childNodes].filter((node) => node.nodeName !== "SMALL"));
    head.prepend(button);
    button.addEventListener("click", () => {
      const before = head.getAttribute("aria-sort");
      heads.forEach((other) => other.removeAttribute("aria-sort"));
      if (before === "descending") return body.append(...given);
      head.setAttribute("aria-sort", before ? "descending" : "ascending");
      body.append(...sorted(given, column, before ? -1 : 1));
    });
  });
}

function sorted(rows, column, direction) {
  const key = (row) => row.cells[column].dataset.key ?? row.cells[column].textContent.trim();
  return [...rows].sort((a, b) => {
    const [x, y] = [key(a), key(b)];
    // What is missing stays last either way.
    if (!x || !y) return (x ? 0 : 1) - (y ? 0 : 1);
    const [m, n] = [Number(x), Number(y)];
    if (Number.isNaN(m) || Number.isNaN(n)) return direction * x.localeCompare(y, "en", { numeric: true });
    return direction * (m - n);
  });
}
