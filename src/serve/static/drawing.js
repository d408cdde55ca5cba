// A drawing of what is around an entity, which grows by clicks. Without it the tables of the page say the same.
"use strict";
(() => {
  // Nodes of one drawing: with more it is neither quick nor to be read.
  const MOST = 300;
  const drawing = document.getElementById("drawing");
  const still = matchMedia("(prefers-reduced-motion: reduce)");
  // What is drawn, by id: the node as it was told, whether its neighbours were asked for, its button in the list.
  const entries = new Map();
  let cy = null;
  let begun = false;
  // When the nodes are where they belong.
  let settled = Promise.resolve();

  const make = (name, attributes, ...children) => {
    const element = document.createElement(name);
    for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, value);
    element.append(...children);
    return element;
  };
  const button = (name, act, ...children) => {
    const naming = name ? { "aria-label": name, title: name } : {};
    const made = make("button", { type: "button", ...naming }, ...children);
    made.addEventListener("click", act);
    return made;
  };
  // A name among other text, whichever way it is written.
  const named = (text) => make("bdi", {}, text);

  const status = make("p", { class: "note", role: "status", "aria-live": "polite" });
  const caption = make("p", { class: "caption" });
  const list = make("ul", {});
  const picture = make("div", {
    class: "picture", role: "region", tabindex: "0", "aria-label": "Drawing", "aria-describedby": "drawing-keys",
  });
  const say = (text) => { status.textContent = text; };

  const zoom = (factor) => {
    if (!cy) return;
    const middle = { x: cy.width() / 2, y: cy.height() / 2 };
    cy.zoom({ level: cy.zoom() * factor, renderedPosition: middle });
  };
  const fit = () => cy?.fit(undefined, 24);

  const probability = (value) => (value !== 0 && value < 0.001 ? value.toExponential(1) : value.toFixed(3));
  // A fact in words, as parts of a line.
  const sentence = (edge) => [
    named(entries.get(edge.source).node.label), " ", named(edge.label), " ", named(entries.get(edge.target).node.label),
    edge.known ? ", known" : `, ${probability(edge.confidence)}`,
  ];
  const link = (address, text, of) => make("a", { href: address, "aria-label": `${text} of ${of}` }, text);

  const library = () => new Promise((resolve, reject) => {
    const script = make("script", { src: "/static/cytoscape.js" });
    script.addEventListener("load", () => resolve(window.cytoscape));
    script.addEventListener("error", () => reject(new Error("What draws could not be loaded.")));
    document.head.append(script);
  });
  const asked = async (address) => {
    const answer = await fetch(address).catch(() => null);
    if (!answer) throw new Error("The server does not answer.");
    if (!answer.ok) throw new Error((await answer.text()).trim());
    return answer.json();
  };

  // In the colours of the page, which change with the reader's scheme.
  const paint = () => {
    if (!cy) return;
    const styles = getComputedStyle(drawing);
    const colour = (name) => styles.getPropertyValue(name).trim();
    const [paper, ink, muted] = ["--paper", "--ink", "--muted"].map(colour);
    const [entity, chosen] = ["--s0", "--s1"].map(colour);
    // Printed too: the picture keeps the colours that it has on the screen.
    picture.style.backgroundColor = paper;
    const text = {
      label: "data(label)", color: ink, "font-family": "system-ui, sans-serif", "min-zoomed-font-size": 6,
      "text-wrap": "ellipsis", "text-max-width": 120,
    };
    cy.style([
      { selector: "node", style: {
        ...text, width: 20, height: 20, "font-size": 12, "text-valign": "bottom", "text-margin-y": 3,
        "text-outline-color": paper, "text-outline-width": 2, "background-color": paper, "border-width": 2,
        "border-color": entity,
      } },
      // Shape and filling tell as much as colours do.
      { selector: "node[kind = 'value']", style: {
        shape: "round-rectangle", width: 14, height: 14, "border-color": muted,
      } },
      { selector: "node.grown", style: { "background-color": entity } },
      { selector: "node.first", style: { width: 32, height: 32, "font-weight": "bold" } },
      { selector: "edge", style: {
        ...text, "font-size": 9, "curve-style": "bezier", "line-color": muted, "target-arrow-color": muted,
        "target-arrow-shape": "triangle", "arrow-scale": 0.8, "text-rotation": "autorotate",
        "text-background-color": paper, "text-background-opacity": 0.85, "text-background-padding": 1,
        width: "mapData(strength, 0, 1, 1, 5)", "line-opacity": "mapData(strength, 0, 1, 0.4, 1)",
      } },
      { selector: "node:selected", style: { "border-color": chosen, "border-width": 4 } },
      { selector: "edge:selected", style: { "line-color": chosen, "target-arrow-color": chosen } },
    ]);
  };

  const arrange = () => {
    // A step takes time by the square of the nodes.
    const steps = Math.round(250 * Math.min(1, 150 / cy.nodes().length));
    const layout = cy.layout({
      name: "cose", randomize: false, animate: still.matches ? false : "end", animationDuration: 300,
      fit: true, padding: 24, gravity: 0, nodeRepulsion: () => 60000, nodeOverlap: 20, idealEdgeLength: () => 90,
      edgeElasticity: () => 100, initialTemp: 60, coolingFactor: 0.98, numIter: steps,
    });
    const stopped = layout.promiseOn("layoutstop");
    layout.run();
    return stopped;
  };

  const show = (entry, position, fact) => {
    const { id, label, kind, page } = entry.node;
    cy.add({ group: "nodes", data: { id, label, kind }, position });
    if (kind !== "entity") return;
    entry.button = button("", () => { choose(id); grow(id); }, named(label));
    const how = fact ? [" ", make("span", { class: "note" }, "by ", ...sentence(fact))] : [];
    list.append(make("li", {}, entry.button, ...how, " ", link(page, "page", label)));
  };

  const mark = (entry) => {
    cy.getElementById(entry.node.id).addClass("grown");
    // The button stays where it is: whoever pressed it goes on from there.
    entry.button.setAttribute("aria-disabled", "true");
    entry.button.append(" (grown)");
  };

  // Draws what was told around a node, as far as there is room; gives when that has settled.
  const join = (centre, found) => {
    const told = new Map(found.nodes.map((node) => [node.id, node]));
    const [fresh, lines] = [[], []];
    let left = 0;
    for (const edge of found.edges) {
      const id = JSON.stringify([edge.source, edge.relation, edge.target]);
      if (cy.getElementById(id).nonempty()) continue;
      const missing = [...new Set([edge.source, edge.target])].filter((end) => !entries.has(end));
      if (entries.size + missing.length > MOST) {
        left += 1;
        continue;
      }
      for (const end of missing) {
        entries.set(end, { node: told.get(end), asked: false, button: null });
        fresh.push([end, edge]);
      }
      lines.push({ group: "edges", data: { ...edge, id, strength: edge.confidence ?? 1 } });
    }
    // No chance anywhere, so that an entity has one picture: the new ones begin on a circle, each circle at another
    // angle, since the layout throws dice where two are in the same place.
    const middle = { ...cy.getElementById(centre).position() };
    const [turn, radius] = [cy.nodes().length, Math.max(90, fresh.length * 6)];
    fresh.forEach(([id, edge], place) => {
      const angle = turn + (2 * Math.PI * place) / fresh.length;
      const position = { x: middle.x + radius * Math.cos(angle), y: middle.y + radius * Math.sin(angle) };
      show(entries.get(id), position, edge);
    });
    cy.add(lines);
    mark(entries.get(centre));
    const facts = (count) => `${count} ${count === 1 ? "fact" : "facts"}`;
    say([
      `${facts(lines.length)} added.`,
      left > 0 ? `${facts(left)} left out: a drawing has at most ${MOST} nodes.` : "",
      found.more > 0 ? `${found.more} more, less sure, are on its page.` : "",
    ].filter(Boolean).join(" "));
    return fresh.length > 0 || cy.nodes().length === 1 ? arrange() : null;
  };

  const choose = (id) => {
    cy.elements().unselect();
    cy.getElementById(id).select();
  };

  const grow = (id) => {
    const entry = entries.get(id);
    if (entry.node.kind !== "entity") return;
    if (entry.asked) return say(`The neighbours of ${entry.node.label} are asked for or drawn already.`);
    entry.asked = true;
    say(`The neighbours of ${entry.node.label} are asked for.`);
    // In the order of the clicks, each from where the one before came to rest.
    settled = Promise.all([asked(`/neighbours?iri=${encodeURIComponent(id)}`), settled])
      .then(([found]) => join(id, found))
      .catch((error) => {
        entry.asked = false;
        say(error.message);
      });
  };

  const begin = (cytoscape, found) => {
    // Cytoscape adds a style element where there is none of this name, which the policy of the page forbids. The rule
    // that it would have, a position for the picture, is in the page's own styles.
    document.querySelector("link[rel='stylesheet']").id = "__________cytoscape_stylesheet";
    cy = cytoscape({ container: picture, minZoom: 0.1, maxZoom: 4, boxSelectionEnabled: false, layout: { name: "preset" } });
    paint();
    const [first] = found.nodes;
    entries.set(first.id, { node: first, asked: true, button: null });
    show(entries.get(first.id), { x: 0, y: 0 }, null);
    cy.getElementById(first.id).addClass("first");
    cy.on("select", "node", ({ target }) => {
      const { label, page } = entries.get(target.id()).node;
      caption.replaceChildren(named(label), ...(page ? [" ", link(page, "page", label)] : []));
    });
    cy.on("select", "edge", ({ target }) => {
      const edge = target.data();
      const page = `/relation?iri=${encodeURIComponent(edge.relation)}`;
      caption.replaceChildren(...sentence(edge), " ", link(page, "relation", edge.label));
    });
    cy.on("onetap", "node", ({ target }) => grow(target.id()));
    cy.on("dbltap", "node", ({ target }) => {
      const { page } = entries.get(target.id()).node;
      if (page) location.assign(page);
    });
    settled = Promise.resolve(join(first.id, found));
    choose(first.id);
  };

  const open = async () => {
    if (!drawing.open) return;
    if (cy) {
      cy.resize();
      return fit();
    }
    if (begun) return;
    begun = true;
    say("The drawing is being made.");
    try {
      const [cytoscape, found] = await Promise.all([library(), asked(drawing.dataset.neighbours)]);
      begin(cytoscape, found);
    } catch (error) {
      // The reader may fold it up and try again.
      begun = false;
      say(error.message);
    }
  };

  picture.addEventListener("keydown", (event) => {
    if (!cy || event.ctrlKey || event.metaKey || event.altKey) return;
    const step = 40;
    if (event.key === "+" || event.key === "=") zoom(1.25);
    else if (event.key === "-") zoom(0.8);
    else if (event.key === "0") fit();
    else if (event.key === "ArrowLeft") cy.panBy({ x: step, y: 0 });
    else if (event.key === "ArrowRight") cy.panBy({ x: -step, y: 0 });
    else if (event.key === "ArrowUp") cy.panBy({ x: 0, y: step });
    else if (event.key === "ArrowDown") cy.panBy({ x: 0, y: -step });
    else return;
    event.preventDefault();
  });
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", paint);

  drawing.append(
    make("div", { class: "tools" },
      button("Zoom in", () => zoom(1.25), "+"), button("Zoom out", () => zoom(0.8), "−"),
      button("Fit: show all", fit, "Fit")),
    picture, caption, status,
    make("p", { class: "note", id: "drawing-keys" },
      "A click on an entity adds its neighbours, a double click leads to its page; filled ones have theirs. ",
      "The wider a line, the surer the fact. Keys: arrows move the drawing, + and - zoom, 0 shows all of it."),
    make("details", {}, make("summary", {}, "As a list"),
      make("p", { class: "note" }, "Each button adds the neighbours of what it names."), list),
  );
  drawing.addEventListener("toggle", open);
  drawing.hidden = false;
})();
