// What a person does, step by step. A step is a function of a visit (visit.mjs): it goes somewhere, does something from the
// keyboard, expects to see something, and looks at each page that it comes to. A new one is added to a list below.
import { expect } from "./visit.mjs";

/** With scripts, at each width. */
export const STEPS = [
  home, suggestions, entities, strange, drawing, query, triples, wrongQuery, runs, judging, missing,
];

/** Without: the same must be had by links and forms alone. */
export const WITHOUT_SCRIPTS = [home, entities, searchForm, query, judgingByForms, missing];

const facts = (visit) => visit.page.locator("table.facts tbody tr");

async function home(visit) {
  await visit.go("/");
  expect((await visit.page.getByText("8 facts about 16 entities").count()) === 1, "home does not count the facts");
  await visit.look("home");
}

/** Names are suggested as one types; arrows choose, Enter leads to the page. */
async function suggestions(visit) {
  await visit.go("/");
  const { page } = visit;
  await visit.press("/");
  await visit.type("ger");
  const options = page.getByRole("option");
  await options.first().waitFor();
  expect((await options.allInnerTexts()).join().includes("Germany"), "Germany is not suggested for `ger`");
  await visit.press("ArrowDown", "ArrowUp", "ArrowDown");
  const chosen = page.locator('[role="option"][aria-selected="true"]');
  expect((await chosen.count()) === 1, "not one suggestion is chosen by the arrow keys");
  await visit.look("suggestions");
  await visit.press("Enter");
  await visit.titled("Germany");
  // Escape puts them away.
  await visit.press("/");
  await visit.type("par");
  await options.first().waitFor();
  await visit.press("Escape");
  expect((await options.count()) === 0, "Escape leaves the suggestions open");
}

/** From the first page by links alone: a relation, a country, its capital, what that is. */
async function entities(visit) {
  await visit.go("/");
  await visit.follow("capital");
  expect((await facts(visit).count()) === 8, "the relation does not show its eight facts");
  await visit.look("relation");
  await visit.follow("Germany");
  expect((await facts(visit).first().innerText()).includes("0.900"), "Germany's fact is without its confidence");
  await visit.look("entity");
  await visit.follow("Berlin");
  expect((await visit.page.getByRole("link", { name: "Germany" }).count()) === 1, "Berlin does not lead back");
  await visit.look("object");
  await visit.follow("capital city");
  await visit.look("class");
}

/** Names that are long, or are code. */
async function strange(visit) {
  await visit.go("/entity/wd:Q1");
  await visit.look("strange");
  await visit.go("/entity/wd:Q1861");
  await visit.look("long");
}

/** The neighbourhood of an entity, which grows. */
async function drawing(visit) {
  await visit.go("/entity/wd:Q183");
  const { page } = visit;
  await page.locator("#drawing > summary").focus();
  await visit.press("Enter");
  const status = page.locator("#drawing [role=status]");
  await status.getByText(/1 fact/).waitFor();
  expect((await page.locator("#drawing canvas").count()) > 0, "nothing is drawn");
  // It moves to its place.
  await page.waitForTimeout(1500);
  await visit.look("drawing");
  await page.locator("#drawing details > summary").focus();
  await visit.press("Enter");
  const grow = page.locator("#drawing details button:not([aria-disabled=true])").first();
  await grow.focus();
  await visit.press("Enter");
  await status.getByText(/no |0 |nothing/i).waitFor();
  await visit.look("drawing-grown");
}

/** Enters as one who judges. */
async function enter(visit) {
  await visit.go("/review");
  await visit.look("entrance");
  await visit.page.getByLabel("Your name").fill("Ann");
  await visit.page.getByLabel("The token").fill(visit.token);
  await visit.pressed("Enter");
}

const judged = (visit) => visit.page.locator("ul.judged li");

/** Five facts by keyboard, one taken back; they are there when the page is loaded again. */
async function judging(visit) {
  await enter(visit);
  const { page } = visit;
  await visit.look("review");
  for (const key of ["a", "r", "n", "s", "a"]) await visit.pressed(key);
  await visit.press("e");
  await visit.type("Canberra");
  await visit.pressed("Enter");
  await page.getByText("Ann: 5 judged; by all: 5.").waitFor();
  await visit.look("judged");
  await visit.pressed("u");
  await visit.go("/review");
  await page.getByText("Ann: 4 judged; by all: 4.").waitFor();
  expect((await judged(visit).count()) === 4, "the judgements are not there after loading again");
  await visit.go("/review/precision");
  expect((await page.locator("tbody tr").count()) === 2, "the precision is not shown by relation");
  await visit.look("precision");
  await visit.go("/review");
  // As it was, for those who come after.
  for (let left = 4; left > 0; left -= 1) await visit.pressed("u");
  await page.getByText("Ann: 0 judged; by all: 0.").waitFor();
}

/** The same by links and buttons. */
async function judgingByForms(visit) {
  await enter(visit);
  await visit.page.getByRole("button", { name: "Wrong" }).focus();
  await visit.pressed("Enter");
  await visit.page.getByText("Ann: 1 judged; by all: 1.").waitFor();
  await visit.look("review");
  await visit.page.getByRole("button", { name: "Undo" }).focus();
  await visit.pressed("Enter");
  await visit.page.getByText("Ann: 0 judged; by all: 0.").waitFor();
}

/** The search as a form. */
async function searchForm(visit) {
  await visit.go("/");
  await visit.page.getByRole("searchbox").focus();
  await visit.type("par");
  await visit.press("Enter");
  await visit.titled("Search: par");
  await visit.look("search");
  await visit.follow("Paris");
}

/** A query that one writes. */
async function query(visit) {
  await visit.go("/query");
  const { page } = visit;
  await visit.look("query");
  await page.getByLabel("SPARQL").focus();
  await visit.press("ControlOrMeta+A");
  await visit.type("SELECT ?country ?city WHERE { ?country wdt:P36 ?city }");
  await visit.press("Tab", "Enter");
  await page.getByText("8 rows").waitFor();
  await page.waitForLoadState("load");
  expect((await page.locator("main table tbody tr").count()) === 8, "the query's page does not have eight rows");
  await visit.look("rows");
}

/** A query for triples, which are shown as Turtle. */
async function triples(visit) {
  await visit.go(`/query?query=${encodeURIComponent("CONSTRUCT WHERE { ?country wdt:P36 ?city }")}`);
  await visit.page.getByText("wd:Q142 wdt:P36 wd:Q90").waitFor();
  await visit.look("triples");
}

/** A query with a mistake. */
async function wrongQuery(visit) {
  await visit.go(`/query?query=${encodeURIComponent("SELECT ?s WHERE { ?s ?p }")}`, 400);
  await visit.page.getByRole("alert").waitFor();
  await visit.look("wrong-query");
}

async function runs(visit) {
  await visit.go("/runs");
  await visit.titled("Runs");
  await visit.look("runs");
}

/** What is not there, with what is near to it. */
async function missing(visit) {
  await visit.go("/entity/wd:Q1420", 404);
  const near = visit.page.locator("main li a");
  expect((await near.count()) > 0, "nothing near is named in place of what is missing");
  await visit.look("missing");
  await near.first().focus();
  await visit.press("Enter");
  await visit.page.waitForURL(/Q142$/);
  await visit.go("/nowhere", 404);
  await visit.look("nowhere");
}
