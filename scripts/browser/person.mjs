// A person in front of a page: a browser of their own, and everything that goes wrong in it.
import assert from "node:assert/strict";
import * as judge from "./judge.mjs";

/** A text that is markup to whoever forgets to escape it. */
export const hostile = `<img src=x onerror=alert(1)> <b>굵게</b> & "따옴표" <script>alert(2)</script>`;
const wide = { width: 1100, height: 900 };
const narrow = { width: 380, height: 800 };
const late = [/^answer: 503 to GET \S+\/readyz$/, /^console: .*status of 503 .*\/readyz\)$/];
const spoken = { ko: "ko-KR", en: "en-US" };

export class Person {
  #faults = [];
  // On a busy machine a dependency may be late, of which the page tells.
  #forgiven = [...late];
  #asked = new Set();

  /** Opens the page. `language` is the browser's. */
  static async meet(browser, { language = "ko", ...about }) {
    const context = await browser.newContext({ locale: spoken[language], viewport: wide, colorScheme: "light", reducedMotion: "reduce" });
    const person = new Person();
    Object.assign(person, about, { context, page: await context.newPage() });
    person.page.setDefaultTimeout(30_000);
    person.#listen();
    await person.page.goto(person.url, { waitUntil: "load" });
    return person;
  }

  #listen() {
    const fault = text => { if (!this.#forgiven.some(pattern => pattern.test(text))) this.#faults.push(text); };
    this.page.on("pageerror", error => fault(`error in the page: ${error.message}`));
    this.page.on("console", message => { if (["error", "warning"].includes(message.type())) fault(`console: ${message.text()} (${message.location().url})`); });
    this.page.on("dialog", dialog => { fault(`a text ran as a script: ${dialog.message()}`); dialog.dismiss(); });
    this.page.on("response", answer => { if (answer.status() >= 400) fault(`answer: ${answer.status()} to ${answer.request().method()} ${answer.url()}`); });
    this.page.on("requestfailed", request => {
      const why = request.failure()?.errorText ?? "";
      // What the page itself ends, or is left with.
      if (why !== "net::ERR_ABORTED") fault(`request failed: ${request.method()} ${request.url()}: ${why}`);
    });
    this.page.on("request", request => this.#asked.add(request));
    for (const end of ["requestfinished", "requestfailed"]) this.page.on(end, request => this.#asked.delete(request));
    this.page.on("request", request => { if (new URL(request.url()).origin !== new URL(this.url).origin && !request.url().startsWith("data:")) fault(`request to elsewhere: ${request.url()}`); });
  }

  /** What went wrong since it was asked for the last time. */
  faults() { return this.#faults.splice(0); }

  /** Does what the service is to refuse with this status: the browser's console tells of it, too. */
  async refused(status, work) {
    const forgiven = [new RegExp(`^answer: ${status} `), new RegExp(`^console: .*status of ${status} `)];
    this.#forgiven.push(...forgiven);
    const [answer] = await Promise.all([this.page.waitForResponse(answer => answer.status() === status), work()]);
    assert.match(answer.headers()["content-type"] ?? "", /problem\+json/);
    const language = await this.page.evaluate(() => document.documentElement.lang);
    assert.equal(answer.headers()["content-language"], language, "the problem is told in another language than the page");
    await this.page.waitForTimeout(50);
    this.#forgiven = this.#forgiven.filter(pattern => !forgiven.includes(pattern));
  }

  /** Does what leaves the service with nothing to answer requests of this kind (`GET search`, say) by: whoever it is may be refused them, any
   * number of times, until `work` is done and those that were sent by then are answered. */
  static async outOf(people, method, path, work) {
    const at = `\\S*/${path}(\\?\\S*)?`;
    const forgiven = [new RegExp(`^answer: 50[34] to ${method} ${at}$`), new RegExp(`^console: .*status of 50[34] .*\\(${at}\\)$`)];
    for (const person of people) person.#forgiven.push(...forgiven);
    await work();
    await Promise.all(people.map(async person => {
      const sent = [...person.#asked].filter(request => request.method() === method && new URL(request.url()).pathname.endsWith(`/${path}`));
      await Promise.all(sent.map(request => request.response().catch(() => null)));
      await person.page.waitForTimeout(50);
      person.#forgiven = person.#forgiven.filter(pattern => !forgiven.includes(pattern));
    }));
  }

  // ---- what a person sees and does; names are those that a screen reader tells
  button(name, within = this.page) { return within.getByRole("button", { name, exact: true }); }
  field(label, within = this.page) { return within.getByLabel(label, { exact: true }); }
  section(name) { return this.page.getByRole("region", { name, exact: true }); }
  async press(name, within) { await this.button(name, within).click(); }
  async write(label, text, within) { await this.field(label, within).fill(text); }
  async choose(label, option, within = this.page) { await within.getByRole("combobox", { name: label, exact: true }).selectOption({ label: option }); }
  async check(label, within) { await this.field(label, within).check(); }
  /** Waits until this text shows. */
  async sees(text, within = this.page) { await within.getByText(text).filter({ visible: true }).first().waitFor(); }
  /** Waits until a region or any box does not show this text. */
  async seesNo(text, within = this.page) { await within.getByText(text).filter({ visible: true }).first().waitFor({ state: "detached" }); }
  /** Waits until the page says this in the line that a screen reader reads out. */
  async told(text) { await this.page.getByRole("status").filter({ hasText: text }).first().waitFor(); }
  /** Waits until the keyboard stands there. */
  async standsAt(selector) { await this.page.waitForFunction(wanted => document.activeElement?.matches(wanted), selector); }
  async speak(language) {
    if (await this.page.evaluate(() => document.documentElement.lang) === language) return;
    await this.press(language === "ko" ? "한국어" : "English");
    await this.page.waitForFunction(wanted => document.documentElement.lang === wanted && !document.body.ariaBusy, language);
  }

  /** Comes in by a name, on a side where there is a choice, and stands at what comes first then. */
  async comesIn(name, { side, at } = {}) {
    if (side) await this.check(side);
    await this.write("이름", name);
    await this.page.keyboard.press("Enter");
    if (side) await this.sees(`${side}: ${name}`);
    if (at) await this.standsAt(at);
    return this;
  }

  /** Judges what shows now: in both languages (but for a dialog), light and dark, wide and narrow; whether it shows `hostile`. */
  async judge(name, { showsHostile = false } = {}) {
    const isModal = await this.page.locator("dialog[open]").count() > 0;
    await this.page.evaluate(this.axe);
    for (const [language, colorScheme, viewport] of [["ko", "light", wide], ["ko", "dark", narrow], ["en", "light", narrow], ["en", "dark", wide]]) {
      if (isModal && language !== "ko") continue;
      await this.page.setViewportSize(viewport);
      await this.page.emulateMedia({ colorScheme });
      await this.speak(language);
      const what = `${name}-${language}-${colorScheme}-${viewport.width}`;
      // Before it is judged, so that what is wrong can be looked at.
      await this.page.waitForTimeout(150);
      await this.page.evaluate(() => scrollTo(0, 0));
      await this.screenshot(what);
      const said = await this.page.evaluate(judge.appearance, { language, colorScheme });
      assert.deepEqual(said, [], `${what}: how it looks`);
      const broken = await this.page.evaluate(judge.accessibility);
      assert.deepEqual(broken, [], `${what}: what axe says`);
    }
    await this.page.setViewportSize(wide);
    await this.page.emulateMedia({ colorScheme: "light" });
    await this.speak("ko");
    if (showsHostile) assert.equal(await this.page.evaluate(judge.escaped, hostile), true, `${name}: hostile text is not shown as it was written`);
    if (!isModal) await this.reach(name);
  }

  /** Goes through all controls by Tab, from the link over the head of the page on. */
  async reach(name) {
    await this.page.evaluate(judge.beginWalk);
    for (let steps = 0; ; steps += 1) {
      assert.ok(steps < 500, `${name}: Tab does not come to an end`);
      await this.page.keyboard.press("Tab");
      if (await this.page.evaluate(judge.walked)) break;
    }
    assert.deepEqual(await this.page.evaluate(judge.endWalk), [], `${name}: what the keyboard does not reach, or does not show where it stands`);
  }

  /** Does something while the connection is broken, and something until all is well again. */
  async cutOff(meanwhile, after) {
    this.#forgiven.push(/./);
    await this.context.setOffline(true);
    try { await meanwhile(); } finally { await this.context.setOffline(false); }
    await after();
    this.#forgiven = [...late];
  }

  /** Breaks the connection, and sees that the page says so and goes on when it is back. */
  async survivesAnOutage() {
    const other = await this.context.newPage();
    await other.clock.install();
    await other.goto(this.url, { waitUntil: "load" });
    const notice = other.locator("#down");
    assert.equal(await notice.isVisible(), false);
    await this.context.setOffline(true);
    this.#forgiven.push(/./);
    try {
      await other.clock.fastForward(6_000);
      await notice.waitFor({ state: "visible" });
      assert.equal(await notice.getAttribute("role"), "alert");
    } finally { await this.context.setOffline(false); }
    await other.clock.fastForward(6_000);
    await notice.waitFor({ state: "hidden" });
    await other.close();
    // What listened on this page was cut off as well, and comes back.
    await this.page.reload({ waitUntil: "load" });
    this.#forgiven = [...late];
  }

  async screenshot(name) {
    if (this.screenshots) await this.page.screenshot({ path: `${this.screenshots}/${this.service}-${name}.png`, fullPage: true });
  }
}
