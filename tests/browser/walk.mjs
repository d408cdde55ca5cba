// node walk.mjs URL PICTURES BROWSER TOKEN: walks through the pages of a server of tests/browser's graph in the browser of the
// folder BROWSER, and leaves a picture of each in PICTURES. Prints as JSON what it saw; ends with 1 and the reason where
// a step fails.
import { open } from "./open.mjs";
import { STEPS, WITHOUT_SCRIPTS } from "./steps.mjs";
import { Failure, Visit } from "./visit.mjs";

const [base, pictures, folder, token] = process.argv.slice(2);
/** Widths of a screen and of a telephone, in pixels. */
const VISITS = [
  { width: 1400, scripts: true, steps: STEPS },
  { width: 360, scripts: true, steps: STEPS },
  { width: 1400, scripts: false, steps: WITHOUT_SCRIPTS },
];
/** Longer than this it never takes: something hangs. */
const LONGEST = 240_000;

const say = (reason) => process.stderr.write(`${reason}\n`);
setTimeout(() => {
  say("the walk did not come to its end");
  process.exit(1);
}, LONGEST).unref();

const browser = await open(folder);
const seen = { browser: `Chromium ${browser.version()}`, visits: [] };
for (const { steps, ...how } of VISITS) {
  const visit = await Visit.begin(browser, { base, folder, pictures, token, ...how });
  for (const step of steps) {
    try {
      await step(visit);
    } catch (error) {
      // All steps are taken, so that one run tells of all that is wrong.
      const place = `${visit.name}, ${step.name}, ${visit.page.url()}`;
      say(`${place}\n${[error instanceof Failure ? error.message : error.stack, ...visit.problems.splice(0)].join("\n")}`);
      process.exitCode = 1;
    }
  }
  seen.visits.push(await visit.end());
}
await browser.close();
console.log(JSON.stringify(seen, null, 1));
