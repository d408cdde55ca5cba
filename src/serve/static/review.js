// Judging by keyboard, and suggestions for the right answer. Without this script the forms work as they are.
"use strict";
(() => {
  const answer = document.getElementById("answer");
  const chosen = document.getElementById("answer-iri");
  const answers = document.getElementById("answers");
  document.addEventListener("keydown", (event) => {
    if (event.repeat || event.ctrlKey || event.altKey || event.metaKey) return;
    if (/^(INPUT|TEXTAREA|SELECT)$/.test(document.activeElement.tagName)) {
      if (event.key === "Escape") document.activeElement.blur();
      return;
    }
    if (event.key === "e" && answer) {
      answer.focus();
      event.preventDefault();
      return;
    }
    const button = document.querySelector(`button[data-key="${CSS.escape(event.key)}"]:not([disabled])`);
    if (button) {
      event.preventDefault();
      button.click();
    }
  });
  if (!answer) return;
  // What Enter in the field means: the first button of a form would be "Right".
  answer.addEventListener("keydown", (event) => {
    if (event.key !== "Enter") return;
    event.preventDefault();
    if (answer.value.trim() !== "") document.querySelector('button[value="instead"]').click();
  });
  const iris = new Map();
  let asked = 0;
  answer.addEventListener("input", async () => {
    chosen.value = iris.get(answer.value) ?? "";
    const number = ++asked;
    if (chosen.value !== "" || answer.value.trim() === "") return;
    const found = await fetch(`/suggest?q=${encodeURIComponent(answer.value)}`).catch(() => null);
    if (!found?.ok || number !== asked) return;
    const hits = await found.json();
    iris.clear();
    answers.replaceChildren(...hits.map((hit) => {
      const option = document.createElement("option");
      const isAlone = hits.filter((other) => other.name === hit.name).length === 1;
      option.value = isAlone ? hit.name : `${hit.name} (${hit.iri})`;
      iris.set(option.value, hit.iri);
      return option;
    }));
    chosen.value = iris.get(answer.value) ?? "";
  });
})();
