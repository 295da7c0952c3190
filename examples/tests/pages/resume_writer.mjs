// An owner, a reader with the link, and whoever only looks.
import assert from "node:assert/strict";
import { hostile } from "../../../scripts/browser/person.mjs";

export default async function ({ meet, step }) {
  const owner = await meet();
  const lines = owner.page.locator("#lines");
  await step("a résumé is written, with the record of each line, and what was refused with the reason", async () => {
    await owner.comesIn("하늘", { at: "#mine-h" });
    assert.equal(await owner.field("GitHub 계정").inputValue(), "haneul-example");
    await owner.press("이력서 쓰기");
    await owner.told("받았습니다. 곧 씁니다.");
    await owner.sees("재현율을 71%에서 94%로 높임", lines);
    assert.match(await lines.getByRole("link", { name: "d81a7d885316" }).getAttribute("href"), /^https:\/\/github\.com\//);
    assert.equal(await lines.getByText("쿠버네티스").count(), 0);
    await owner.page.getByText("거절한 말 4개").click();
    await owner.sees("기록의 숫자와 다름");
    await owner.sees("그런 기록이 없음 (남의 것이거나 지어낸 것)");
  });
  await step("an instruction is shown as a difference, and accepted", async () => {
    await owner.press("도서관 예약 API 이야기를 앞세우고, 스크린 리더 항목은 빼 줘");
    await owner.press("고친 안 보기");
    await owner.standsAt("#proposal-h");
    const changes = owner.page.locator("#changes");
    await owner.sees("새 줄", changes);
    await owner.sees("뺀 줄", changes);
    await owner.sees("고친 줄", changes);
    await owner.judge("proposal");
    await owner.press("받아들이기");
    await owner.told("받아들였습니다: 버전 2");
    await owner.sees("결제와 예약을 사가로 묶은 개발자", lines);
    assert.equal(await lines.getByText("스크린 리더").count(), 0);
  });
  await step("what nothing proves is not done, and is left", async () => {
    await owner.press("Make it more impressive");
    await owner.press("고친 안 보기");
    await owner.standsAt("#proposal-h");
    await owner.sees("기록의 숫자와 다름", owner.page.locator("#not-done"));
    await owner.press("그만두기");
    await owner.told("지시를 거두었습니다.");
    await owner.standsAt("#instruction");
  });
  await step("what was proposed is there for whoever comes back", async () => {
    await owner.press("Make it more impressive");
    await owner.press("고친 안 보기");
    await owner.standsAt("#proposal-h");
    await owner.page.reload();
    await owner.page.getByRole("button", { name: /^열기: haneul-example/ }).click();
    await owner.sees("기록의 숫자와 다름", owner.page.locator("#not-done"));
    await owner.sees("고친 안이 있음", owner.page.locator("#given"));
    await owner.page.locator("#given").getByRole("button", { name: "지시 거두기: Make it more impressive" }).click();
    await owner.told("지시를 거두었습니다.");
    assert.equal(await owner.page.locator("#proposal").isVisible(), false);
  });
  let reader;
  await step("a link opens it to whoever has it, who likes it and speaks of it", async () => {
    await owner.press("나눌 링크 만들기");
    await owner.told("링크를 만들었습니다.");
    await owner.standsAt("#link");
    const address = await owner.page.locator("#link").inputValue();
    reader = await meet();
    await reader.page.goto(address);
    await reader.sees("김하늘 님의 이력서");
    assert.equal(await reader.button("좋아요 0").isDisabled(), true);
    await reader.comesIn("민지", { at: "#shared-h" });
    await reader.press("좋아요 0");
    await reader.button("좋아요 1").waitFor();
    assert.equal(await reader.button("좋아요 1").getAttribute("aria-pressed"), "true");
    await reader.write("한마디", hostile);
    await reader.press("댓글 달기");
    await reader.told("댓글을 달았습니다.");
    await reader.sees(hostile, reader.page.locator("#comments"));
    await owner.sees("민지 님이 이력서를 좋아합니다.");
    await owner.sees("민지 님이 댓글을 달았습니다.");
    await reader.judge("reader", { showsHostile: true });
  });
  await step("a moderator deletes the comment of somebody else", async () => {
    const moderator = await meet();
    await moderator.page.goto(reader.page.url());
    await moderator.sees("김하늘 님의 이력서");
    await moderator.comesIn("관리", { side: "관리자", at: "#shared-h" });
    await reader.write("한마디", "지울 말");
    await reader.press("댓글 달기");
    const cut = moderator.page.getByRole("listitem").filter({ hasText: "지울 말" });
    await moderator.press("댓글 지우기", cut);
    await reader.seesNo("지울 말", reader.page.locator("#comments"));
  });
  await step("the page is fit for all", async () => {
    await owner.judge("owner");
    const stranger = await meet({ language: "en" });
    await stranger.judge("stranger");
  });
  await step("a link is taken back", async () => {
    await reader.refused(404, async () => {
      await owner.press("나누기 그만");
      await owner.told("이제 링크로 볼 수 없습니다.");
      await reader.sees("이 링크로 볼 수 있는 이력서가 없습니다.");
    });
  });
  await step("an outage is told, and over when it is over", () => owner.survivesAnOutage());
}
