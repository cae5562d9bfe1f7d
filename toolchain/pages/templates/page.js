(function () {
  "use strict";
  function sortable(table) {
    const heads = table.querySelectorAll("thead th"), body = table.tBodies[0];
    heads.forEach((head, column) => {
      const button = document.createElement("button");
      button.type = "button";
      button.append(...head.childNodes);
      head.append(button);
      button.addEventListener("click", () => {
        const down = head.getAttribute("aria-sort") !== "descending";
        const value = (row) => row.cells[column].textContent.trim();
        const number = (text) => Number.parseFloat(text.replace(/[,%+]/g, ""));
        const rows = Array.from(body.rows).sort((a, b) => {
          const left = number(value(a)), right = number(value(b));
          const order = Number.isNaN(left) || Number.isNaN(right) ? value(a).localeCompare(value(b)) : left - right;
          return down ? -order : order;
        });
        body.append(...rows);
        heads.forEach((each) => each.removeAttribute("aria-sort"));
        head.setAttribute("aria-sort", down ? "descending" : "ascending");
      });
    });
  }
  window.addEventListener("beforeprint", () => document.querySelectorAll("details").forEach((each) => { each.open = true; }));
  document.querySelectorAll("table.sortable").forEach(sortable);
  document.querySelectorAll(".core").forEach((core) => {
    const tell = () => { core.closest(".map").querySelector(".core-note").textContent = core.querySelector("title").textContent; };
    core.addEventListener("click", tell);
    core.addEventListener("focus", tell);
  });
})();
