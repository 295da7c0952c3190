// An organiser, a runner who pays, one who withdraws, and one who may not run.
import assert from "node:assert/strict";
import { hostile } from "../../../scripts/browser/person.mjs";

const enter = async (meet, name, side) => (await meet()).comesIn(name, { side, at: "#races-h" });

/** Answers what a runner is asked until money is due. */
async function register(person, race) {
  // There is none yet, which is how the service tells of it.
  await person.refused(404, async () => {
    await person.button(race).focus();
    await person.page.keyboard.press("Enter");
  });
  await person.standsAt("#mine-h");
  await person.press("접수 시작");
  await person.check("대회 약관에 동의합니다.");
  await person.press("보내기");
  await person.choose("기념품", "모자");
  await person.press("보내기");
  await person.write("주소", `서울 ${hostile}`);
  await person.press("보내기");
  await person.button("35,000원 결제하기").waitFor();
}

export default async function ({ meet, step }) {
  const race = `서울 ${hostile}`;
  const [organiser, runner, other] = await Promise.all([enter(meet, "지영", "주최자"), enter(meet, "민수", "참가자"), enter(meet, hostile, "참가자")]);
  await step("an organiser makes races, and runners see them without asking", async () => {
    await organiser.write("대회 이름", race);
    await organiser.write("자리", "3");
    await organiser.press("만들기");
    await organiser.told("대회를 만들었습니다.");
    await organiser.sees("3자리 중 3자리 남음 · 35,000원");
    await organiser.write("대회 이름", "추첨 대회");
    await organiser.check("추첨");
    await organiser.press("만들기");
    await runner.button("추첨 대회").waitFor();
  });
  await step("a runner goes from the terms to the bib", async () => {
    await register(runner, race);
    const now = runner.page.locator("[aria-current=step]");
    await now.filter({ hasText: "결제 완료" }).waitFor();
    await runner.press("35,000원 결제하기");
    await runner.sees("배번 1번");
    await runner.told("끝남");
  });
  await step("the organiser saw the registration move", async () => {
    await organiser.section("모든 접수").getByRole("listitem").filter({ hasText: "민수" }).filter({ hasText: "끝남" }).waitFor();
    await organiser.press("민수", organiser.section("모든 접수"));
    await organiser.standsAt("#detail-h");
    await organiser.sees("35,000원 · 결제됨");
  });
  await step("whoever withdraws is undone, and may begin again", async () => {
    await register(other, race);
    await other.press("접수 취소");
    await other.sees("참가자가 접수를 취소했습니다");
    await organiser.section("모든 접수").getByRole("listitem").filter({ hasText: "참가자가 접수를 취소했습니다" }).waitFor();
    await other.press("다시 접수하기");
    await other.check("대회 약관에 동의합니다.");
  });
  await step("a runner who is barred is undone when the right to run is checked, and has the money back", async () => {
    await other.press("보내기");
    await other.choose("기념품", "모자");
    await other.press("보내기");
    await other.write("주소", "서울");
    await other.press("보내기");
    await other.button("35,000원 결제하기").waitFor();
    await organiser.choose("상태", "기다림");
    await organiser.press(hostile, organiser.section("모든 접수"));
    const bar = organiser.page.locator("#bar-form");
    await organiser.write("까닭", "서류가 없음", bar);
    await organiser.press("이 참가자의 참가 막기", bar);
    await organiser.told("참가를 막았습니다.");
    await organiser.judge("office", { showsHostile: true });
    await other.press("35,000원 결제하기");
    await other.sees("참가 자격이 없습니다");
    await other.sees("돈을 돌려드렸습니다.");
    await other.judge("undone", { showsHostile: true });
  });
  await step("the organiser sees who is barred, and lifts a bar", async () => {
    await organiser.press(`참가 제한 명단: ${race}`);
    await organiser.standsAt("#bars-h");
    await organiser.sees("서류가 없음 · 지영");
    await organiser.judge("bars", { showsHostile: true });
    await organiser.press(`참가 제한 풀기: ${hostile}`);
    await organiser.told("참가 제한을 풀었습니다.");
    await organiser.sees("참가를 막은 사람이 없습니다.");
  });
  await step("lots are drawn once the organiser says so", async () => {
    await runner.refused(404, () => runner.press("추첨 대회"));
    await runner.press("접수 시작");
    await runner.check("대회 약관에 동의합니다.");
    await runner.press("보내기");
    await runner.press("보내기");
    await runner.write("주소", "부산");
    await runner.press("보내기");
    await runner.sees("추첨을 기다립니다.");
    await organiser.press("추첨하기: 추첨 대회");
    await organiser.told("추첨했습니다. 당첨 1명, 대기 0명.");
    await runner.button("35,000원 결제하기").waitFor();
    await runner.judge("runner", { showsHostile: true });
  });
  await step("what is not so is refused with a reason", async () => {
    const stranger = await meet({ language: "en" });
    await stranger.judge("entrance");
    await stranger.speak("ko");
    await stranger.refused(422, () => stranger.press("들어가기"));
    assert.notEqual(await stranger.page.locator("#status.bad").textContent(), "");
  });
  await step("an outage is told, and over when it is over", () => runner.survivesAnOutage());
}
