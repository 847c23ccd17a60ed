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

  const draw = (id, inDark, width) => {
    const { data, layout } = inDark ? recoloured(figures[id]) : structuredClone(figures[id]);
    layout.width = width;
    Plotly.react(id, data, layout, { responsive: true, displayModeBar: false });
  };

  // A figure is drawn when it comes near: a sweep has hundreds, and a folded one has no width yet.
  const plots = typeof Plotly === "undefined" ? [] : Object.keys(figures);
  const near = new IntersectionObserver((seen) => {
    for (const { target, isIntersecting } of seen) {
      if (!isIntersecting) continue;
      near.unobserve(target);
      draw(target.id, prefersDark.matches);
    }
  }, { rootMargin: "1000px" });
  const begin = () => {
    near.disconnect();
    for (const id of plots) {
      const place = document.getElementById(id);
      place.style.minHeight = `${figures[id].layout.height}px`;
      Plotly.purge(place); // what was drawn has other colours, or the width of paper
      near.observe(place);
    }
  };
  begin();
  prefersDark.addEventListener("change", begin);

  let folded = [];
  window.addEventListener("beforeprint", () => {
    folded = [...document.querySelectorAll("details:not([open])")];
    folded.forEach((one) => { one.open = true; });
    near.disconnect();
    plots.forEach((id) => draw(id, false, 640));
  });
  window.addEventListener("afterprint", () => {
    folded.forEach((one) => { one.open = false; });
    begin();
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
