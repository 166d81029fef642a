"use strict";
(() => {
  const root = document.documentElement;
  const form = document.getElementById("filter");
  const query = document.getElementById("filter-text");
  const shown = document.getElementById("filter-shown");
  const boxes = Array.from(form.querySelectorAll("input[type=checkbox]"));
  const entries = Array.from(document.querySelectorAll(".finding, table.data tbody tr"), (element) => ({
    element,
    text: element.textContent.toLowerCase(),
    severity: element.dataset.severity || "",
  }));

  const apply = () => {
    const words = query.value.toLowerCase().split(/\s+/).filter(Boolean);
    const severities = new Set(boxes.filter((box) => box.checked).map((box) => box.value));
    let visible = 0;
    for (const { element, text, severity } of entries) {
      const keep = words.every((word) => text.includes(word)) && (!severity || severities.has(severity));
      element.hidden = !keep;
      visible += keep ? 1 : 0;
    }
    shown.textContent = visible === entries.length ? "" : visible + " of " + entries.length + " entries shown";
  };

  form.addEventListener("submit", (event) => event.preventDefault());
  form.addEventListener("input", apply);
  form.addEventListener("reset", () => setTimeout(apply, 0));
  // paper shows everything, whatever is filtered or folded on the screen
  window.addEventListener("beforeprint", () => {
    for (const { element } of entries) element.hidden = false;
    for (const details of document.querySelectorAll("details")) details.open = true;
  });
  window.addEventListener("afterprint", apply);
  form.hidden = false;
  root.dataset.ready = "yes";
})();
