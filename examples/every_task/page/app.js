"use strict";
const words = {
  ko: {
    skip: "본문으로 가기", title: "글에서 할 일 찾기", lead: "성공담이나 질문을 붙여 넣으면 그 안의 할 일을 찾아, 근거가 된 문장과 함께 보여 주고, 질문과 성공담의 할 일을 서로 잇습니다.",
    write: "글쓰기", kind: "종류", story: "성공담", question: "질문", headline: "제목 (없어도 됩니다)", body: "본문", submit: "할 일 찾기", sample: "예시 넣기",
    result: "찾은 할 일", nothing: "아직 글이 없습니다. 왼쪽에 붙여 넣거나 아래에서 고르세요.", posts: "올라온 글", metrics: "지표", none: "이 글에는 할 일이 없습니다.",
    pending: "찾는 중", extracted: "찾음", failed: "실패", retry: "다시 시도", remove: "지우기", removed: "보던 글이 지워졌습니다.", edit: "고치기", update: "고친 글 올리기", cancel: "고치지 않기", matches: "이 일을 해 본 글", untitled: "(제목 없음)", sending: "보내는 중…",
    waiting: "할 일을 찾고 있습니다…", found: n => `할 일 ${n}개를 찾았습니다.`, trouble: "서버에 닿지 않습니다. 잠시 뒤 다시 해 보세요.", reason: "까닭", by: "찾는 이", after: "먼저 할 일", difficulties: { easy: "쉬움", medium: "보통", hard: "어려움" }, minutes: "분", due: "까지",
    tries: "시도", again: "다시 시도하면", doubt: "글과 다릅니다", parts: { title: "제목", detail: "내용", due: "기한", duration_minutes: "걸리는 시간", frequency: "횟수" },
    enter: "들어가기", who: "이름", nickname: "다른 사람에게 보일 별명 (없어도 됩니다)", moderator: "운영자로 (남의 글도 지우고 다시 시도합니다)", token: "토큰", enterButton: "들어가기", leave: "나가기", show: "보기", all: "모두",
    iAm: (name, role) => [name, `${role === "moderator" ? " (운영자)" : ""}(으)로 들어와 있습니다.`], enterFirst: "글을 쓰려면 먼저 들어가세요.",
  },
  en: {
    skip: "Skip to content", title: "Every task in a post", lead: "Paste a success story or a question: its tasks are found, each with the sentence it came from, and questions are matched with stories that did them.",
    write: "Write", kind: "Kind", story: "Story", question: "Question", headline: "Title (optional)", body: "Text", submit: "Find tasks", sample: "Use a sample",
    result: "Tasks found", nothing: "No post yet. Paste one, or choose one below.", posts: "Posts", metrics: "Metrics", none: "This post has no tasks.",
    pending: "working", extracted: "done", failed: "failed", retry: "Retry", remove: "Delete", removed: "The post that was shown is deleted.", edit: "Edit", update: "Save the edit", cancel: "Discard the edit", matches: "Stories that did this", untitled: "(no title)", sending: "Sending…",
    waiting: "Looking for tasks…", found: n => `${n} task${n === 1 ? "" : "s"} found.`, trouble: "The server cannot be reached. Try again in a moment.", reason: "Reason", by: "Found by", after: "after", difficulties: { easy: "easy", medium: "medium", hard: "hard" }, minutes: "min", due: "by",
    tries: "tries", again: "try again", doubt: "The post says otherwise", parts: { title: "title", detail: "detail", due: "due day", duration_minutes: "duration", frequency: "frequency" },
    enter: "Enter", who: "Name", nickname: "Nickname that others see (optional)", moderator: "As a moderator (who deletes and retries what others wrote, too)", token: "Token", enterButton: "Enter", leave: "Leave", show: "Show", all: "all",
    iAm: (name, role) => ["You are ", name, `${role === "moderator" ? " (moderator)" : ""}.`], enterFirst: "Enter first, to write.",
  },
};
const samples = {
  ko: { kind: "question", title: "하프 마라톤 처음인데 어떻게 준비하죠?", body: "10월에 하프 마라톤을 뛰고 싶습니다. 일주일에 세 번 달리려고 하는데 무릎이 걱정이에요.\n\n- 하체 근력 키우기\n- 러닝화 새로 사기" },
  en: { kind: "story", title: "Sub-4 marathon at 45", body: "What worked for me:\n* Ran four times a week\n* Did strength training every Tuesday\n\nI also joined a running club." },
};
let language = (localStorage.getItem("language") || navigator.language || "ko").startsWith("ko") ? "ko" : "en";
let shown = null;
let editing = null;
let sending = false;
let name = null; // of the post that is being sent, so that sending it again does not make two
let me = JSON.parse(sessionStorage.getItem("me") ?? "null"); // the name, the role and the token of whoever entered
let development = false;
let drawn = ""; // what `result` shows, so that news of other posts neither redraws it nor has it read out again
const $ = id => document.getElementById(id);
const t = key => words[language][key];
const make = (tag, props = {}, ...children) => { const node = Object.assign(document.createElement(tag), props); node.append(...children); return node; };

// Shows other children in a box. Whoever stood within it by keyboard stays: on the same thing, else in the same row, else on the heading.
function swap(box, ...children) {
  const at = box.contains(document.activeElement) ? document.activeElement : null;
  const row = at ? [...box.children].findIndex(child => child.contains(at)) : -1;
  box.replaceChildren(...children);
  if (!at) return;
  const same = at.dataset.key && [...box.querySelectorAll("button")].find(button => button.dataset.key === at.dataset.key);
  const near = box.children[Math.min(row, box.children.length - 1)]?.querySelector("button");
  (same || near || $(`${box.id}-h`)).focus();
}
const button = (key, text, onclick, props = {}) => { const node = make("button", { type: "button", onclick, ...props }, text); node.dataset.key = key; return node; };

function translate() {
  document.documentElement.lang = language;
  document.title = t("title");
  for (const node of document.querySelectorAll("[data-t]")) node.textContent = t(node.dataset.t);
  const other = $("language");
  other.textContent = language === "ko" ? "English" : "한국어";
  other.lang = language === "ko" ? "en" : "ko";
  if (editing) $("form").querySelector(".main").textContent = t("update");
  $("cancel").hidden = !editing;
  $("enter-form").hidden = Boolean(me);
  $("me").hidden = !me;
  if (me) $("me-text").replaceChildren(...t("iAm")(make("span", { lang: "" }, me.name), me.role));
}
const mine = author => Boolean(me) && author?.id === me.name;
const inCharge = author => mine(author) || me?.role === "moderator";

async function call(method, path, body, more = {}) {
  const known = me ? { authorization: `Bearer ${me.token}`, ...more } : more;
  const answer = await fetch(path, { method, headers: body ? { "content-type": "application/json", ...known } : known, body: body && JSON.stringify(body) });
  if (answer.status === 401 && me) { me = null; sessionStorage.removeItem("me"); translate(); }
  const value = answer.headers.get("content-type")?.includes("json") ? await answer.json() : null;
  if (!answer.ok) throw Object.assign(new Error(value?.detail || value?.title || `${answer.status}`), { status: answer.status });
  return value;
}

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

// What people wrote, in whichever language that is.
const written = text => make("span", { lang: "" }, text);
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
  const matches = view.state === "extracted" && view.post.kind === "question" ? await call("GET", `posts/${encodeURIComponent(id)}/matches`).catch(() => []) : []; // the tasks count more
  const now = JSON.stringify([view, matches, language]);
  if (shown !== id) return;
  const failure = view.failure;
  const why = failure && [`${t("failed")} — ${t("reason")}: ${failure.reason}`, failure.message, `${t("tries")}: ${failure.attempts}`, failure.retry && `${t("again")}: ${failure.retry}`].filter(Boolean).join(" · ");
  if (view.state !== "pending") $("status").textContent = why || t("found")(view.tasks.length);
  if (drawn === now) return;
  drawn = now;
  const result = $("result");
  if (view.state === "pending") { swap(result, make("p", { className: "muted" }, t("waiting"))); return; }
  if (view.state === "failed") {
    swap(result, make("p", { className: "bad" }, why), ...(inCharge(view.post.author) ? [button("retry", t("retry"), () => retry(id))] : []));
    return;
  }
  const list = make("ol", { className: "tasks" });
  for (const task of view.tasks) {
    const item = make("li", {}, button(`task ${task.order}`, task.title, () => point(task.order), { lang: "" }), make("span", { className: "facts" }, ...facts(task)));
    if (task.doubts.length) item.append(make("span", { className: "facts bad" }, `⚠ ${t("doubt")}: ${task.doubts.map(part => t("parts")[part] || part).join(", ")}`));
    const match = matches.find(match => match.need.order === task.order);
    if (match) item.append(make("span", { className: "facts" }, `${t("matches")}: `, match.story_title ? written(match.story_title) : t("untitled"), " → ", written(match.deed.title), ` (${Math.round(match.score * 100)} %)`));
    list.append(item);
  }
  const text = view.post.title ? `${view.post.title}\n\n${view.post.body}` : view.post.body;
  swap(result, highlighted(text, view.tasks), view.tasks.length ? list : make("p", { className: "muted" }, t("none")));
}

function point(order) {
  const marks = [...document.querySelectorAll("mark")];
  for (const mark of marks) mark.classList.toggle("on", mark.dataset.tasks.split(" ").includes(String(order)));
  marks.find(mark => mark.classList.contains("on"))?.scrollIntoView({ block: "nearest" });
}

async function refresh() {
  const posts = [];
  const state = $("state").value ? `&state=${$("state").value}` : "";
  for (let page; !page || page.length === 500;) {
    page = await call("GET", posts.length ? `posts?limit=500${state}&after=${encodeURIComponent(posts.at(-1).id)}` : `posts?limit=500${state}`);
    posts.push(...page);
  }
  const posted = post => post.posted_at ? Date.parse(post.posted_at) : 0;
  posts.sort((one, other) => posted(other) - posted(one)); // newest first
  swap($("posts"), ...posts.map(post => make("li", {},
    button(`show ${post.id}`, post.title || t("untitled"), () => guarded(() => show(post.id)), { className: "grow", lang: post.title ? "" : language }),
    make("span", { className: "muted", lang: "" }, post.author?.nickname ?? post.author?.id ?? ""), make("span", { className: "tag" }, t(post.kind)), make("span", { className: "tag" + (post.state === "failed" ? " bad" : "") }, t(post.state)),
    ...(mine(post.author) ? [button(`edit ${post.id}`, t("edit"), () => edit(post.id), { ariaLabel: `${t("edit")}: ${post.title || post.id}` })] : []),
    ...(inCharge(post.author) ? [button(`remove ${post.id}`, t("remove"), () => remove(post.id), { ariaLabel: `${t("remove")}: ${post.title || post.id}` })] : []))));
}

async function guarded(work) {
  try { await work(); } catch (error) { $("status").textContent = error instanceof TypeError ? t("trouble") : error.message; }
}
const retry = id => guarded(async () => { await call("POST", `posts/${encodeURIComponent(id)}/retry`); await refresh(); await show(id); });
const remove = id => guarded(async () => {
  await call("DELETE", `posts/${encodeURIComponent(id)}`);
  forget(id);
  await refresh();
});
function forget(id) {
  if (editing === id) leave();
  if (shown !== id) return;
  shown = null; drawn = "";
  swap($("result"), make("p", { className: "muted" }, t("nothing")));
  $("status").textContent = t("removed");
}
const leave = () => { editing = null; $("form").reset(); translate(); };
const fill = post => { const form = $("form"); form.elements.kind.value = post.kind; form.elements.title.value = post.title || ""; form.elements.body.value = post.body; };
const edit = id => guarded(async () => { const view = await call("GET", `posts/${encodeURIComponent(id)}`); fill(view.post); editing = id; translate(); $("body").focus(); });

$("form").addEventListener("submit", event => {
  event.preventDefault();
  if (sending) return;
  if (!me) { $("status").textContent = t("enterFirst"); ($("by-name").hidden ? $("token") : $("who")).focus(); return; }
  const form = event.target, submit = form.querySelector(".main");
  const post = { kind: form.elements.kind.value, title: form.elements.title.value.trim() || null, body: form.elements.body.value };
  // Not `disabled`, which would take the focus from it.
  sending = true; submit.ariaDisabled = "true";
  $("status").textContent = t("sending");
  guarded(async () => {
    const accepted = editing ? await call("PUT", `posts/${encodeURIComponent(editing)}`, post) : await call("POST", "posts", post, { "idempotency-key": name ??= `${Date.now()}-${Math.random()}` });
    name = null;
    leave(); $("status").textContent = t("waiting");
    await refresh(); await show(accepted.id);
  }).finally(() => { sending = false; submit.ariaDisabled = null; });
});
$("form").addEventListener("input", () => { name = null; });
const cancel = () => { leave(); $("body").focus(); };
$("cancel").addEventListener("click", cancel);
$("form").addEventListener("keydown", event => { if (event.key === "Escape" && editing && !event.isComposing) cancel(); });
$("sample").addEventListener("click", () => fill(samples[language]));
$("language").addEventListener("click", () => { language = language === "ko" ? "en" : "ko"; localStorage.setItem("language", language); $("status").textContent = ""; translate(); guarded(async () => { await about(); await refresh(); if (shown) await show(shown); }); });
const about = async () => { const who = await call("GET", "about"); development = who.development; $("by-name").hidden = !development; $("by-token").hidden = development; $("by").textContent = `${t("by")}: ${who.extractor}${who.offline ? (language === "ko" ? " — 언어 모델이 아니라 규칙으로 찾습니다" : " — rules standing in for a language model") : ""}`; };
$("enter-form").addEventListener("submit", event => {
  event.preventDefault();
  const { who, nickname, moderator, token } = event.target.elements;
  guarded(async () => {
    const given = development ? (await call("POST", "tokens", { name: who.value, role: moderator.checked ? "moderator" : "member", nickname: nickname.value.trim() || null })).token : token.value.trim();
    const claims = JSON.parse(new TextDecoder().decode(Uint8Array.from(atob(given.split(".")[1].replaceAll("-", "+").replaceAll("_", "/")), letter => letter.charCodeAt(0))));
    me = { token: given, name: claims.sub, role: claims.role };
    sessionStorage.setItem("me", JSON.stringify(me));
    translate();
    await refresh();
    $("body").focus();
  });
});
$("leave").addEventListener("click", () => { me = null; sessionStorage.removeItem("me"); translate(); guarded(refresh); $("enter-h").focus(); });
$("state").addEventListener("change", () => guarded(refresh));
translate();
guarded(async () => { await about(); await refresh(); });
const events = new EventSource("events");
for (const name of ["accepted", "extracted", "failed", "missed"]) events.addEventListener(name, () => guarded(async () => { await refresh(); if (shown) await show(shown); }));
events.addEventListener("withdrawn", event => { forget(JSON.parse(event.data).post_id); guarded(refresh); });
events.addEventListener("started", event => { if (JSON.parse(event.data).post_id === shown) $("status").textContent = t("waiting"); });
