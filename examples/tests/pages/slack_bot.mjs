// Somebody in the channel, a reader, and an operator.
import assert from "node:assert/strict";
import { hostile } from "../../../scripts/browser/person.mjs";

const enter = async (meet, name, side) => (await meet()).comesIn(name, { side });

export default async function ({ meet, step }) {
  const minji = await meet();
  const channel = minji.section("슬랙 흉내");
  const thread = text => channel.getByRole("listitem").filter({ hasText: text });
  const ask = async text => {
    await minji.write("채널에서 봇에게 묻기", text);
    await minji.page.keyboard.press("Enter");
    await minji.told(/^봇이 \d+ms 만에 받았습니다/);
  };
  await step("a question is acknowledged at once, and answered in its thread", async () => {
    await minji.press("하프 마라톤은 어떻게 준비하나요?");
    await minji.standsAt("#question");
    await minji.press("묻기");
    await minji.told(/^봇이 \d+ms 만에 받았습니다/);
    await minji.sees(/모델 없이, 준비된 답변 목록/, thread("하프 마라톤은"));
    await ask("하프마라톤은 어떻게 준비하나요");
    await minji.sees(/모델 없이, 준비된 답변 목록/, thread("하프마라톤은"));
    await ask(hostile);
    await minji.sees(/목록에 없는 질문/, thread("굵게"));
    await minji.judge("channel", { showsHostile: true });
  });
  const reader = await enter(meet, "민수", "읽는 사람");
  const most = reader.section("많이 묻는 질문");
  await step("the same question is counted as one, and nobody but an operator sees what was put aside", async () => {
    const rows = most.getByRole("listitem");
    await rows.first().filter({ hasText: "하프 마라톤은 어떻게 준비하나요?" }).filter({ hasText: "2번" }).waitFor();
    assert.equal(await rows.count(), 2);
    assert.equal(await reader.section("제쳐 둔 질문").count(), 0);
    await reader.judge("reader", { showsHostile: true });
  });
  const operator = await enter(meet, hostile, "운영자");
  const aside = operator.section("제쳐 둔 질문");
  await step("what the channel refuses is put aside, and answered once the bot is back", async () => {
    await operator.sees("제쳐 둔 질문이 없습니다.", aside);
    await minji.press("봇이 채널에 있음");
    await minji.told(/^봇을 내보냈습니다/);
    assert.equal(await minji.button("봇이 채널에 있음").getAttribute("aria-pressed"), "false");
    await ask("리커버리 주는 언제 넣나요?");
    await operator.sees(/봇이 채널에 없음 \(not_in_channel\)/, aside);
    await operator.seesNo(/리커버리/, aside);
    await operator.judge("operator", { showsHostile: true });
    await minji.press("봇이 채널에 있음");
    await minji.told(/^봇을 다시 초대했습니다/);
    await operator.button("모두 다시 답하기", aside).focus();
    await operator.page.keyboard.press("Enter");
    await operator.told("1개에 다시 답합니다.");
    await operator.standsAt("#aside-h");
    await operator.sees("제쳐 둔 질문이 없습니다.", aside);
    await minji.sees(/목록에 없는 질문|준비된 답변 목록/, thread("리커버리"));
  });
  await step("whoever leaves sees nothing of it any more", async () => {
    await operator.press("나가기");
    await operator.standsAt("#enter-h");
    assert.equal(await aside.count(), 0);
  });
  await step("an outage is told, and over when it is over", () => minji.survivesAnOutage());
}
