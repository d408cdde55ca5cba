// node unpack.mjs FOLDER: unpacks the browser that npm has put into FOLDER, and starts it once, so that a machine on which
// it does not run is known from here on.
import { execFileSync } from "node:child_process";
import fs from "node:fs";
import path from "node:path";
import { pipeline } from "node:stream/promises";
import zlib from "node:zlib";
import { TYPEFACES, inside, open } from "./open.mjs";

const folder = path.resolve(process.argv[2]);
const packed = path.join(folder, "node_modules/@sparticuz/chromium/bin");
const browser = inside(folder);
fs.mkdirSync(browser, { recursive: true });

const unpacked = async (name) => {
  const file = path.join(browser, name);
  const from = fs.createReadStream(path.join(packed, `${name}.br`));
  await pipeline(from, zlib.createBrotliDecompress(), fs.createWriteStream(file));
  return file;
};

fs.chmodSync(await unpacked("chromium"), 0o755);
for (const name of ["al2023.tar", "fonts.tar", "swiftshader.tar"]) {
  const archive = await unpacked(name);
  execFileSync("tar", ["--extract", "--no-same-owner", "--file", archive, "--directory", browser]);
  fs.rmSync(archive);
}
const dirs = `<dir>${browser}/fonts</dir><cachedir>${browser}/typefaces</cachedir>`;
fs.writeFileSync(path.join(browser, TYPEFACES), `<?xml version="1.0"?>\n<fontconfig>${dirs}</fontconfig>\n`);
// Nobody asks for it again, and it is most of what was fetched.
fs.rmSync(packed, { recursive: true });

const started = await open(folder);
console.log(`Chromium ${started.version()}`);
await started.close();
