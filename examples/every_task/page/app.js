import { $, begin, button, call, failureKind, guarded, language, listen, make, me, nextOf, onEnter, onSubmit, once, request, say, sayLive, setup, swap, swapRows, t, written } from "./base.js";

const words = {
  ko: {
    title: "글에서 할 일 찾기", lead: "성공담이나 질문을 붙여 넣으면 그 안의 할 일을 찾아, 근거가 된 문장과 함께 보여 주고, 질문과 성공담의 할 일을 서로 잇습니다.",
    write: "글쓰기", kind: "종류", story: "성공담", question: "질문", headline: "제목 (없어도 됩니다)", body: "본문", submit: "할 일 찾기", sample: "예시 넣기", failing: "실패하는 예시 넣기",
    result: "찾은 할 일", nothing: "아직 글이 없습니다. 왼쪽에 붙여 넣거나 아래에서 고르세요.", posts: "올라온 글", none: "이 글에는 할 일이 없습니다.",
    pending: "찾는 중", extracted: "찾음", failed: "실패", retry: "다시 시도", remove: "지우기", removed: "보던 글이 지워졌습니다.", edit: "고치기", update: "고친 글 올리기", cancel: "고치지 않기", matches: "이 일을 해 본 글", unmatched: "해 본 글을 찾지 못했습니다", matchAgain: "다시 찾기", untitled: "(제목 없음)", sending: "보내는 중…",
    waiting: "할 일을 찾고 있습니다…", found: n => `할 일 ${n}개를 찾았습니다.`, reason: "까닭", by: "찾는 이", after: "먼저 할 일", difficulties: { easy: "쉬움", medium: "보통", hard: "어려움" }, minutes: "분", due: "까지",
    tries: "시도", again: "다시 시도", retries: { never: "소용없음", now: "바로 해 볼 수 있음" }, later: time => `${time} 뒤에`, doubt: "글과 다릅니다", parts: { title: "제목", detail: "내용", due: "기한", duration_minutes: "걸리는 시간", frequency: "횟수" },
    who: "이름", nickname: "다른 사람에게 보일 별명 (없어도 됩니다)", moderator: "운영자로 (남의 글도 지우고 다시 시도합니다)", token: "토큰", show: "보기", all: "모두", more: "더 보기",
    iAm: (name, role) => [name, `${role === "moderator" ? " (운영자)" : ""}(으)로 들어와 있습니다.`], enterFirst: "글을 쓰려면 먼저 들어가세요.", offline: " — 언어 모델이 아니라 규칙으로 찾습니다",
  },
  en: {
    title: "Every task in a post", lead: "Paste a success story or a question: its tasks are found, each with the sentence it came from, and questions are matched with stories that did them.",
    write: "Write", kind: "Kind", story: "Story", question: "Question", headline: "Title (optional)", body: "Text", submit: "Find tasks", sample: "Use a sample", failing: "Use a sample that fails",
    result: "Tasks found", nothing: "No post yet. Paste one, or choose one below.", posts: "Posts", none: "This post has no tasks.",
    pending: "working", extracted: "done", failed: "failed", retry: "Retry", remove: "Delete", removed: "The post that was shown is deleted.", edit: "Edit", update: "Save the edit", cancel: "Discard the edit", matches: "Stories that did this", unmatched: "Stories that did this could not be looked for", matchAgain: "Look again", untitled: "(no title)", sending: "Sending…",
    waiting: "Looking for tasks…", found: n => `${n} task${n === 1 ? "" : "s"} found.`, reason: "Reason", by: "Found by", after: "after", difficulties: { easy: "easy", medium: "medium", hard: "hard" }, minutes: "min", due: "by",
    tries: "tries", again: "try again", retries: { never: "it would not help", now: "at once" }, later: time => `after ${time}`, doubt: "The post says otherwise", parts: { title: "title", detail: "detail", due: "due day", duration_minutes: "duration", frequency: "frequency" },
    who: "Name", nickname: "Nickname that others see (optional)", moderator: "As a moderator (who deletes and retries what others wrote, too)", token: "Token", enterButton: "Enter", show: "Show", all: "all", more: "Show more",
    iAm: (name, role) => ["You are ", name, `${role === "moderator" ? " (moderator)" : ""}.`], enterFirst: "Enter first, to write.", offline: " — rules standing in for a language model",
  },
};
// A word in the title has the rules fail first, as `about` says, where they stand in for a model.
const samples = {
  ko: { kind: "question", title: "하프 마라톤 처음인데 어떻게 준비하죠?", body: "10월에 하프 마라톤을 뛰고 싶습니다. 일주일에 세 번 달리려고 하는데 무릎이 걱정이에요.\n\n- 하체 근력 키우기\n- 러닝화 새로 사기" },
  en: { kind: "story", title: "Sub-4 marathon at 45", body: "What worked for me:\n* Ran four times a week\n* Did strength training every Tuesday\n\nI also joined a running club." },
};
let posts = new Map(); // by their identifiers, as far as they are listed
let next = null; // the address of the next page of them, if there is one
let shown = null, seen = null; // the post whose tasks are shown, and what was seen of it
let editing = null;
const mine = author => Boolean(me) && author?.id === me.name;
const inCharge = author => mine(author) || me?.role === "moderator";

function highlighted(text, tasks) {
  const bytes = new TextEncoder().encode(text), decoder = new TextDecoder();
  const cut = (from, to) => decoder.decode(bytes.slice(from, to));
  const box = make("p", { className: "source", lang: "" });
  // Quotes may share words: the text is cut at every end of a quote, and a piece belongs to each quote around it.
  const quoted = tasks.filter(task => task.span);
  const ends = [...new Set([0, bytes.length, ...quoted.flatMap(task => [task.span.start, task.span.end])])].sort((a, b) => a - b);
  for (let i = 1; i < ends.length; i++) {
    const [from, to] = [ends[i - 1], ends[i]];
    const here = quoted.filter(task => task.span.start <= from && to <= task.span.end);
    if (!here.length) { box.append(cut(from, to)); continue; }
    const numbers = here.filter(task => task.span.start === from).map(task => make("sup", {}, String(task.order)));
    const mark = make("mark", {}, ...numbers, cut(from, to));
    mark.dataset.tasks = here.map(task => task.order).join(" ");
    box.append(mark);
  }
  return box;
}

function facts(task) {
  const timing = task.timing || {};
  const parts = [timing.frequency && written(timing.frequency), timing.duration_minutes && `${timing.duration_minutes} ${t("minutes")}`, timing.due && (language === "ko" ? `${timing.due}${t("due")}` : `${t("due")} ${timing.due}`),
    task.difficulty && t("difficulties")[task.difficulty], task.prerequisites?.length && make("span", {}, `${t("after")} `, written(task.prerequisites.join(", ")))];
  return parts.filter(Boolean).flatMap((part, place) => place ? [" · ", part] : [part]);
}

async function show(id) {
  shown = id;
  let view;
  try { view = await call("GET", `posts/${encodeURIComponent(id)}`); } catch (error) { if (error.status === 404) return forget(id); throw error; }
  let matches = [], unmatched = null; // the tasks count more: they are shown without matches, too
  if (view.state === "extracted" && view.post.kind === "question") try { matches = await call("GET", `posts/${encodeURIComponent(id)}/matches`); } catch (error) { if (error.status !== 404) unmatched = error.message; }
  if (shown !== id) return;
  seen = view;
  const why = reason(view.failure);
  if (view.state !== "pending") say(why || t("found")(view.tasks.length));
  draw(view, matches, unmatched);
}
const reason = failure => failure && [`${t("failed")} — ${t("reason")}: ${failureKind(failure.reason)}`, failure.message, `${t("tries")}: ${failure.attempts}`, failure.retry && `${t("again")}: ${again(failure.retry)}`].filter(Boolean).join(" · ");
// `never`, `now`, or `after 20s`.
const again = retry => t("retries")[retry] ?? t("later")(retry.replace("after ", ""));
function draw(view, matches, unmatched) {
  const { state, post, tasks } = view;
  swap($("outcome"), [state, view.failure, tasks.length === 0, inCharge(post.author), unmatched],
    state === "pending" && make("p", { className: "muted" }, t("waiting")), state === "failed" && make("p", { className: "bad" }, reason(view.failure)),
    state === "failed" && inCharge(post.author) && button("retry", t("retry"), () => retry(view.id)), state === "extracted" && !tasks.length && make("p", { className: "muted" }, t("none")),
    unmatched && make("p", { className: "muted" }, `${t("unmatched")}: ${unmatched}`), unmatched && button("match", t("matchAgain"), () => guarded(() => show(view.id))));
  const isFound = state === "extracted";
  swap($("source"), isFound && [post, tasks], isFound && highlighted(post.title ? `${post.title}\n\n${post.body}` : post.body, tasks));
  swapRows($("tasks"), isFound ? tasks.map(task => ({ ...task, id: `${view.id} ${view.version} ${task.order}`, match: matches.find(match => match.need.order === task.order) })) : [], ({ match, ...task }) => make("li", {},
    button(`task ${task.order}`, task.title, () => point(task.order), { lang: "" }), make("span", { className: "facts" }, ...facts(task)),
    task.doubts.length > 0 && make("span", { className: "facts bad" }, `⚠ ${t("doubt")}: ${task.doubts.map(part => t("parts")[part] || part).join(", ")}`),
    match && make("span", { className: "facts" }, `${t("matches")}: `, match.story_title ? written(match.story_title) : t("untitled"), " → ", written(match.deed.title), ` (${Math.round(match.score * 100)} %)`)));
}

function point(order) {
  const marks = [...document.querySelectorAll("mark")];
  for (const mark of marks) mark.classList.toggle("on", mark.dataset.tasks.split(" ").includes(String(order)));
  marks.find(mark => mark.classList.contains("on"))?.scrollIntoView({ block: "nearest" });
}

// ---- the list
// One look after the other, so that what was asked for last is what shows.
let last = Promise.resolve();
const inTurn = work => { const mine = last.then(work); last = mine.catch(() => {}); return mine; };
const wanted = () => $("state").value;
// As many as are shown, and the rest of their page.
const refresh = () => inTurn(async () => {
  const many = posts.size, found = [];
  next = `posts?limit=100${wanted() ? `&state=${wanted()}` : ""}`;
  do found.push(...await nextPage()); while (next && found.length < many);
  posts = new Map(found.map(post => [post.id, rowOf(post, post)]));
  drawPosts();
});
async function nextPage() {
  const { value, link } = await request("GET", next);
  next = nextOf(link);
  return value;
}
const more = () => inTurn(async () => {
  for (const post of next ? await nextPage() : []) posts.set(post.id, rowOf(post, post));
  drawPosts();
  if (!next) $("posts-h").focus();
});
const rowOf = ({ id, state, posted_at }, { kind, title, author }) => ({ id, state, posted_at, kind, title, author });
function drawPosts() {
  $("more").hidden = !next;
  const posted = post => post.posted_at ? Date.parse(post.posted_at) : 0;
  const newest = [...posts.values()].sort((one, other) => posted(other) - posted(one) || (one.id < other.id ? 1 : -1));
  swapRows($("posts"), newest, post => make("li", {},
    button(`show ${post.id}`, post.title || t("untitled"), () => guarded(() => show(post.id)), { className: "grow", lang: post.title ? "" : language }),
    make("span", { className: "muted", lang: "" }, post.author?.nickname ?? post.author?.id ?? ""), make("span", { className: "tag" }, t(post.kind)), make("span", { className: "tag" + (post.state === "failed" ? " bad" : "") }, t(post.state)),
    mine(post.author) && button(`edit ${post.id}`, t("edit"), () => edit(post.id), { ariaLabel: `${t("edit")}: ${post.title || post.id}` }),
    inCharge(post.author) && button(`remove ${post.id}`, t("remove"), () => remove(post.id), { ariaLabel: `${t("remove")}: ${post.title || post.id}` })));
}

// ---- news
let changed = new Set(), soon = null;
// Many changes in a moment are one look.
function look(id) {
  changed.add(id);
  soon ??= setTimeout(() => { const ids = [...changed]; changed = new Set(); soon = null; guarded(() => catchUp(ids)); }, 100);
}
// Asks for the posts that changed, or for all if they are many.
async function catchUp(ids) {
  if (ids.length >= 20) await refresh();
  else await inTurn(async () => {
    await Promise.all(ids.map(async id => {
      try {
        const view = await call("GET", `posts/${encodeURIComponent(id)}`);
        if (wanted() && view.state !== wanted()) posts.delete(id); else posts.set(id, rowOf(view, view.post));
      } catch (error) { if (error.status !== 404) throw error; posts.delete(id); }
    }));
    drawPosts();
  });
  await showAgain(ids);
}
// A question that is shown may be matched by other stories now.
async function showAgain(ids) { if (shown && (ids.includes(shown) || seen?.post.kind === "question")) await show(shown); }
async function catchUpWithAll() { await refresh(); if (shown) await show(shown); }
async function drop(id) {
  changed.delete(id);
  forget(id);
  await inTurn(() => { posts.delete(id); drawPosts(); });
  await showAgain([]);
}
function hear({ event, data }) {
  const id = JSON.parse(data).post_id;
  if (event === "started") { if (id === shown) say(t("waiting")); }
  else if (event === "missed") guarded(catchUpWithAll);
  else if (event === "withdrawn") guarded(() => drop(id));
  else look(id);
}

const retry = id => guarded(async () => { await call("POST", `posts/${encodeURIComponent(id)}/retry`); shown = id; await catchUp([id]); });
const remove = id => guarded(async () => {
  await call("DELETE", `posts/${encodeURIComponent(id)}`);
  await drop(id);
});
function forget(id) {
  if (editing === id) discard();
  if (shown !== id) return;
  shown = seen = null;
  showNothing();
  say(t("removed"));
}
function showNothing() {
  swap($("outcome"), null, make("p", { className: "muted" }, t("nothing")));
  swap($("source"), null);
  swapRows($("tasks"), []);
}
// What is being written: a new post, or an edit.
function drawForm() {
  $("form").querySelector(".main").textContent = t(editing ? "update" : "submit");
  $("cancel").hidden = !editing;
}
const discard = () => { editing = null; $("form").reset(); drawForm(); };
const fill = post => { const form = $("form"); form.elements.kind.value = post.kind; form.elements.title.value = post.title || ""; form.elements.body.value = post.body; };
const edit = id => guarded(async () => { const view = await call("GET", `posts/${encodeURIComponent(id)}`); fill(view.post); editing = id; drawForm(); $("body").focus(); });

onSubmit($("form"), async (elements, key) => {
  if (!me) { say(t("enterFirst")); ($("by-name").hidden ? $("token") : $("who")).focus(); return; }
  const post = { kind: elements.kind.value, title: elements.title.value.trim() || null, body: elements.body.value };
  say(t("sending"));
  const accepted = editing ? await call("PUT", `posts/${encodeURIComponent(editing)}`, post) : await call("POST", "posts", post, once(key));
  discard(); say(t("waiting"));
  shown = accepted.id;
  await catchUp([accepted.id]);
});
const cancel = () => { discard(); $("body").focus(); };
$("cancel").addEventListener("click", cancel);
$("form").addEventListener("keydown", event => { if (event.key === "Escape" && editing && !event.isComposing) cancel(); });
$("sample").addEventListener("click", () => fill(samples[language]));
$("failing").addEventListener("click", () => fill({ ...samples[language], title: `${samples[language].title} ${setup.rehearsal}` }));
onEnter(async () => {
  await refresh();
  $("body").focus();
}, ({ who, nickname, moderator }) => ({ name: who.value, role: moderator.checked ? "moderator" : "member", nickname: nickname.value.trim() || null }));
$("state").addEventListener("change", () => { posts.clear(); guarded(refresh); });
$("more").onclick = () => guarded(more);
begin({
  service: "every_task", words,
  redraw() {
    if (me) $("me-text").replaceChildren(...t("iAm")(written(me.name), me.role));
    $("by").textContent = setup.extractor ? `${t("by")}: ${setup.extractor}${setup.offline ? t("offline") : ""}` : "";
    $("failing").hidden = !setup.rehearsal;
    drawForm();
    if ($("line").dataset.live) sayLive($("line").dataset.live === "true");
    drawPosts();
    if (shown) guarded(() => show(shown)); else showNothing();
  },
});
// What was missed while nobody listened is asked for; and where the network is there and news are not, now and then.
listen("events", hear, is => { sayLive(is); if (is) guarded(catchUpWithAll); else if (navigator.onLine) catchUpWithAll().catch(() => {}); });
