"use strict";
// Draws the figures in the page's colours, copies commands, opens what is folded for print. Fetches nothing.
(() => {
  const { dark, figures } = JSON.parse(document.getElementById("data").textContent);
  const prefersDark = window.matchMedia("(prefers-color-scheme: dark)");

  // Figures come in the colours of a light page; each has its counterpart on a dark one.
  const recoloured = (value) => {
    if (typeof value === "string") return Object.hasOwn(dark, value) ? dark[value] : value;
    if (Array.isArray(value)) return value.map(recoloured);
    if (value === null || typeof value !== "object") return value;
    return Object.fromEntries(Object.entries(value).map(([key, item]) => [key, recoloured(item)]));
  };

  const draw = (inDark, width) => {
    if (typeof Plotly === "undefined") return;
    for (const [id, figure] of Object.entries(figures)) {
      const { data, layout } = inDark ? recoloured(figure) : structuredClone(figure);
      layout.width = width;
      Plotly.react(id, data, layout, { responsive: true, displayModeBar: false });
    }
  };
  draw(prefersDark.matches);
  prefersDark.addEventListener("change", () => draw(prefersDark.matches));

  let folded = [];
  window.addEventListener("beforeprint", () => {
    folded = [...document.querySelectorAll("details:not([open])")];
    folded.forEach((one) => { one.open = true; });
    draw(false, 640);
  });
  window.addEventListener("afterprint", () => {
    folded.forEach((one) => { one.open = false; });
    draw(prefersDark.matches);
  });

  if (navigator.clipboard) {
    for (const code of document.querySelectorAll("code.copy")) {
      const button = document.createElement("button");
      button.type = "button";
      button.className = "copier";
      button.textContent = "Copy";
      button.addEventListener("click", async () => {
        try {
          await navigator.clipboard.writeText(code.textContent);
          button.textContent = "Copied";
        } catch {
          window.getSelection().selectAllChildren(code);
          button.textContent = "Selected";
        }
        setTimeout(() => { button.textContent = "Copy"; }, 1500);
      });
      code.after(button);
    }
  }
})();
