"use strict";
(() => {
  const root = document.documentElement;
  const byId = (id) => document.getElementById(id);

  byId("theme").addEventListener("click", () => {
    const systemDark = matchMedia("(prefers-color-scheme: dark)").matches;
    const now = root.dataset.theme || (systemDark ? "dark" : "light");
    root.dataset.theme = now === "dark" ? "light" : "dark";
  });

  const table = byId("run-table");
  if (table) {
    const body = table.tBodies[0];
    const rows = [...body.rows];
    const words = new Map(rows.map((row) => [row, row.textContent.toLowerCase()]));

    const filter = () => {
      const wanted = byId("filter").value.toLowerCase().split(/\s+/).filter(Boolean);
      const state = byId("state").value;
      let shown = 0;
      for (const row of rows) {
        const keep = (!state || row.dataset.state === state)
          && wanted.every((word) => words.get(row).includes(word));
        row.hidden = !keep;
        shown += keep;
      }
      byId("count").textContent = `${shown} of ${rows.length} runs`;
    };
    byId("filter").addEventListener("input", filter);
    byId("state").addEventListener("change", filter);
    filter();

    // Rows without a value come last whichever way the column is sorted.
    const value = (row, column, kind) => {
      const cell = row.cells[column];
      if (kind !== "num") return cell.textContent.trim();
      return cell.dataset.value === "" ? null : Number(cell.dataset.value);
    };
    const headings = [...table.tHead.rows[0].cells];
    headings.forEach((heading, column) => {
      heading.querySelector("button").addEventListener("click", () => {
        const kind = heading.dataset.kind;
        const first = kind === "num" ? "descending" : "ascending";
        const other = kind === "num" ? "ascending" : "descending";
        const order = heading.getAttribute("aria-sort") === first ? other : first;
        headings.forEach((each) => each.setAttribute("aria-sort", "none"));
        heading.setAttribute("aria-sort", order);
        const sign = order === "ascending" ? 1 : -1;
        rows.sort((a, b) => {
          const x = value(a, column, kind);
          const y = value(b, column, kind);
          if (x === null || y === null) return (x === null) - (y === null);
          return sign * (kind === "num" ? x - y : x.localeCompare(y, "en", { numeric: true }));
        });
        body.append(...rows);
      });
    });
  }

  const divide = byId("divide");
  if (divide) {
    const place = () => {
      const share = divide.value / 100;
      for (const svg of document.querySelectorAll(".sample svg")) {
        const width = Number(svg.dataset.width);
        const x = width * share;
        svg.querySelector(".clip-left").setAttribute("width", x);
        svg.querySelector(".clip-right").setAttribute("x", x);
        svg.querySelector(".clip-right").setAttribute("width", width - x);
        const line = svg.querySelector(".divide");
        line.setAttribute("x1", x);
        line.setAttribute("x2", x);
      }
    };
    const choose = (side) => {
      for (const use of document.querySelectorAll(`.sample use.${side}`)) {
        use.setAttribute("href", `#layer-${use.dataset.image}-${byId(side).value}`);
      }
    };
    divide.addEventListener("input", place);
    for (const side of ["left", "right"]) {
      byId(side).addEventListener("change", () => choose(side));
      choose(side);
    }
    byId("toggle").addEventListener("click", () => {
      divide.value = Number(divide.value) > 50 ? 0 : 100;
      place();
    });
    place();
  }

  // Links to a run lead to a row that the filter may have hidden.
  addEventListener("hashchange", () => {
    const target = byId(decodeURIComponent(location.hash.slice(1)));
    if (target && target.hidden) target.hidden = false;
  });
})();
