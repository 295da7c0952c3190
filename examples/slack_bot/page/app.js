import { $, begin, button, call, every, guarded, language, make, me, onEnter, onSubmit, putAside, say, setup, swap, t, written } from "./base.js";

const words = {
  ko: {
    title: "슬랙 질문 봇", lead: "슬랙에서 부르면 곧바로 받았다고 답하고, 답은 나중에 그 글타래에 한 번 답니다. 같은 질문은 어떻게 적어도 한 번만 모델에 묻습니다.",
    offline: "언어 모델 없이, 준비된 답변 목록만 있습니다.", model: name => `답하는 모델: ${name}`,
    play: "슬랙 흉내", playNote: "진짜 슬랙 대신 이 페이지가 채널입니다. 여기서 물으면 슬랙처럼 서명한 이벤트로 봇에 갑니다.", noThreads: "아직 아무도 묻지 않았습니다.",
    question: "채널에서 봇에게 묻기", ask: "묻기", asked: ms => `봇이 ${ms}ms 만에 받았습니다. 답은 글타래에 달립니다.`, took: ms => `${ms}ms 만에 받음`, unanswered: "답을 쓰는 중…",
    hasBot: "봇이 채널에 있음", thrown: "봇을 내보냈습니다. 이제 묻는 것에는 슬랙이 답을 받지 않아, 운영자의 제쳐 둔 질문에 보입니다.", invited: "봇을 다시 초대했습니다. 제쳐 둔 질문은 운영자가 다시 답하게 합니다.",
    samples: ["하프 마라톤은 어떻게 준비하나요?", "하프마라톤은 어떻게 준비하나요", "How do I start running?"],
    more: "더 보기", reader: "읽는 사람", operator: "운영자", most: "많이 묻는 질문", times: n => `${n}번`, noAsked: "아직 질문이 없습니다.", waiting: n => `답을 기다리는 질문 ${n}개`,
    aside: "제쳐 둔 질문", asideNote: "슬랙이 받지 않은 답입니다. 까닭을 고친 뒤 다시 답하게 할 수 있습니다. 질문의 글은 보이지 않습니다.", noLetters: "제쳐 둔 질문이 없습니다.", attempts: n => `${n}번 해 봄`, deliverAgain: "모두 다시 답하기", delivered: n => `${n}개에 다시 답합니다.`,
  },
  en: {
    title: "Slack bot", lead: "A mention in Slack is acknowledged at once; its answer follows in its thread, once. The same question, however it is typed, is put to the model once.",
    offline: "There is no language model, only a list of prepared answers.", model: name => `Answered by ${name}`,
    play: "A played Slack", playNote: "Instead of a real Slack this page is the channel. What is asked here goes to the bot as Slack would send it, signed.", noThreads: "Nobody has asked yet.",
    question: "Ask the bot in the channel", ask: "Ask", asked: ms => `The bot acknowledged it within ${ms} ms. The answer comes in the thread.`, took: ms => `acknowledged within ${ms} ms`, unanswered: "being answered…",
    hasBot: "The bot is in the channel", thrown: "The bot is thrown out. Slack takes no answer to what is asked now; an operator finds it under what was put aside.", invited: "The bot is invited again. What was put aside is answered once an operator asks for it.",
    samples: ["How do I start running?", "  how do i START   running", "하프 마라톤은 어떻게 준비하나요?"],
    more: "Show more", reader: "Reader", operator: "Operator", most: "Asked most", times: n => (n === 1 ? "once" : `${n} times`), noAsked: "There is no question yet.", waiting: n => `${n} ${n === 1 ? "question waits" : "questions wait"} for an answer`,
    aside: "Put aside", asideNote: "Answers that Slack did not take. Once the reason is mended they can be given again. What was asked is not shown.", noLetters: "Nothing is put aside.", attempts: n => (n === 1 ? "tried once" : `tried ${n} times`), deliverAgain: "Answer all again", delivered: n => `${n} are answered again.`,
  },
};
let hasBot = true, threads = [], asked = [], waiting = 0;
const isOperator = () => me?.role === "operator";
const ms = thread => Math.max(1, Math.round(thread.acknowledged_ms));

// ---- the played channel
// As Slack shows it: a line between underscores stands slanted.
const slanted = answer => answer.split("\n").flatMap((line, place) => [place > 0 && "\n", /^_.+_$/.test(line) ? make("em", {}, line.slice(1, -1)) : line]);
async function refreshThreads() {
  if (!setup.plays_slack) return;
  [threads, { has_bot: hasBot }] = await Promise.all([call("GET", "played/questions"), call("GET", "played/channel")]);
  drawThreads();
}
function drawThreads() {
  const row = thread => make("li", {}, make("p", {}, written(thread.question), " ", make("span", { className: "tag" }, t("took")(ms(thread)))), ...thread.answers.map(answer => make("p", { className: "answer", lang: "" }, ...slanted(answer))), !thread.answers.length && make("p", { className: "answer muted" }, t("unanswered")));
  const before = $("threads").childElementCount;
  swap($("threads"), threads, ...threads.map(row));
  $("no-threads").hidden = threads.length > 0;
  $("threads").hidden = !threads.length;
  $("invite").textContent = t("hasBot");
  $("invite").ariaPressed = String(hasBot);
  if (threads.length > before) $("threads").scrollTop = $("threads").scrollHeight;
}
onSubmit($("ask-form"), async ({ question }) => {
  const thread = await call("POST", "played/questions", { text: question.value });
  question.value = "";
  say(t("asked")(ms(thread)));
  await refreshThreads();
});
$("invite").onclick = () => guarded(async () => {
  ({ has_bot: hasBot } = await call("PUT", "played/channel", { has_bot: !hasBot }));
  say(t(hasBot ? "invited" : "thrown"));
  drawThreads();
});

// ---- what is asked most, and what could not be answered
const aside = putAside(isOperator, refreshDesk);
async function refreshDesk() {
  if (!me) return;
  [asked, { waiting }] = await Promise.all([call("GET", "questions?limit=20"), call("GET", "questions/waiting"), aside.refresh()]);
  drawDesk();
}
function drawDesk() {
  $("most").hidden = !me;
  $("waiting").textContent = waiting ? t("waiting")(waiting) : "";
  swap($("asked"), asked, ...asked.map(row => make("li", {}, written(row.question), " ", make("span", { className: "tag" }, t("times")(row.asked)))));
  $("no-asked").hidden = asked.length > 0;
  aside.draw();
}

function redraw() {
  $("by").textContent = setup.model === undefined ? "" : setup.model ? t("model")(setup.model) : t("offline");
  $("play").hidden = !setup.plays_slack;
  $("samples").replaceChildren(...t("samples").map((text, place) => button(`sample-${place}`, text.trim(), () => { $("question").value = text; $("question").focus(); }, { lang: /[가-힣]/.test(text) ? "ko" : "en" })));
  drawThreads();
  drawDesk();
}

onEnter(refreshDesk);
begin({
  service: "slack_bot", words, redraw, reworded: refreshDesk,
  left: () => { asked = []; waiting = 0; aside.forget(); drawDesk(); },
  begun: async () => { await Promise.all([refreshThreads(), refreshDesk()]); },
});
every(1500, refreshThreads);
every(3000, refreshDesk);
