import { $, begin, button, call, every, guarded, language, make, me, onEnter, onSubmit, once, paged, redraw, request, say, setup, swap, t, written } from "./base.js";

const words = {
  ko: {
    title: "이력서 쓰기", member: "회원", moderator: "관리자", lead: "GitHub 계정의 공개 기록으로 이력서를 씁니다. 줄마다 그것을 증명하는 커밋이나 저장소와 그 말을 달고, 증명이 없는 말은 거절해 이유와 함께 보여 줍니다.",
    mine: "내 이력서", account: "GitHub 계정", written: "쓸 말", askButton: "이력서 쓰기", noResumes: "아직 이력서가 없습니다.",
    offline: account => `언어 모델 없이, 준비된 답변만 있습니다${account ? `: 계정 ${account}, 아래에 보이는 지시` : ""}.`, model: name => `쓰는 모델: ${name}`,
    states: { pending: "쓰는 중…", ready: "다 씀", failed: "실패" }, version: n => `버전 ${n}`, records: n => `기록 ${n}건에서`, open: "열기", opened: name => `${name} 님의 이력서`,
    sections: { summary: "소개", skills: "기술", projects: "한 일" }, unchecked: "증명되지 않음: 숫자와 이름만 확인했고, 링크로 나누지 않음",
    refused: n => `거절한 말 ${n}개`, reasons: { no_record: "그런 기록이 없음 (남의 것이거나 지어낸 것)", not_quoted: "기록에 그 말이 없음", elsewhere: "그 말은 다른 기록에 있음", too_short: "인용이 너무 짧아 증명이 되지 않음", number: "기록의 숫자와 다름", date: "기록의 날짜와 다름", name: "기록에 없는 이름", words: "기록이 그렇게 말하지 않음", no_line: "그런 줄이 없음", unclear: "무엇을 하라는지 알 수 없음", too_long: "너무 김", too_many: "줄이 너무 많음", said_already: "이미 있는 줄" },
    instruction: "어떻게 고칠까요?", editButton: "고친 안 보기", proposal: "이렇게 바뀝니다", accept: "받아들이기", discard: "그만두기", accepted: n => `받아들였습니다: 버전 ${n}`, nothing: "바뀌는 줄이 없습니다.", proposing: "고친 안을 쓰는 중…", given: "지시한 것", look: "고친 안 열기", withdraw: "지시 거두기", withdrawn: "지시를 거두었습니다.", editStates: { pending: "쓰는 중…", proposed: "고친 안이 있음", accepted: "받아들임", failed: "실패" }, noted: "받았습니다. 곧 씁니다.",
    added: "새 줄", removed: "뺀 줄", changed: "고친 줄",
    share: "나눌 링크 만들기", unshare: "나누기 그만", link: "링크 (지금만 보입니다; 새로 만들면 앞의 것은 닫힙니다)", sharedNow: "링크를 만들었습니다.", unshared: "이제 링크로 볼 수 없습니다.", remove: "지우기", deleted: "지웠습니다.", sure: "정말 지울까요? 댓글과 좋아요도 지워집니다.",
    notices: "알림", noNotices: "아직 알림이 없습니다.", like: n => `좋아요 ${n}`, kinds: { like: who => `${who} 님이 이력서를 좋아합니다.`, comment: who => `${who} 님이 댓글을 달았습니다.` },
    comments: "댓글", noComments: "아직 댓글이 없습니다.", more: "이전 것 더 보기", comment: "한마디", commentButton: "댓글 달기", said: "댓글을 달았습니다.", cut: "댓글 지우기", closed: "이 링크로 볼 수 있는 이력서가 없습니다.", enterToLike: "좋아요와 댓글은 들어온 뒤에 할 수 있습니다.",
    retry: "다시 쓰기",
  },
  en: {
    title: "Résumé writer", member: "Member", moderator: "Moderator", lead: "Writes a résumé out of a GitHub account's public records. Every line has the commit or repository that proves it, with its words; what nothing proves is refused, and shown with the reason.",
    mine: "My résumés", account: "GitHub account", written: "Written in", askButton: "Write it", noResumes: "There is no résumé yet.",
    offline: account => `There is no language model, only prepared answers${account ? `: for the account ${account} and the instructions that are shown` : ""}.`, model: name => `Written by ${name}`,
    states: { pending: "being written…", ready: "written", failed: "failed" }, version: n => `version ${n}`, records: n => `from ${n} records`, open: "Open", opened: name => `The résumé of ${name}`,
    sections: { summary: "Summary", skills: "Skills", projects: "Work" }, unchecked: "unproven: only numbers and names were compared; the link does not show it",
    refused: n => `Refused: ${n}`, reasons: { no_record: "there is no such record (somebody else's, or made up)", not_quoted: "the record does not have these words", elsewhere: "the words stand in another record", too_short: "the quote is too short to prove it", number: "the record has another number", date: "the record has another date", name: "the record does not name it", words: "the record does not say it", no_line: "there is no such line", unclear: "it is not clear what to do", too_long: "too long", too_many: "too many lines", said_already: "it is said already" },
    instruction: "What shall be changed?", editButton: "Show the change", proposal: "This would change", accept: "Accept", discard: "Discard", accepted: n => `Accepted: version ${n}`, nothing: "No line changes.", proposing: "The change is being written…", given: "Instructions", look: "Show the change", withdraw: "Withdraw it", withdrawn: "The instruction is withdrawn.", editStates: { pending: "being written…", proposed: "proposed", accepted: "accepted", failed: "failed" }, noted: "Taken. It is written soon.",
    added: "new line", removed: "line taken out", changed: "line changed",
    share: "Make a link", unshare: "Stop sharing", link: "Link (shown only now; a new one closes the last)", sharedNow: "The link is made.", unshared: "The link opens nothing any more.", remove: "Delete", deleted: "Deleted.", sure: "Delete it? Its comments and likes go with it.",
    notices: "News", noNotices: "There is no news yet.", like: n => `Like ${n}`, kinds: { like: who => `${who} likes a résumé of yours.`, comment: who => `${who} has commented.` },
    comments: "Comments", noComments: "Nobody has commented yet.", more: "Show older ones", comment: "Your comment", commentButton: "Comment", said: "Said.", cut: "Delete the comment", closed: "This link opens no résumé.", enterToLike: "Come in to like it and to comment.",
    retry: "Write it again",
  },
};
let current = null, edit = null, visit = null;
let key = /^#shared=(\w+)$/.exec(location.hash)?.[1] ?? null; // behind a #, it is sent to nobody
let isOpen = Boolean(key);
const resumes = paged({ first: () => "resumes?limit=10", draw, button: $("more-resumes") });
const given = paged({ first: () => `resumes/${current.id}/edits?limit=10`, draw, button: $("more-given") });
const notices = paged({ first: () => "notices?limit=20", draw, button: $("more-notices") });
const comments = paged({ first: () => "shared/comments?limit=20", draw, button: $("more-comments"), ask: address => request("GET", address, undefined, { "share-key": key }) });
// What is behind the link of somebody's résumé.
const behind = (method, path, body, headers) => call(method, path, body, { "share-key": key, ...headers });
// A sentence with a person's name in it, of whose language nothing is known.
const named = (sentence, name) => { const [before, after] = sentence("\0").split("\0"); return [before, written(name), after]; };
const day = at => new Date(at).toLocaleString(language, { dateStyle: "short", timeStyle: "short" });
// Only what leads to a web page becomes a link, whatever a record says.
const link = (url, text) => /^https?:\/\//.test(url) ? make("a", { href: url, rel: "noreferrer noopener", target: "_blank" }, text) : make("span", {}, text);
const proof = line => make("span", { className: "proof" }, link(line.url, line.record), " “", written(line.quote), "” ", line.is_said === false && make("span", { className: "tag" }, t("unchecked")));
function sectioned(lines, draw) {
  const parts = [];
  for (const section of ["summary", "skills", "projects"]) {
    const own = lines.filter(line => line.section === section);
    if (own.length) parts.push(make("h3", {}, t("sections")[section]), make("ul", {}, ...own.map(draw)));
  }
  return parts;
}
const shown = line => make("li", { className: "line" }, written(line.text), proof(line));
const turned = one => make("li", {}, make("del", { lang: "" }, one.text || "–"), " ", make("strong", {}, t("reasons")[one.reason] ?? one.reason), one.elsewhere ? ` [${one.elsewhere}]` : "", (one.record || one.quote) && make("span", { className: "proof", lang: "" }, `${one.record} “${one.quote}”`));
const changed = change => make("li", {}, change.fate !== "same" && make("span", { className: "tag" }, t(change.fate)), " ", ...change.words.map(word => make(word.fate === "added" ? "ins" : word.fate === "removed" ? "del" : "span", { lang: "" }, word.text)), proof(change));

function draw() {
  swap($("resumes"), resumes.rows, ...resumes.rows.map(row => {
    const open = button(row.id, t("open"), () => guarded(() => show(row.id)), { ariaLabel: `${t("open")}: ${row.account}, ${day(row.at)}` });
    return make("li", {}, make("strong", {}, row.account), make("span", { className: `tag${row.state === "failed" ? " bad" : ""}` }, t("states")[row.state]), row.version > 0 && make("span", { className: "muted" }, t("version")(row.version)), open);
  }));
  $("no-resumes").hidden = resumes.rows.length > 0;
  swap($("notices"), notices.rows, ...notices.rows.map(notice => make("li", {}, ...named(t("kinds")[notice.kind], notice.person), " ", make("span", { className: "muted" }, day(notice.at)))));
  $("no-notices").hidden = notices.rows.length > 0;
  if (current) {
    const { resume } = current;
    $("one-h").replaceChildren(...named(t("opened"), resume?.name ?? current.account));
    $("state").textContent = current.failure ?? [t("states")[current.state], current.version ? t("version")(current.version) : "", current.records ? t("records")(current.records) : ""].filter(Boolean).join(" · ");
    swap($("lines"), resume?.lines, ...sectioned(resume?.lines ?? [], shown));
    $("refused-box").hidden = !resume?.refused.length;
    $("refused-h").textContent = t("refused")(resume?.refused.length ?? 0);
    swap($("refused"), resume?.refused, ...(resume?.refused ?? []).map(turned));
    $("edit-form").hidden = $("share").hidden = current.state !== "ready";
    $("unshare").hidden = !current.shared;
    $("retry").hidden = current.state !== "failed";
    swap($("samples"), setup.instructions, ...setup.instructions.map(text => button(text, text, () => { $("instruction").value = text; $("instruction").focus(); }, { lang: "" })));
  }
  $("given-box").hidden = !given.rows.length;
  if (current) swap($("given"), [given.rows, edit?.id, current.version], ...given.rows.map(row => {
    const look = row.state === "proposed" && row.version === current.version && row.id !== edit?.id && button(`look ${row.id}`, t("look"), () => guarded(() => consider(row.id)), { ariaLabel: `${t("look")}: ${row.instruction}` });
    const back = row.state !== "accepted" && button(`withdraw ${row.id}`, t("withdraw"), () => guarded(() => withdraw(row.id)), { ariaLabel: `${t("withdraw")}: ${row.instruction}` });
    return make("li", {}, written(row.instruction), " ", make("span", { className: `tag${row.state === "failed" ? " bad" : ""}` }, t("editStates")[row.state]), make("span", { className: "muted" }, t("version")(row.version)), row.failure && ` ${row.failure}`, look, back);
  }));
  $("proposal").hidden = edit?.state !== "proposed";
  if (edit?.state === "proposed") {
    const told = edit.changes.filter(change => change.fate !== "same");
    swap($("changes"), [edit.id, edit.changes], ...(told.length ? told.map(changed) : [make("li", {}, t("nothing"))]));
    swap($("not-done"), [edit.id, edit.not_done], ...edit.not_done.map(turned));
    $("accept").hidden = !told.length;
  }
  if (key) {
    $("shared-h").replaceChildren(...(visit ? named(t("opened"), visit.name) : [t("closed")]));
    swap($("shared-lines"), visit?.lines, ...sectioned(visit?.lines ?? [], shown));
    $("like").hidden = $("comments-h").hidden = !visit;
    if (visit) { $("like").textContent = t("like")(visit.likes); $("like").ariaPressed = String(visit.liked); $("like").disabled = !me || visit.own; $("like").title = me ? "" : t("enterToLike"); }
    swap($("comments"), [comments.rows, visit?.own], ...comments.rows.map(comment => {
      const cut = me && (comment.author === me.name || visit?.own || me.role === "moderator") && button(`cut ${comment.number}`, t("cut"), () => guarded(async () => { await behind("DELETE", `shared/comments/${comment.number}`); comments.rows = comments.rows.filter(one => one !== comment); await refresh(); }));
      return make("li", {}, make("strong", { lang: "" }, comment.author), " ", make("span", { className: "muted" }, day(comment.at)), make("p", { lang: "" }, comment.text), cut);
    }));
    $("no-comments").hidden = !visit || comments.rows.length > 0;
    $("comment-form").hidden = !me || !visit;
  }
}
async function show(id) {
  if (current?.id !== id) { edit = null; given.clear(); $("link-box").hidden = true; }
  current = await call("GET", `resumes/${id}`);
  redraw();
  $("one-h").focus();
  await follow();
  redraw();
}
/** Looks what became of instructions; where none is looked at, the newest one that is open is. */
async function follow() {
  if (current?.state !== "ready") return;
  const { id } = current;
  await given.refresh();
  if (current?.id !== id) return; // another was opened meanwhile
  const waited = edit?.state === "pending";
  edit ??= given.rows.find(one => ["pending", "proposed"].includes(one.state) && one.version === current.version) ?? null;
  if (!edit || !waited && edit.changes) return;
  try { edit = await call("GET", `resumes/${id}/edits/${edit.id}`); } catch (error) { if (error.status !== 404) throw error; edit = null; }
  if (edit?.state === "failed") { if (waited) say(edit.failure, true); edit = null; }
  if (waited && edit?.state === "proposed") { say(""); redraw(); $("proposal-h").focus(); }
}
async function consider(id) {
  edit = await call("GET", `resumes/${current.id}/edits/${id}`);
  redraw();
  $("proposal-h").focus();
}
async function withdraw(id) {
  await call("DELETE", `resumes/${current.id}/edits/${id}`);
  if (edit?.id === id) edit = null;
  say(t("withdrawn"));
  await refresh();
  $("instruction").focus();
}
async function refresh() {
  if (me) await Promise.all([resumes.refresh(), notices.refresh()]);
  if (current) {
    try { current = await call("GET", `resumes/${current.id}`); } catch (error) { if (error.status !== 404) throw error; current = null; }
    await follow();
  }
  if (isOpen) {
    try { visit = await behind("GET", "shared"); await comments.refresh(); } catch (error) {
      if (error.status !== 404) throw error;
      // A link that was taken back stays so.
      isOpen = false; visit = null; comments.clear();
    }
  }
  redraw();
}
onEnter(async () => {
  await refresh();
  (key ? $("shared-h") : $("mine-h")).focus();
});
onSubmit($("ask-form"), async (form, name) => {
  const { id } = await call("POST", "resumes", { account: form.account.value.trim(), language: form.written.value }, once(name));
  say(t("noted"));
  await show(id);
  await refresh();
});
onSubmit($("edit-form"), async (form, name) => {
  try { edit = { state: "pending", ...(await call("POST", `resumes/${current.id}/edits`, { instruction: form.instruction.value, version: current.version }, once(name))) }; }
  catch (error) { if (error.status === 409) await refresh(); throw error; }
  say(t("proposing"));
  redraw();
});
$("accept").onclick = () => guarded(async () => {
  try { current = await call("POST", `resumes/${current.id}/edits/${edit.id}/accept`); }
  catch (error) { if (error.status === 409) { edit = null; await refresh(); } throw error; }
  edit = null;
  $("edit-form").reset();
  say(t("accepted")(current.version));
  await refresh();
  $("one-h").focus();
});
$("discard").onclick = () => guarded(() => withdraw(edit.id));
$("retry").onclick = () => guarded(async () => { await call("POST", `resumes/${current.id}/retry`); say(t("noted")); await refresh(); $("one-h").focus(); });
$("share").onclick = () => guarded(async () => {
  const made = await call("POST", `resumes/${current.id}/share`);
  $("link").value = `${location.origin}${location.pathname}#shared=${made.key}`;
  $("link-box").hidden = false;
  say(t("sharedNow"));
  await refresh();
  $("link").focus(); $("link").select();
});
$("unshare").onclick = () => guarded(async () => { await call("DELETE", `resumes/${current.id}/share`); $("link-box").hidden = true; say(t("unshared")); await refresh(); $("share").focus(); });
$("remove").onclick = () => guarded(async () => {
  if (!confirm(t("sure"))) return;
  await call("DELETE", `resumes/${current.id}`);
  current = edit = null;
  given.clear();
  say(t("deleted"));
  await refresh();
  $("mine-h").focus();
});
$("like").onclick = () => guarded(async () => { Object.assign(visit, await behind("PUT", "shared/like", { like: !visit.liked })); draw(); });
onSubmit($("comment-form"), async (form, name) => { await behind("POST", "shared/comments", { text: form.text.value }, once(name)); form.text.value = ""; say(t("said")); await refresh(); });
addEventListener("hashchange", () => location.reload());
begin({
  service: "resume_writer", words, reworded: refresh,
  redraw() {
    $("mine").hidden = $("told").hidden = !me;
    $("one").hidden = !current;
    $("shared").hidden = !key;
    $("comment-form").hidden = !me;
    $("by").textContent = setup.model ? (setup.offline ? t("offline")(setup.account) : t("model")(setup.model)) : "";
    draw();
  },
  left() { current = edit = null; given.clear(); resumes.clear(); notices.clear(); },
  async begun() {
    if (setup.account && !$("account").value) $("account").value = setup.account;
    document.querySelector(`[name=written][value=${language}]`).checked = true;
    await refresh();
  },
});
every(2_000, async () => { if (me || isOpen) await refresh(); });
