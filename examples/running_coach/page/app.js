import { $, ask, begin, button, call, eventsOf, failureKind, make, paged, setup, t } from "./base.js";

const words = {
  ko: {
    skip: "질문으로 가기", title: "러닝 코치", lead: "저장된 달리기 지식으로 답하고, 문장마다 출처를 보여 줍니다. 출처에 없는 말은 표시하고, 아는 것이 없으면 없다고 말합니다.",
    chat: "대화", question: "질문", send: "물어보기", stop: "그만", fresh: "새 대화", sources: "출처", nosource: "답이 오면 출처가 여기에 보입니다.", knowledge: "지식 관리",
    token: "관리자 토큰", id: "문서 이름 (예: ko/tape)", headline: "제목 (파일은 없어도 됩니다)", file: "파일 (글, 마크다운, HTML, PDF)", text: "또는 본문 (마크다운)", save: "저장", either: "파일을 고르거나 본문을 쓰세요.", titled: "본문에는 제목이 있어야 합니다.", open: "원문에서 보기", more: "더 보기", remove: "지우기", removed: "지웠습니다.", close: "닫기", waiting: "코치가 찾아보고 있습니다…", writing: "코치가 쓰고 있습니다…",
    done: (cited, doubted) => `답이 끝났습니다. 출처를 단 문장 ${cited}개${doubted ? `, 그중 출처와 다른 문장 ${doubted}개` : ""}.`, none: "아는 것이 없어 답하지 않았습니다.", spent: "오늘 언어 모델에 물을 수 있는 만큼을 다 써서 자료의 문장을 옮겼습니다.", unreachable: "지금 언어 모델에 연결할 수 없어 자료의 문장을 옮겼습니다.", stopped: "멈췄습니다.", 
    broke: "답이 끊겼습니다", doubt: "출처에 없음", source: "출처", saved: "저장했습니다.", by: n => `문서 ${n}개에서 답합니다.`, model: "쓰는 이", offline: "언어 모델 없이 자료의 문장을 그대로 옮깁니다.",
    samples: ["계단 내려갈 때 무릎 앞쪽이 아파요", "하프 마라톤은 몇 주 준비하나요?", "김치찌개는 어떻게 끓이나요?"],
  },
  en: {
    skip: "Skip to the question", title: "Running coach", lead: "Answers from stored running knowledge and shows the source of each sentence. What no source says is marked, and what is not known is said to be unknown.",
    chat: "Conversation", question: "Question", send: "Ask", stop: "Stop", fresh: "New conversation", sources: "Sources", nosource: "Sources appear here with an answer.", knowledge: "Manage knowledge",
    token: "Admin token", id: "Name of the document (like en/tape)", headline: "Title (a file may do without)", file: "File (text, Markdown, HTML, PDF)", text: "Or its text (Markdown)", save: "Save", either: "Choose a file or write a text.", titled: "A text needs a title.", open: "Read it in its place", more: "Show more", remove: "Remove", removed: "Removed.", close: "Close", waiting: "The coach is looking…", writing: "The coach is writing…",
    done: (cited, doubted) => `Answered. ${cited} sentence${cited === 1 ? "" : "s"} with a source${doubted ? `, ${doubted} of them not borne out by it` : ""}.`, none: "Nothing is known, so nothing was answered.", spent: "The language model answers no more questions today, so these are sentences of the sources.", unreachable: "The language model cannot be reached just now, so these are sentences of the sources.", stopped: "Stopped.", 
    broke: "The answer broke off", doubt: "not in the source", source: "Source", saved: "Saved.", by: n => `Answers from ${n} documents.`, model: "Written by", offline: "There is no language model: sentences of the sources, word for word.",
    samples: ["The outside of my knee hurts", "When should I take gels in a race?", "Who won the 2012 Olympic marathon?"],
  },
};
let conversation = crypto.randomUUID();
let answers = []; // of this conversation, to be drawn anew in the other language
let stored = null; // how many documents are stored, once that is known
let running = null; // the AbortController of the answer that is being read
const encoder = new TextEncoder(), decoder = new TextDecoder();

// Writes text with its marks as links to the sources; text only, whatever a model wrote.
function marked(text, answer) {
  const parts = [];
  for (const piece of text.split(/(\[\d+\])/)) {
    const number = /^\[(\d+)\]$/.exec(piece)?.[1];
    if (!number) { parts.push(piece); continue; }
    parts.push(make("sup", {}, make("a", { href: `#source-${number}`, ariaLabel: `${t("source")} ${number}`, onclick: event => { event.preventDefault(); point(answer, number); } }, number)));
  }
  return parts;
}

// Draws the answer anew from all that is known of it. Spans are bytes.
function draw(answer) {
  const bytes = encoder.encode(answer.text), cut = (from, to) => decoder.decode(bytes.slice(from, to));
  const parts = [];
  let at = 0;
  for (const citation of answer.citations.filter(citation => citation.verdict.unsupported)) {
    parts.push(...marked(cut(at, citation.span.start), answer));
    parts.push(make("mark", { className: "doubt" }, ...marked(cut(citation.span.start, citation.span.end), answer), make("small", {}, ` (${t("doubt")})`)));
    at = citation.span.end;
  }
  parts.push(...marked(cut(at), answer));
  answer.node.replaceChildren(...parts);
  $("log").scrollTop = $("log").scrollHeight;
}

function showSources(answer) {
  const item = source => {
    const evidence = answer.citations.flatMap(citation => citation.evidence).filter(evidence => evidence.source === source.number).map(evidence => evidence.span).sort((a, b) => a.start - b.start);
    const bytes = encoder.encode(source.text), cut = (from, to) => decoder.decode(bytes.slice(from, to));
    const text = make("p", { lang: "" });
    let at = 0;
    for (const span of evidence) {
      const [from, to] = [span.start - source.span.start, span.end - source.span.start];
      if (from < at || to > bytes.length) continue;
      text.append(cut(at, from), make("mark", {}, cut(from, to)));
      at = to;
    }
    text.append(cut(at));
    return make("li", { id: `source-${source.number}`, tabIndex: -1, value: source.number }, make("strong", { lang: "" }, source.place), ` (${source.document})`, text,
      make("button", { type: "button", onclick: () => openWhole(source.document, source.span) }, t("open")));
  };
  const cited = new Set(answer.citations.flatMap(citation => citation.sources));
  const wanted = answer.isOver ? answer.sources.filter(source => cited.has(source.number)) : answer.sources;
  $("sources").replaceChildren(...wanted.map(item));
  $("nosource").hidden = wanted.length > 0;
}

// Shows a document whole, with the passage marked and in view. Spans are bytes.
async function openWhole(id, span) {
  let whole;
  try {
    const response = await ask(`knowledge/${encodeURIComponent(id)}`);
    whole = await response.json();
    if (!response.ok) throw new Error(whole.detail);
  } catch (error) { $("status").textContent = error instanceof TypeError ? t("trouble") : error.message; return; }
  $("whole-h").textContent = whole.title;
  let above = "";
  $("whole-body").replaceChildren(...whole.sections.flatMap(section => {
    const bytes = encoder.encode(section.text), cut = (from, to) => decoder.decode(bytes.slice(from, to));
    const clamp = at => Math.min(Math.max(at - section.start, 0), bytes.length);
    const [from, to] = span ? [clamp(span.start), clamp(span.end)] : [0, 0];
    const path = section.headings.join(" › "), head = path && path !== above ? [make("h3", {}, path)] : [];
    above = path;
    return [...head, make("p", {}, cut(0, from), ...(to > from ? [make("mark", {}, cut(from, to))] : []), cut(to))];
  }));
  $("whole").showModal();
  $("whole-h").focus();
  $("whole-body").querySelector("mark")?.scrollIntoView({ block: "center" });
}

$("close").addEventListener("click", () => $("whole").close());

function point(answer, number) {
  showSources(answer);
  document.querySelectorAll("#sources .on").forEach(item => item.classList.remove("on"));
  const item = $(`source-${number}`);
  if (item) { item.classList.add("on"); item.focus(); item.scrollIntoView({ block: "nearest" }); }
}

function take(answer, event) {
  switch (event.type) {
    case "retrieved": answer.sources = event.sources; showSources(answer); $("status").textContent = t("writing"); break;
    case "delta": answer.text += event.text; draw(answer); break;
    case "citation": answer.citations.push(event); draw(answer); break;
    case "done": {
      answer.isOver = true; draw(answer); showSources(answer);
      $("status").textContent = event.outcome === "not_found" ? t("none") : t("done")(event.cited, event.unsupported);
      if (setup.model && event.outcome === "extracted") $("status").textContent += ` ${t(event.unreachable ? "unreachable" : "spent")}`;
      break;
    }
    case "error": answer.isOver = true; $("status").textContent = `${t("broke")}: ${failureKind(event.kind)}`; break;
  }
}

async function put(question) {
  const controller = new AbortController(), signal = controller.signal;
  running = controller;
  const log = $("log");
  const answer = { text: "", sources: [], citations: [], isOver: false, last: null, node: make("p", { className: "said", lang: "" }) };
  answers.push(answer);
  log.append(make("p", { className: "asked", lang: "" }, question), answer.node);
  log.ariaBusy = "true";
  $("stop").hidden = false;
  $("status").textContent = t("waiting");
  try {
    let response = await ask("answers", { method: "POST", headers: { "content-type": "application/json" }, body: JSON.stringify({ question, conversation }), signal });
    if (!response.ok) throw new Error((await response.json()).detail);
    for (let tries = 0; ; tries += 1) {
      try { for await (const event of eventsOf(response)) if (event.data) { answer.last = event.id; take(answer, JSON.parse(event.data)); } } catch (error) { if (signal.aborted || tries >= 5) throw error; }
      if (answer.isOver) break;
      if (tries >= 5) throw new TypeError("the connection broke");
      // the connection broke: go on after what was seen
      await new Promise(wake => setTimeout(wake, 300 * tries));
      response = await ask("answers", { headers: { "last-event-id": answer.last || "" }, signal });
      if (response.status !== 200) throw new TypeError("the answer is gone");
    }
  } catch (error) {
    $("status").textContent = signal.aborted ? t("stopped") : error instanceof TypeError ? t("trouble") : error.message;
  } finally {
    log.ariaBusy = null; // now it is read out, once and whole
    $("stop").hidden = true;
    if (running === controller) running = null;
    $("question").focus();
  }
}

$("ask").addEventListener("submit", event => {
  event.preventDefault();
  const question = $("question").value.trim();
  if (!question || running) return;
  $("question").value = "";
  put(question);
});
$("question").addEventListener("keydown", event => { if (event.key === "Enter" && !event.shiftKey && !event.isComposing) { event.preventDefault(); $("ask").requestSubmit(); } });
document.addEventListener("keydown", event => { if (event.key === "Escape") running?.abort(); });
$("stop").addEventListener("click", () => running?.abort());
$("fresh").addEventListener("click", () => { running?.abort(); conversation = crypto.randomUUID(); answers = []; $("log").replaceChildren(); $("sources").replaceChildren(); $("nosource").hidden = false; $("status").textContent = ""; $("question").focus(); });

const documents = paged({ first: () => "knowledge", draw: drawDocuments, button: $("more") });
async function refresh() {
  [{ documents: stored }] = await Promise.all([call("GET", "about"), documents.refresh()]);
  drawDocuments();
}
function drawDocuments() {
  if (stored !== null) $("by").textContent = `${t("by")(stored)} ${setup.model ? `${t("model")}: ${setup.model}.` : t("offline")}`;
  $("documents").replaceChildren(...documents.rows.map(one => make("li", {},
    make("button", { type: "button", className: "plain", lang: "", onclick: () => openWhole(one.id) }, one.title), make("span", { className: "muted" }, ` ${one.id} `),
    make("button", { type: "button", ariaLabel: `${t("remove")}: ${one.title}`, onclick: () => remove(one.id) }, t("remove")))));
}

const bearer = () => ({ authorization: `Bearer ${$("token").value.trim()}` });
// By the name's end, because browsers know no type for Markdown.
const kinds = { txt: "text/plain", md: "text/markdown", markdown: "text/markdown", html: "text/html", htm: "text/html", pdf: "application/pdf" };

async function send(path, request, said) {
  try {
    const response = await ask(path, request);
    const problem = response.ok ? null : await response.json();
    $("stored").textContent = problem ? `${problem.detail}. ${problem.hint ?? ""}` : said;
    if (response.ok) await refresh();
    return response.ok;
  } catch { $("stored").textContent = t("trouble"); return false; }
}
const remove = id => send(`knowledge/${encodeURIComponent(id)}`, { method: "DELETE", headers: bearer() }, t("removed"));

$("store").addEventListener("submit", async event => {
  event.preventDefault();
  const form = event.target.elements, file = form.file.files[0], title = form.title.value.trim();
  if (!file && !form.text.value.trim()) { $("stored").textContent = t("either"); return; }
  if (!file && !title) { $("stored").textContent = t("titled"); return; }
  const kind = file ? kinds[file.name.split(".").pop().toLowerCase()] ?? file.type : "application/json";
  const query = file && title ? `?title=${encodeURIComponent(title)}` : "";
  const request = { method: "PUT", headers: { "content-type": kind, ...bearer() }, body: file ?? JSON.stringify({ title, text: form.text.value }) };
  if (await send(`knowledge/${encodeURIComponent(form.id.value.trim())}${query}`, request, t("saved"))) for (const field of [form.text, form.title, form.file]) field.value = "";
});
begin({
  service: "running_coach", words,
  redraw() {
    $("stored").textContent = "";
    $("samples").replaceChildren(...t("samples").map(text => button(text, text, () => { $("question").value = text; $("question").focus(); })));
    answers.forEach(draw);
    if (answers.length) showSources(answers.at(-1));
    drawDocuments();
  },
  begun: refresh,
});
