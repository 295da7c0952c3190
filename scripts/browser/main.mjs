// Runs what people do on the page of a service, and tells each step (scripts/pages).
import { readFile } from "node:fs/promises";
import { createRequire } from "node:module";
import { resolve } from "node:path";
import { parseArgs, stripVTControlCharacters } from "node:util";
import { Person } from "./person.mjs";
import { picture } from "./pictures.mjs";

const named = ["tools", "chromium", "service", "url", "token", "screenshots", "pictures"];
const { values: flags } = parseArgs({ options: Object.fromEntries(named.map(name => [name, { type: "string" }])) });
const require = createRequire(`${flags.tools}/`);
const { chromium } = require("playwright-core");
const axe = await readFile(require.resolve("axe-core/axe.min.js"), "utf8");
const draw = ({ meet, step }) => step("the picture is drawn", () => picture({ browser, meet, service: flags.service, folder: flags.pictures }));
const { default: journey } = flags.pictures ? { default: draw } : await import(resolve("examples/tests/pages", `${flags.service}.mjs`));

const browser = await chromium.launch({ executablePath: flags.chromium, args: ["--no-proxy-server"] });
const people = [];
const meet = async options => {
  const person = await Person.meet(browser, { url: flags.url, axe, screenshots: flags.screenshots, service: flags.service, ...options });
  people.push(person);
  return person;
};
const faults = () => people.flatMap(person => person.faults());
/** Does one thing, and blames it for what went wrong meanwhile. */
const step = async (name, work) => {
  await work();
  const found = faults();
  if (found.length) throw new Error(found.join("\n"));
  console.log(`ok: ${name}`);
};
let failed = false;
let at = "";
try {
  await journey({ meet, token: flags.token, step: async (name, work) => { at = name; await step(name, work); } });
} catch (error) {
  failed = true;
  console.error(stripVTControlCharacters(`not ok: ${at}\n${error.stack ?? error}`));
  for (const fault of faults()) console.error(fault);
  for (const [number, person] of people.entries()) await person.screenshot(`failed-${number}`).catch(() => {});
}
await browser.close();
process.exit(failed ? 1 : 0);
