// A forecaster, two neighbours, and whoever only looks.
import assert from "node:assert/strict";
import { hostile } from "../../../scripts/browser/person.mjs";

const enter = async (meet, name, side) => (await meet()).comesIn(name, { side });

export default async function ({ meet, step }) {
  const [forecaster, minji, jun] = await Promise.all([enter(meet, "예보관", "예보관"), enter(meet, "민지", "이웃"), enter(meet, "준", "이웃")]);
  const near = person => person.section("5km 안의 하늘");
  const post = (person, text) => near(person).getByRole("listitem").filter({ hasText: text });
  const stands = async (person, [lat, lon] = ["위도", "경도"]) => {
    await person.write(lat, "37.5665");
    await person.write(lon, "126.978");
  };
  await step("of no place it is not said that nobody has posted there", async () => {
    assert.equal(await minji.page.locator("#no-posts").isVisible(), false);
    await stands(minji);
    await minji.press("둘러보기");
    await minji.sees("5km 안에 아직 글이 없습니다.");
    await Promise.all([stands(forecaster), stands(jun)]);
    await forecaster.press("둘러보기");
  });
  await step("neighbours post what they see, and like what others posted once", async () => {
    await minji.choose("하늘", "비");
    await minji.write("무엇이 보이나요?", hostile);
    await minji.press("올리기");
    await minji.told("올렸습니다.");
    await minji.choose("하늘", "맑음");
    await minji.write("무엇이 보이나요?", "청계천은 아직 맑아요");
    await minji.press("올리기");
    await post(minji, "청계천").waitFor();
    await jun.press("둘러보기");
    const like = post(jun, "청계천").getByRole("button", { name: /^좋아요/ });
    await like.focus();
    await jun.page.keyboard.press("Enter");
    await jun.button("좋아요 1", post(jun, "청계천")).waitFor();
    assert.equal(await jun.button("좋아요 1", post(jun, "청계천")).getAttribute("aria-pressed"), "true");
    await jun.press("싫어요 0", post(jun, "청계천"));
    await jun.button("좋아요 0", post(jun, "청계천")).waitFor();
    assert.equal(await post(jun, "청계천").getByRole("button", { name: /^지우기/ }).count(), 0);
  });
  await step("what became of is not known is sent again under its key, and posted once", async () => {
    const keys = [];
    let lost = true;
    const lose = async route => {
      if (route.request().method() !== "POST") return route.continue();
      keys.push(route.request().headers()["idempotency-key"]);
      if (!lost) return route.continue();
      lost = false;
      // The service has posted it, and its answer is lost on the way.
      await route.fetch();
      await route.fulfill({ status: 503, contentType: "application/problem+json", headers: { "content-language": "ko" }, body: JSON.stringify({ status: 503, title: "Service Unavailable", kind: "unavailable", detail: "lost" }) });
    };
    await minji.page.route(/\/posts$/, lose);
    await minji.write("무엇이 보이나요?", "무지개가 떴어요");
    await minji.refused(503, () => minji.press("올리기"));
    await minji.press("올리기");
    await minji.told("올렸습니다.");
    await minji.page.unroute(/\/posts$/, lose);
    assert.equal(keys.length, 2);
    assert.equal(keys[0], keys[1]);
    await post(minji, "무지개").waitFor();
    assert.equal(await post(minji, "무지개").count(), 1);
    // Posted, it is done with: the next one has a key of its own.
    await minji.write("무엇이 보이나요?", "무지개가 또 떴어요");
    await minji.press("올리기");
    await post(minji, "또 떴어요").waitFor();
  });
  await step("who tells no place posts nothing, and is led to the field", async () => {
    await minji.write("위도", "");
    await minji.write("무엇이 보이나요?", "어디인지 모르는 하늘");
    await minji.press("올리기");
    await minji.told("위도와 경도를 적어 주세요.");
    await minji.standsAt("#lat");
    const sea = await minji.page.evaluate(async () => (await fetch("posts?lat=0&lon=126.978")).json());
    assert.deepEqual(sea, []);
    await minji.write("위도", "37.5665");
    await minji.press("올리기");
    await post(minji, "어디인지 모르는").waitFor();
  });
  await step("more of a place is shown while news are asked for, and nothing of another place", async () => {
    await minji.page.evaluate(async () => {
      const { token } = JSON.parse(sessionStorage.getItem("me"));
      const headers = { authorization: `Bearer ${token}`, "content-type": "application/json" };
      for (let n = 1; n <= 21; n += 1) await fetch("posts", { method: "POST", headers: { ...headers, "idempotency-key": `busan-${n}` }, body: JSON.stringify({ sky: "rain", text: `부산의 비 ${n}`, lat: 35.18, lon: 129.08 }) });
    });
    const goes = async (lat, lon) => {
      await jun.write("위도", lat);
      await jun.write("경도", lon);
      await jun.press("둘러보기");
    };
    await goes("35.18", "129.08");
    await near(jun).getByRole("listitem").nth(19).waitFor();
    assert.equal(await post(jun, "청계천").count(), 0);
    await jun.page.route(/posts\?/, async route => { await new Promise(done => setTimeout(done, 300)); await route.continue(); });
    await jun.press("더 보기", near(jun));
    await jun.press("둘러보기");
    await near(jun).getByRole("listitem").nth(20).waitFor();
    await jun.page.unrouteAll({ behavior: "wait" });
    await goes("37.5665", "126.978");
    await post(jun, "청계천").waitFor();
    assert.equal(await post(jun, "부산의 비").count(), 0);
  });
  await step("a warning opens a room, where messages come at once", async () => {
    await forecaster.write("무엇이 예상되나요?", "시간당 50mm의 비, 하천 접근 금지");
    await forecaster.press("특보 내기");
    await forecaster.told("특보를 냈습니다.");
    await forecaster.sees("이어짐");
    await forecaster.write("할 말", "한강 수위 3.9m입니다");
    await forecaster.page.keyboard.press("Enter");
    await jun.button("서울 호우").focus();
    await jun.page.keyboard.press("Enter");
    await jun.standsAt("#room-h");
    await jun.sees("한강 수위 3.9m입니다");
    await jun.sees("이어짐");
    await jun.write("할 말", hostile);
    await jun.press("보내기");
    await forecaster.sees(hostile, forecaster.page.getByRole("log"));
  });
  await step("a mission is proven once", async () => {
    await forecaster.write("무엇을 보고 오나요?", "청계천 물높이 보기");
    await forecaster.press("지금 자리에 미션 만들기");
    await forecaster.told("미션을 만들었습니다.");
    await minji.write("무엇을 봤나요?", "난간 아래까지 찼어요");
    await minji.press("지금 자리에서 증명하기");
    await minji.told("증명했습니다.");
    await minji.sees("증명함");
  });
  await step("the last coupon goes to one", async () => {
    await forecaster.write("쿠폰 이름", "우산 쿠폰");
    await forecaster.write("몇 장", "1");
    await forecaster.press("쿠폰 뿌리기");
    await minji.press("받기: 우산 쿠폰");
    await minji.told(/^1번째: /);
    await jun.refused(409, () => jun.press("받기: 우산 쿠폰"));
    await jun.told("쿠폰이 모두 나갔습니다.");
  });
  await step("the page is fit for all", async () => {
    await minji.press("서울 호우");
    await minji.sees("이어짐");
    await Promise.all([
      forecaster.sees("청계천은 아직 맑아요").then(() => forecaster.judge("forecaster", { showsHostile: true })),
      minji.judge("neighbour", { showsHostile: true }),
      meet({ language: "en" }).then(async stranger => {
        await stands(stranger, ["Latitude", "Longitude"]);
        await stranger.press("Look around");
        await stranger.judge("stranger", { showsHostile: true });
      }),
    ]);
  });
  await step("a lifted warning closes its room to new words", async () => {
    await forecaster.press("해제: 서울 호우");
    await forecaster.told("해제했습니다.");
    await jun.sees("해제되어 닫힘");
    assert.equal(await jun.field("할 말").isVisible(), false);
  });
  await step("an outage is told, and over when it is over", () => minji.survivesAnOutage());
}
