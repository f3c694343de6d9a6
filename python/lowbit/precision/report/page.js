"use strict";
// Makes the heads of a sortable table buttons that sort its rows. A second click turns the order round.
for (const table of document.querySelectorAll("table.sortable")) {
  table.caption.append("; a click on a column’s name sorts");
  const heads = [...table.querySelectorAll("thead th")];
  heads.forEach((head, column) => {
    const button = document.createElement("button");
    button.type = "button";
    button.append(...head.childNodes);
    head.append(button);
    const numeric = head.classList.contains("number");
    button.addEventListener("click", () => {
      // Of numbers the greatest first, except of the places in the file.
      const first = numeric && column > 0 ? "descending" : "ascending";
      const other = first === "ascending" ? "descending" : "ascending";
      const order = head.getAttribute("aria-sort") === first ? other : first;
      const sign = order === "ascending" ? 1 : -1;
      const keyed = [...table.tBodies[0].rows].map((row) => {
        const cell = row.cells[column];
        const value = cell.dataset.value;
        if (!numeric) return [cell.textContent, row];
        return [value === undefined ? null : Number(value), row];
      });
      keyed.sort(([a], [b]) => {
        if (a === null || b === null) return (a === null) - (b === null); // absent ones last
        if (!numeric) return sign * a.localeCompare(b, undefined, { numeric: true });
        return a < b ? -sign : a > b ? sign : 0;
      });
      heads.forEach((each) => each.removeAttribute("aria-sort"));
      head.setAttribute("aria-sort", order);
      table.tBodies[0].append(...keyed.map(([, row]) => row));
    });
  });
}
