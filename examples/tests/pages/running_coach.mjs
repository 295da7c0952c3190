// A runner who asks, and an admin who stores what is known.
import assert from "node:assert/strict";
import { hostile } from "../../../scripts/browser/person.mjs";

const saidLast = person => person.page.locator("#log .said").last();

async function ask(person, question) {
  await person.field("질문").click();
  await person.page.keyboard.type(question);
  await person.page.keyboard.press("Enter");
}

export default async function ({ meet, step, token }) {
  const runner = await meet();
  await step("an answer comes with its sources, and each opens at its passage", async () => {
    await ask(runner, "계단 내려갈 때 무릎 앞쪽이 아파요");
    await runner.told(/^답이 끝났습니다\. 출처를 단 문장 [1-9]/);
    await runner.standsAt("#question");
    await saidLast(runner).getByRole("link", { name: /^출처 \d+$/ }).first().focus();
    await runner.page.keyboard.press("Enter");
    await runner.standsAt("#sources li");
    await runner.button("원문에서 보기").first().click();
    const whole = runner.page.getByRole("dialog");
    await whole.locator("mark").waitFor();
    await runner.standsAt("#whole-h");
    await runner.judge("document");
    await runner.page.keyboard.press("Escape");
    await whole.waitFor({ state: "hidden" });
  });
  await step("what is not known is said to be unknown", async () => {
    await runner.press("새 대화");
    assert.equal(await saidLast(runner).count(), 0);
    await runner.press("김치찌개는 어떻게 끓이나요?");
    await runner.press("물어보기");
    await runner.told("아는 것이 없어 답하지 않았습니다.");
  });
  const admin = await meet();
  await step("only who has the admin's token stores, and is told what was wrong", async () => {
    await admin.page.locator("summary").focus();
    await admin.page.keyboard.press("Enter");
    await admin.write("관리자 토큰", "no token");
    await admin.write("문서 이름 (예: ko/tape)", "ko/test tape");
    await admin.write("제목 (파일은 없어도 됩니다)", hostile);
    await admin.press("저장");
    await admin.told("파일을 고르거나 본문을 쓰세요.");
    await admin.write("또는 본문 (마크다운)", "발목 보호 테이프는 여섯 시간 뒤에 뗍니다. 발목 보호 테이프는 <b>젖으면</b> 바로 뗍니다.");
    await admin.refused(401, () => admin.press("저장"));
    await admin.write("관리자 토큰", token);
    await admin.press("저장");
    await admin.told("저장했습니다.");
    await admin.page.locator("#documents").getByRole("button", { name: hostile, exact: true }).waitFor();
    await admin.judge("knowledge", { showsHostile: true });
  });
  await step("what was stored is answered from, as text", async () => {
    await ask(runner, "발목 보호 테이프는 언제 떼나요?");
    await runner.told(/^답이 끝났습니다/);
    await runner.sees(/여섯 시간 뒤에/, saidLast(runner));
    await runner.sees(hostile, runner.section("출처"));
    await runner.judge("answer", { showsHostile: true });
  });
  await step("a file is stored, and what was stored is removed", async () => {
    await admin.write("문서 이름 (예: ko/tape)", "ko/test file");
    await admin.field("파일 (글, 마크다운, HTML, PDF)").setInputFiles({ name: "rope.md", mimeType: "", buffer: Buffer.from("# 줄넘기\n\n줄넘기는 하루에 오 분이면 됩니다.") });
    await admin.press("저장");
    await admin.page.locator("#documents").getByText("ko/test file").waitFor();
    await admin.press(`지우기: ${hostile}`);
    await admin.told("지웠습니다.");
    await admin.page.locator("#documents").getByText("ko/test tape").waitFor({ state: "detached" });
  });
  await step("an outage is told, and over when it is over", () => runner.survivesAnOutage());
}
