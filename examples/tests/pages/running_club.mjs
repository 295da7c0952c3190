// An organiser, two runners, and whoever only looks.
import assert from "node:assert/strict";
import { hostile } from "../../../scripts/browser/person.mjs";

const enter = async (meet, name, side) => (await meet()).comesIn(name, { side, at: "#ranks-h" });

/** The moment so many hours from now, as the club's clock tells it, whatever the browser's says. */
const moment = hours => new Date(Date.now() + hours * 3_600_000).toLocaleString("sv-SE", { dateStyle: "short", timeStyle: "short", timeZone: "Asia/Seoul" }).replace(" ", "T");

async function run(person, km, took, hours = -2) {
  await person.write("시작한 때", moment(hours));
  await person.write("거리 (km)", km);
  await person.write("시간 (분:초)", took);
  await person.page.keyboard.press("Enter");
}

export default async function ({ meet, step }) {
  const [organiser, minji, jun] = await Promise.all([enter(meet, "지영", "운영진"), enter(meet, "민지", "러너"), enter(meet, hostile, "러너")]);
  const board = person => person.page.locator("#board");
  const crews = person => person.section("크루");
  await step("a crew is founded, and joined by whoever finds it", async () => {
    await minji.write("새 크루 이름", "한강 <b>러너스</b>");
    await minji.press("만들기");
    await minji.told("크루를 만들고 들어갔습니다.");
    await minji.sees("러너: 민지 · 한강 <b>러너스</b>");
    await jun.button("들어가기: 한강 <b>러너스</b>").focus();
    await jun.page.keyboard.press("Enter");
    await jun.told("들어갔습니다. 이제부터의 기록은 이 크루에도 반영됩니다.");
    await jun.sees("2명", crews(jun));
  });
  await step("runs rank who ran, and show who is before and behind", async () => {
    await run(minji, "10", "52:30");
    await minji.told("기록했습니다. 순위는 곧 바뀝니다.");
    await minji.sees("내 순위: 1명 중 1위");
    await run(jun, "21.097", "1:49:00");
    await jun.told("기록했습니다. 순위는 곧 바뀝니다.");
    await jun.sees("내 순위: 2명 중 1위");
    await minji.sees("내 순위: 2명 중 2위");
    const rows = board(minji).getByRole("row");
    assert.deepEqual(await rows.nth(2).getByRole("cell").allInnerTexts(), ["2", "민지", "10 km", "새로"]);
    await jun.sees(hostile, board(jun));
  });
  await step("a run that was recorded by mistake is taken back", async () => {
    await run(minji, "30", "2:30:00", -4);
    await minji.sees("내 순위: 2명 중 1위");
    await minji.press("기록 지우기: 30 km · 2:30:00");
    await minji.told("기록을 지웠습니다. 순위와 업적은 곧 바뀝니다.");
    await minji.sees("내 순위: 2명 중 2위");
  });
  await step("boards are chosen: pace, crews by attendance, a week before", async () => {
    await minji.choose("기준", "페이스 (5km 이상)");
    await minji.sees("5′10″/km", board(minji));
    await minji.choose("누구", "크루");
    await minji.choose("기준", "출석");
    await minji.sees("한강 <b>러너스</b>", board(minji));
    await minji.sees("우리 크루: 1크루 중 1위");
    await minji.press("이전");
    await minji.sees("아직 기록이 없습니다.", minji.section("순위"));
    await minji.press("다음");
    await minji.sees("한강 <b>러너스</b>", board(minji));
  });
  await step("presses are not lost while a board is fetched, and nothing old shows under a new choice", async () => {
    const { page } = minji;
    const of = () => page.locator("#window").innerText();
    const now = await of();
    let open;
    const opened = new Promise(resolve => { open = resolve; });
    const hold = async route => { await opened; await route.continue(); };
    await page.route(/\/boards\//, hold);
    await minji.choose("기준", "거리");
    assert.equal(await board(minji).getByRole("row").count(), 0);
    assert.equal(await board(minji).getAttribute("aria-busy"), "true");
    await minji.press("이전");
    await minji.press("이전");
    await minji.choose("누구", "러너");
    await minji.press("다음");
    open();
    // Two weeks back and one forth.
    await minji.sees("아직 기록이 없습니다.", minji.section("순위"));
    await page.waitForFunction(() => !document.querySelector("#board").ariaBusy);
    assert.notEqual(await of(), now);
    await page.unroute(/\/boards\//, hold);
    await minji.press("다음");
    await minji.sees("10 km", board(minji));
    assert.equal(await of(), now);
    await minji.choose("누구", "크루");
    await minji.choose("기준", "출석");
    await minji.sees("한강 <b>러너스</b>", board(minji));
  });
  await step("what a run earned is told to the runner and to the club", async () => {
    await minji.page.locator("#badges .has").filter({ hasText: "첫 달리기" }).waitFor();
    await jun.page.locator("#badges .has").filter({ hasText: "하프 마라톤" }).waitFor();
    await organiser.sees("하프 마라톤", organiser.section("클럽 소식"));
    await organiser.sees(hostile, organiser.section("클럽 소식"));
  });
  await step("an organiser asks for a recap of the week so far", async () => {
    await organiser.press("이번 주 중간 결산");
    await organiser.told("결산을 만들고 있습니다.");
    const recaps = minji.section("내 결산");
    await minji.sees(/까지$/, recaps);
    await minji.sees("5′15″/km", recaps);
  });
  await step("what is not so is refused with a reason", async () => {
    await jun.refused(422, () => run(jun, "5", "25:00", 3));
    assert.equal(await jun.page.locator("#status.bad").count(), 1);
    await run(jun, "5", "25");
    assert.equal(await jun.field("시간 (분:초)").evaluate(field => field.validity.valid), false);
    // What the form suggests is taken as it stands.
    await jun.page.reload({ waitUntil: "load" });
    await jun.write("거리 (km)", "5");
    await jun.write("시간 (분:초)", "25:00");
    await jun.press("기록하기");
    await jun.told("기록했습니다. 순위는 곧 바뀝니다.");
    await jun.refused(409, async () => {
      await jun.write("새 크루 이름", "한강 <b>러너스</b>");
      await jun.press("만들기");
    });
    await jun.told("이미 있는 이름입니다.");
  });
  await step("the page is fit for all", async () => {
    await Promise.all([
      organiser.judge("organiser", { showsHostile: true }),
      jun.judge("runner", { showsHostile: true }),
      meet({ language: "en" }).then(async stranger => {
        await stranger.sees("half marathon");
        await stranger.judge("stranger", { showsHostile: true });
      }),
    ]);
  });
  await step("who leaves the crew runs alone", async () => {
    await jun.press("나오기: 한강 <b>러너스</b>");
    await jun.told("나왔습니다.");
    await jun.sees("1명", crews(jun));
  });
  await step("an outage is told, and over when it is over", () => minji.survivesAnOutage());
}
