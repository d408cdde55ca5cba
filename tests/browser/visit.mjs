// A visit: pages of one width, with or without scripts, watched as long as it lasts.
import fs from "node:fs";
import path from "node:path";
import { packages } from "./open.mjs";

/** What axe calls grave enough: those who cannot see or point are kept from something. */
const GRAVE = ["serious", "critical"];
/** Pixels of the smallest text of a plot, where a page is as wide as a screen. */
const SMALLEST_TEXT = 11;
const SCREEN = 1200;

/** That a step does not see what it should. */
export class Failure extends Error {}

/** Fails with the reason unless it holds. */
export const expect = (holds, reason) => {
  if (!holds) throw new Failure(reason);
};

/** A finding of axe's, with what it is about. */
const inWords = ({ id, help, nodes }) => {
  const where = nodes.map((node) => `\n    ${node.html}\n      ${node.failureSummary}`);
  return `${id}: ${help}${where.join("")}`;
};

export class Visit {
  /** `width` in pixels; without `scripts` the browser runs none of the pages'. */
  static async begin(browser, { base, folder, pictures, token, width, scripts }) {
    const visit = new Visit();
    Object.assign(visit, { base, pictures, token, width, scripts });
    visit.name = scripts ? `${width}` : `${width}-no-scripts`;
    visit.looks = [];
    visit.problems = [];
    visit.requests = 0;
    visit.refused = new Set();
    visit.axe = fs.readFileSync(packages(folder).resolve("axe-core/axe.min.js"), "utf8");
    const height = width < 700 ? 740 : 900;
    const viewport = { width, height };
    visit.context = await browser.newContext({ viewport, javaScriptEnabled: scripts });
    visit.context.setDefaultTimeout(15_000);
    visit.watch();
    visit.page = await visit.context.newPage();
    return visit;
  }

  /** Notes what no page may do: ask another server, break the policy about what it may load, fail in a script. */
  watch() {
    const origin = new URL(this.base).origin;
    this.context.on("request", (request) => {
      this.requests += 1;
      if (new URL(request.url()).origin !== origin) this.problems.push(`it asks ${request.url()}`);
    });
    this.context.on("console", (message) => {
      const isAnnounced = this.refused.has(message.location().url) && /status of 4/.test(message.text());
      if (message.type() === "error" && !isAnnounced) {
        this.problems.push(`it says "${message.text()}" at ${message.location().url}`);
      }
    });
    this.context.on("weberror", (error) => this.problems.push(`a script fails: ${error.error().stack}`));
  }

  /** Opens an address of the server, which answers with this status. */
  async go(address, status = 200) {
    const url = new URL(address, this.base).href;
    if (status >= 400) this.refused.add(url);
    const answer = await this.page.goto(url, { waitUntil: "load" });
    expect(answer.status() === status, `${address} is answered with ${answer.status()}, not ${status}`);
  }

  /** Follows the link of this name, from the keyboard, to a page with this title. */
  async follow(name, title = name) {
    const link = this.page.getByRole("link", { name, exact: true }).first();
    await link.focus();
    await this.press("Enter");
    await this.titled(title);
  }

  /** Waits until the page has this title. */
  async titled(title) {
    await this.page.getByRole("heading", { level: 1, name: title, exact: true }).waitFor();
    await this.page.waitForLoadState("load");
  }

  /** Presses keys where the focus is. */
  async press(...keys) {
    for (const key of keys) await this.page.keyboard.press(key);
  }

  /** Presses a key that leads to another page, or to this one again. */
  async pressed(key) {
    const loaded = this.page.waitForEvent("load");
    await this.press(key);
    await loaded;
  }

  /** Types a text where the focus is. */
  async type(text) {
    await this.page.keyboard.type(text, { delay: 10 });
  }

  /** Looks at the page as it is, light and dark: a picture, what is wider than it, what axe finds. */
  async look(name) {
    const address = this.page.url().slice(this.base.length);
    const look = { name, address, title: await this.page.title(), pictures: [], lesser: [] };
    const wrong = await this.measured();
    for (const colours of ["light", "dark"]) {
      await this.page.emulateMedia({ colorScheme: colours });
      const number = String(this.looks.length + 1).padStart(2, "0");
      const picture = `${this.name}-${number}-${name}-${colours}.png`;
      await this.page.screenshot({ path: path.join(this.pictures, picture), fullPage: true });
      look.pictures.push(picture);
      if (!this.scripts) continue;
      for (const found of await this.judged()) {
        if (GRAVE.includes(found.impact)) wrong.push(`${colours}: axe finds ${inWords(found)}`);
        else look.lesser.push(`${colours}: ${found.id} (${found.impact})`);
      }
    }
    this.looks.push(look);
    wrong.push(...this.problems.splice(0));
    expect(wrong.length === 0, wrong.map((reason) => `${name}: ${reason}`).join("\n"));
  }

  /** What axe finds. It runs none of the pages' scripts, so that their policy does not hold it back. */
  async judged() {
    await this.page.evaluate(this.axe);
    return (await this.page.evaluate("axe.run({ resultTypes: ['violations'] })")).violations;
  }

  /** What is wrong where the page as a whole scrolls sideways, or plots have text that is too small to read. */
  async measured() {
    const { width, wider, text } = await this.page.evaluate(() => {
      const isWider = (one) => one.getBoundingClientRect().right > innerWidth + 1 && !one.parentElement.closest(".scroll, pre");
      const wider = [...document.body.querySelectorAll("*")].filter(isWider).map((one) => one.outerHTML.slice(0, 200));
      const size = (one) => parseFloat(getComputedStyle(one).fontSize) * one.getScreenCTM().a;
      const text = Math.min(Infinity, ...[...document.querySelectorAll("svg text")].map(size));
      const width = Math.max(document.documentElement.scrollWidth, document.body.scrollWidth);
      return { width, wider, text };
    });
    const wrong = [];
    if (width > this.width) wrong.push(`it is ${width} pixels wide, not ${this.width}: ${wider.join("\n    ")}`);
    // A hair of tolerance: sizes are products of fractions.
    if (this.width >= SCREEN && text < SMALLEST_TEXT - 0.01) wrong.push(`a plot has text of ${text.toFixed(1)} pixels`);
    return wrong;
  }

  /** Ends it, and says what was seen. */
  async end() {
    await this.context.close();
    return { visit: this.name, requests: this.requests, pages: this.looks };
  }
}
