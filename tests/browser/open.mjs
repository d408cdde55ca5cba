// The browser of an installed folder, which no other of this machine's is asked for, with its own libraries and typeface.
import { createRequire } from "node:module";
import path from "node:path";

/** Where an installed folder has the browser itself. */
export const inside = (folder) => path.resolve(folder, "chromium");

/** Which typefaces it has, in that folder: those that came with it, so that what fits here fits on other machines. */
export const TYPEFACES = "typefaces.conf";

/** What requires the packages of an installed folder: they do not lie beside this script. */
export const packages = (folder) => createRequire(path.resolve(folder, "package.json"));

/** Starts the browser; its window is nowhere. */
export const open = async (folder) => {
  const { chromium } = packages(folder)("playwright-core");
  const browser = inside(folder);
  return chromium.launch({
    executablePath: path.join(browser, "chromium"),
    env: { ...process.env, LD_LIBRARY_PATH: path.join(browser, "lib"), FONTCONFIG_FILE: path.join(browser, TYPEFACES) },
    // Screens differ in how they smooth letters, and some machines share little memory.
    args: ["--font-render-hinting=none", "--disable-dev-shm-usage"],
    timeout: 60_000,
  });
};
