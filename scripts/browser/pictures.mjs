// The pictures of the root README: of each service what one sees of it, drawn small (scripts/pages --pictures FOLDER).
import assert from "node:assert/strict";
import { writeFile } from "node:fs/promises";

const viewport = { width: 960, height: 620 };
/** How wide a picture is, in pixels, and how large at most, in bytes. */
const width = 640, largest = 60_000;

/** Asks the service as somebody who has just come in. */
async function asSomebody({ url }, name, role) {
  const ask = async (method, path, body, token) => {
    const headers = { ...(body && { "content-type": "application/json" }), ...(token && { authorization: `Bearer ${token}` }) };
    const answer = await fetch(`${url}${path}`, { method, headers, body: body && JSON.stringify(body) });
    assert.ok(answer.ok, `${method} ${path}: ${answer.status} ${answer.ok ? "" : await answer.text()}`);
    return answer.headers.get("content-type")?.includes("json") ? answer.json() : null;
  };
  const { token } = await ask("POST", "/tokens", { name, role });
  return (method, path, body) => ask(method, path, body, token);
}

async function enter(person, name, side) {
  if (side) await person.check(side);
  await person.write("Name", name);
  await person.page.keyboard.press("Enter");
  await person.page.locator("#me").waitFor();
}

/** What is done on each page, and which element stands at the top of the picture; no picture has texts of markup. */
const scenes = {
  async every_task(person) {
    await enter(person, "Jane");
    await person.press("Use a sample");
    await person.press("Find tasks");
    await person.told(/tasks found/);
    return "#write";
  },
  async running_coach(person) {
    await person.press("When should I take gels in a race?");
    await person.press("Ask");
    await person.told(/^Answered/);
    await person.page.locator("#sources li").first().waitFor();
    return "header";
  },
  async slack_bot(person) {
    await enter(person, "Jane", "Operator");
    for (const question of ["How do I start running?", "Will it rain on race day?"]) {
      await person.write("Ask the bot in the channel", question);
      await person.press("Ask");
      await person.told(/^The bot acknowledged it/);
    }
    await person.section("Asked most").getByRole("listitem").nth(1).waitFor();
    return "header";
  },
  async race_registration(person) {
    const organiser = await asSomebody(person, "Jiyoung", "organiser");
    const { id } = await organiser("POST", "/races", { name: "Seoul half marathon", kind: "first_come", places: 100, price_krw: 35_000 });
    const answers = [["agree_terms", { agreed: true }], ["choose_souvenir", { souvenir: "Cap" }], ["shipping_address", { city: "Seoul" }]];
    for (const [name, count] of [["Minsu", 1], ["Sora", 2], ["Alex", 3], ["Hana", 3]]) {
      const runner = await asSomebody(person, name, "runner");
      for (const [answer, value] of answers.slice(0, count)) await runner("POST", `/races/${id}/registration`, { answer, value });
      if (name === "Alex") await runner("DELETE", `/races/${id}/registration`);
    }
    await enter(person, "Jiyoung", "Organiser");
    const office = person.section("All registrations");
    await office.getByText("undone").filter({ visible: true }).first().waitFor();
    await person.press("Hana", office);
    await person.standsAt("#detail-h");
    return "#detail-h";
  },
  async running_club(person) {
    const now = Date.now();
    for (const [crew, ...runners] of [["Han River Runners", "Minji", "Jihun", "Haneul"], ["Seoul Striders", "Alex", "Sora"]]) {
      for (const [at, name] of runners.entries()) {
        const runner = await asSomebody(person, name, "runner");
        if (at === 0) await runner("POST", "/crews", { name: crew });
        else await runner("PUT", "/me/crew", { crew });
        const metres = { Minji: 12_400, Jihun: 8_000, Haneul: 10_050, Alex: 21_097, Sora: 5_000 }[name];
        await runner("POST", "/runs", { began_at: new Date(now - 7_200_000).toISOString(), distance_m: metres, time_s: Math.round(metres * 0.31) });
      }
    }
    await enter(person, "Minji", "Runner");
    await person.sees("You are 2 of 5");
    return "#ranks";
  },
  async dev_search(person) {
    const operator = await asSomebody(person, "Hana", "operator");
    await operator("PUT", "/engines/primary", { line: "refused" });
    await person.write("What are you looking for? Typos, Korean initials (ㄹㅅㅌ) and unfinished words will do.", "search engine");
    await person.page.locator("#served").filter({ hasText: "Degraded" }).waitFor();
    await person.page.locator("#hits mark").first().waitFor();
    return "#find";
  },
  async weather_community(person) {
    const [minji, jun, forecaster] = [await asSomebody(person, "Minji", "member"), await asSomebody(person, "Jun", "member"), await asSomebody(person, "Forecaster", "forecaster")];
    const post = (somebody, sky, text, lat, lon) => somebody("POST", "/posts", { sky, text, lat, lon });
    await post(jun, "cloudy", "Dark over Namsan, umbrellas out", 37.5512, 126.9882);
    const { id } = await post(minji, "rain", "Cheonggyecheon is up to the stepping stones", 37.5692, 126.9786);
    await jun("PUT", `/posts/${id}/reaction`, { reaction: "like" });
    const warning = await forecaster("POST", "/warnings", { region: "seoul", kind: "heavy_rain", text: "50 mm an hour until nine" });
    await forecaster("POST", `/warnings/${warning.id}/messages`, { id: "1", text: "Keep away from the river" });
    await minji("POST", `/warnings/${warning.id}/messages`, { id: "2", text: "The lower path is closed already" });
    await person.write("Latitude", "37.5665");
    await person.write("Longitude", "126.978");
    await person.press("Look around");
    await person.press("Seoul Heavy rain");
    await person.sees("live");
    return "#near";
  },
  async resume_writer(person) {
    await enter(person, "Haneul");
    await person.press("Write it");
    await person.page.locator("#lines li").first().waitFor();
    return "#lines";
  },
};

/** Draws a picture of a page smaller: the browser does it. */
async function shrunk(page, png) {
  const drawn = await page.evaluate(async ({ png, width }) => {
    const bitmap = await createImageBitmap(await (await fetch(`data:image/png;base64,${png}`)).blob(), { resizeWidth: width, resizeQuality: "high" });
    const canvas = Object.assign(document.createElement("canvas"), { width: bitmap.width, height: bitmap.height });
    canvas.getContext("2d").drawImage(bitmap, 0, 0);
    return canvas.toDataURL("image/webp", 0.85).split(",")[1];
  }, { png: png.toString("base64"), width });
  return Buffer.from(drawn, "base64");
}

/** Takes the picture of a service. */
export async function picture({ browser, meet, service, folder }) {
  const person = await meet({ language: "en" });
  await person.page.setViewportSize(viewport);
  const top = await scenes[service](person);
  await person.page.evaluate(top => {
    document.activeElement?.blur();
    scrollTo(0, document.querySelector(top).getBoundingClientRect().top + scrollY - 48);
  }, top);
  await person.page.waitForTimeout(300);
  const drawn = await shrunk(await browser.newPage({ viewport }), await person.page.screenshot());
  assert.ok(drawn.length <= largest, `the picture of ${service} has ${drawn.length} bytes`);
  await writeFile(`${folder}/${service}.webp`, drawn);
}
