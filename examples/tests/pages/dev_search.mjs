// An operator who pulls plugs, a member in two windows, a tutor, and whoever only looks.
import assert from "node:assert/strict";
import { hostile, Person } from "../../../scripts/browser/person.mjs";

const box = "무엇을 찾나요? 오타도, 초성(ㄹㅅㅌ)도, 쓰다 만 낱말도 찾습니다.";

export default async function ({ meet, step }) {
  const come = async (name, side) => (await meet()).comesIn(name, { side, at: "#find-h" });
  const [operator, member, again, tutor] = await Promise.all([
    come("하나", "운영자"), come("민수", "회원"), come("민수", "회원"), come("지영", "튜터"),
  ]);
  const hits = person => person.page.locator("#hits");
  const served = (person, how) => person.page.locator("#served").filter({ hasText: how }).waitFor();
  // What somebody else has just asked for comes from the cache.
  const well = /^(새 답|캐시)/;
  // Where an engine is slow for a moment another stands in: whoever asks again has its own answer.
  const asks = async (person, words, how) => {
    for (let tries = 0; ; tries += 1) {
      await person.write(box, "다른 것");
      await person.write(box, words);
      try {
        return await person.page.locator("#served").filter({ hasText: how }).waitFor({ timeout: 1_500 });
      } catch (error) {
        if (tries === 40) throw error;
      }
    }
  };
  const order = (person, title) => person.section("내 주문").getByRole("listitem").filter({ hasText: title });
  await step("a typo, initials and an unfinished word find what was meant", async () => {
    await member.write(box, "kubernets");
    await hits(member).locator("mark").filter({ hasText: /kubernetes/i }).first().waitFor();
    await member.write(box, "ㄹㅅㅌ");
    await member.sees("러스트로 배우는 비동기 프로그래밍", hits(member));
    const answered = member.page.waitForResponse(response => response.url().includes("/search?"));
    await member.page.getByLabel(box).press("Enter");
    await answered;
    await member.sees("러스트로 배우는 비동기 프로그래밍", hits(member));
    await asks(member, "ㄹㅅㅌ", "답한 곳: 검색 엔진");
    await member.page.getByRole("group", { name: "종류" }).getByRole("button", { name: /^강의/ }).click();
    await member.page.getByRole("group", { name: "종류" }).getByRole("button", { name: /^강의/, pressed: true }).waitFor();
    assert.deepEqual([...new Set(await hits(member).locator("li > .tag:first-child").allInnerTexts())], ["강의"]);
    await member.write(box, "없는낱말뿐");
    await member.sees("찾은 것이 없습니다.");
    await member.page.getByRole("group", { name: "종류" }).getByRole("button", { name: "모두" }).click();
  });
  await step("a place is ordered, or undone where the card is declined", async () => {
    await operator.choose("결제사", "모두 거절");
    await operator.told("결제사를 바꾸었습니다.");
    await member.write(box, "러스트로 배우는 비동기");
    await member.press("주문하기: 러스트로 배우는 비동기 프로그래밍");
    await order(member, "러스트로").filter({ hasText: "되돌림" }).waitFor();
    await member.sees("카드가 거절되었습니다", order(member, "러스트로"));
    await member.sees("5자리 중 5자리 남음", hits(member));
    await operator.choose("결제사", "멀쩡함");
    await operator.told("결제사를 바꾸었습니다.");
    await order(member, "러스트로").getByRole("button", { name: /^다시 주문/ }).click();
    await order(member, "러스트로").filter({ hasText: "확정" }).filter({ hasText: "55,000원 결제" }).waitFor();
    await member.sees("5자리 중 4자리 남음", hits(member));
    await operator.sees("민수", operator.section("모든 주문"));
  });
  await step("a tutor offers places, and a member writes; both are found", async () => {
    await tutor.choose("종류", "강의");
    await tutor.write("몇 자리", "1");
    await tutor.write("제목", `고래와 ${hostile}`);
    await tutor.write("내용", hostile);
    await tutor.press("올리기");
    await tutor.told("올렸습니다. 곧 검색됩니다.");
    await member.write("제목", "헤엄치는 고래");
    await member.write("내용", `본문 ${hostile}`);
    await member.press("올리기");
    await member.told("올렸습니다. 곧 검색됩니다.");
    for (const person of [member, tutor, operator]) {
      for (let tries = 0; await hits(person).getByRole("listitem").count() !== 2; tries += 1) {
        assert.ok(tries < 100, "what was written is not found");
        await person.write(box, tries % 2 ? "고래" : "고래 ");
        await person.page.waitForTimeout(300);
      }
      await person.sees(`고래와 ${hostile}`, hits(person));
    }
    assert.equal(await tutor.button(`지우기: 헤엄치는 고래`).count(), 0, "somebody deletes what another wrote");
  });
  await step("two windows edit one todo: the later one is asked, and nothing is overwritten", async () => {
    await member.write("무엇을 할까요?", "발표 자료 만들기");
    await member.press("더하기");
    await member.told("저장했습니다.");
    for (const window of [member, again]) await window.press("고치기: 발표 자료 만들기");
    await member.write("무엇을 할까요?", "발표 자료 고치기", member.page.locator("#todos"));
    await member.press("저장");
    await member.sees("2번째 판");
    await again.write("무엇을 할까요?", hostile, again.page.locator("#todos"));
    await again.refused(412, () => again.press("저장"));
    await again.told("그사이 다른 창에서 바뀌었습니다.");
    await again.sees("발표 자료 고치기");
    await again.page.waitForFunction(() => document.activeElement.dataset.key?.startsWith("theirs"));
    await again.judge("conflict", { showsHostile: true });
    await again.press("내 것으로 쓰기");
    await again.sees("3번째 판");
    await member.sees(hostile, member.page.locator("#todos"));
  });
  await step("engines are cut off and come back, and each answer says who gave it", async () => {
    await asks(operator, "", well);
    await operator.press("주 엔진: 끊기");
    await operator.told("주 엔진: 끊었습니다.");
    await served(operator, "대신한 답");
    await served(operator, "답한 곳: 데이터베이스");
    await operator.judge("operator");
    // What nobody asked before is in no cache: as long as no engine answers, searches for that are refused.
    await Person.outOf([operator, member, again, tutor], "GET", "search", async () => {
      await operator.press("예비: 끊기");
      await served(operator, "오래된 답");
      await operator.page.locator("#down").filter({ hasText: "검색" }).waitFor();
      await member.refused(503, () => member.write(box, "아무도 묻지 않은 것"));
      await served(member, "아무 엔진도 답하지 못하고");
      await operator.press("예비: 다시 잇기");
      await operator.press("주 엔진: 다시 잇기");
      await served(operator, "답한 곳: 검색 엔진");
    });
    await operator.press("그만 보기");
    await operator.page.locator("#down").waitFor({ state: "hidden" });
    await asks(member, "고래", well);
  });
  await step("the page is fit for all", async () => {
    await Promise.all([
      member.judge("member", { showsHostile: true }),
      tutor.judge("tutor", { showsHostile: true }),
      meet({ language: "en" }).then(async stranger => {
        await stranger.page.locator("#served").filter({ hasText: /^(Fresh|Cached|Stale|Degraded|No answer)/ }).waitFor();
        await stranger.judge("stranger");
      }),
    ]);
  });
  await step("an outage is told, and over when it is over", () => tutor.survivesAnOutage());
}
