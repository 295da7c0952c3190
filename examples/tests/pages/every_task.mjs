// Tasks of posts, as three people meet them.
import assert from "node:assert/strict";
import { hostile } from "../../../scripts/browser/person.mjs";

const posts = person => person.section("올라온 글").getByRole("listitem");
const post = (person, title) => posts(person).filter({ has: person.page.getByRole("button", { name: title, exact: true }) });

export default async function ({ meet, step }) {
  const minsu = await meet();
  await step("nobody writes before they have come in", async () => {
    await minsu.write("본문", "책을 읽고 싶습니다.");
    await minsu.press("할 일 찾기");
    await minsu.told("글을 쓰려면 먼저 들어가세요.");
    await minsu.standsAt("#who");
    await minsu.page.keyboard.type("민수");
    await minsu.page.keyboard.press("Enter");
    await minsu.sees("민수(으)로 들어와 있습니다.");
    await minsu.standsAt("#body");
  });
  await step("a post's tasks show with the words that they come from", async () => {
    await minsu.press("예시 넣기");
    await minsu.press("할 일 찾기");
    await minsu.told(/^할 일 [1-9]\d*개를 찾았습니다\.$/);
    const tasks = minsu.section("찾은 할 일").getByRole("listitem");
    assert.ok(await tasks.count() >= 2);
    await tasks.getByRole("button").nth(1).focus();
    await minsu.page.keyboard.press("Enter");
    assert.equal(await minsu.page.locator("mark.on").count(), 1);
  });
  await step("what is written as markup shows as it was written", async () => {
    await minsu.check("질문");
    await minsu.write("제목 (없어도 됩니다)", hostile);
    await minsu.write("본문", `${hostile}\n책 3권을 읽고 싶습니다.`);
    await minsu.press("할 일 찾기");
    await minsu.told("할 일 1개를 찾았습니다.");
    await post(minsu, hostile).waitFor();
  });
  const jane = await meet({ language: "en" });
  await step("an English reader finds an English page, and others see what she posts", async () => {
    assert.equal(await jane.page.title(), "Every task in a post");
    await jane.write("Name", "Jane");
    await jane.write("Nickname that others see (optional)", "Running bear");
    await jane.press("Enter");
    await jane.sees("You are Jane.");
    await jane.press("Use a sample");
    await jane.press("Find tasks");
    await jane.told(/^\d tasks found\.$/);
    await post(minsu, "Sub-4 marathon at 45").getByText("Running bear").waitFor();
    assert.equal(await post(minsu, "Sub-4 marathon at 45").getByRole("button").count(), 1, "Minsu may change Jane's post");
  });
  await step("news of a post disturb nobody who stands at another, and bring that post alone", async () => {
    await post(minsu, hostile).getByRole("button", { name: hostile, exact: true }).focus();
    const at = await minsu.page.evaluateHandle(() => document.activeElement);
    const asked = [];
    const note = request => asked.push(new URL(request.url()).pathname + new URL(request.url()).search);
    minsu.page.on("request", note);
    await jane.check("Question");
    await jane.write("Title (optional)", "How do I run 10 km?");
    await jane.write("Text", "I want to run 10 km.\n* Run three times a week");
    await jane.press("Find tasks");
    await post(minsu, "How do I run 10 km?").getByText("찾음").waitFor();
    minsu.page.off("request", note);
    assert.equal(await at.evaluate(node => node === document.activeElement), true, "whoever stood at a post was moved");
    assert.deepEqual(asked.filter(path => path.startsWith("/posts?")), [], "all posts were asked for again");
  });
  await step("a page that hears no news says so, and catches up with what it missed", async () => {
    const line = minsu.section("올라온 글").getByRole("status");
    await line.filter({ hasText: /^이어짐$/ }).waitFor();
    await minsu.cutOff(async () => {
      await line.filter({ hasText: "끊김, 다시 잇는 중" }).waitFor();
      await jane.write("Title (optional)", "Meanwhile");
      await jane.write("Text", "I want to read 3 books.");
      await jane.press("Find tasks");
      await jane.told(/^\d task/);
    }, async () => {
      await line.filter({ hasText: /^이어짐$/ }).waitFor();
      await post(minsu, "Meanwhile").waitFor();
    });
  });
  await step("who wrote a post edits it, and leaves it by Escape", async () => {
    const title = "하프 마라톤 처음인데 어떻게 준비하죠?";
    await minsu.press(`고치기: ${title}`);
    await minsu.standsAt("#body");
    await minsu.page.keyboard.press("Escape");
    assert.equal(await minsu.field("본문").inputValue(), "");
    await minsu.press(`고치기: ${title}`);
    await minsu.standsAt("#body");
    await minsu.write("본문", "10월에 하프 마라톤을 뛰고 싶습니다.\n\n- 러닝화 새로 사기");
    await minsu.press("고친 글 올리기");
    await minsu.sees("러닝화 새로 사기", minsu.section("찾은 할 일").getByRole("list"));
    await minsu.seesNo("하체 근력 키우기");
  });
  await step("a post that failed says why, and is retried by whoever wrote it", async () => {
    await minsu.press("실패하는 예시 넣기");
    await minsu.press("할 일 찾기");
    await minsu.told(/^실패 — 까닭: 모양이 다른 답 · 글에 적힌 대로 실패를 연습했습니다 · 시도: 5/);
    await minsu.choose("보기", "실패");
    await post(minsu, "하프 마라톤 처음인데 어떻게 준비하죠? #fail-first").waitFor();
    await minsu.judge("failed");
    await minsu.button("다시 시도").focus();
    await minsu.page.keyboard.press("Enter");
    await minsu.told(/^할 일 [1-9]\d*개를 찾았습니다\.$/);
    await minsu.standsAt("#result-h");
    await posts(minsu).first().waitFor({ state: "detached" });
    await minsu.choose("보기", "모두");
  });
  const keeper = await meet();
  await step("a moderator deletes what another wrote, and everybody's page follows", async () => {
    await keeper.write("이름", "지영");
    await keeper.check("운영자로 (남의 글도 지우고 다시 시도합니다)");
    await keeper.press("들어가기");
    await keeper.sees("지영 (운영자)(으)로 들어와 있습니다.");
    await keeper.press("지우기: Sub-4 marathon at 45");
    await post(minsu, "Sub-4 marathon at 45").waitFor({ state: "detached" });
    await keeper.choose("보기", "실패");
    await posts(keeper).first().waitFor({ state: "detached" });
  });
  await step("the page is fit for all", async () => {
    await minsu.press(hostile);
    await minsu.sees(/책 3권/, minsu.section("찾은 할 일"));
    await minsu.judge("tasks", { showsHostile: true });
    const stranger = await meet({ language: "en" });
    await stranger.judge("entrance");
  });
  await step("the newest posts stand first however many there are, and older ones come by a press", async () => {
    await minsu.page.evaluate(async () => {
      const { token } = JSON.parse(sessionStorage.getItem("me"));
      const headers = { authorization: `Bearer ${token}`, "content-type": "application/json" };
      for (let n = 1; n <= 101; n += 1) await fetch("posts", { method: "POST", headers, body: JSON.stringify({ kind: "story", title: `글 ${n}`, body: "책을 매일 읽었어요." }) });
      while ((await (await fetch("posts?state=pending")).json()).length) await new Promise(done => setTimeout(done, 100));
    });
    await minsu.choose("보기", "찾음");
    await posts(minsu).first().getByRole("button", { name: "글 101", exact: true }).waitFor();
    await minsu.press("더 보기", minsu.section("올라온 글"));
    await post(minsu, "How do I run 10 km?").waitFor();
    await posts(minsu).first().getByRole("button", { name: "글 101", exact: true }).waitFor();
    await minsu.choose("보기", "모두");
  });
  await step("an outage is told, and over when it is over", () => minsu.survivesAnOutage());
}
