// Suggestions below the search field, by arrow keys and Enter. Without this script the form works as it is.
"use strict";
(() => {
  const input = document.getElementById("q");
  const form = input.form;
  const list = document.createElement("div");
  list.className = "suggestions";
  list.id = "suggestions";
  list.setAttribute("role", "listbox");
  list.setAttribute("aria-label", "Suggestions");
  list.hidden = true;
  form.append(list);
  input.setAttribute("role", "combobox");
  input.setAttribute("aria-controls", list.id);
  input.setAttribute("aria-expanded", "false");
  input.setAttribute("aria-autocomplete", "list");
  let chosen = -1;
  let asked = 0;

  const show = (hits) => {
    chosen = -1;
    list.replaceChildren(...hits.map((hit, number) => {
      const link = document.createElement("a");
      link.setAttribute("role", "option");
      link.id = `suggestion-${number}`;
      link.href = hit.page;
      link.textContent = hit.name;
      if (hit.class) {
        const kind = document.createElement("span");
        kind.className = "iri";
        kind.textContent = ` ${hit.class}`;
        link.append(kind);
      }
      link.tabIndex = -1;
      return link;
    }));
    list.hidden = hits.length === 0;
    input.setAttribute("aria-expanded", String(!list.hidden));
    input.removeAttribute("aria-activedescendant");
  };

  const choose = (number) => {
    const entries = [...list.children];
    if (entries.length === 0) return;
    chosen = (number + entries.length) % entries.length;
    entries.forEach((entry, place) => entry.setAttribute("aria-selected", String(place === chosen)));
    input.setAttribute("aria-activedescendant", entries[chosen].id);
  };

  input.addEventListener("input", async () => {
    const number = ++asked;
    if (input.value.trim() === "") return show([]);
    const answer = await fetch(`/suggest?q=${encodeURIComponent(input.value)}`).catch(() => null);
    if (answer?.ok && number === asked) show(await answer.json());
  });
  input.addEventListener("keydown", (event) => {
    if (event.key === "ArrowDown") choose(chosen + 1);
    else if (event.key === "ArrowUp") choose(chosen - 1);
    else if (event.key === "Escape") show([]);
    else if (event.key === "Enter" && chosen >= 0) list.children[chosen].click();
    else return;
    event.preventDefault();
  });
  document.addEventListener("keydown", (event) => {
    const typing = /^(INPUT|TEXTAREA|SELECT)$/.test(document.activeElement.tagName);
    if (event.key === "/" && !typing) {
      input.focus();
      event.preventDefault();
    }
  });
})();
