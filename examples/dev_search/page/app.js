import { $, begin, button, call, every, guarded, language, make, me, onEnter, onSubmit, once, options, paged, putAside, request, say, swap, t } from "./base.js";

const words = {
  ko: {
    title: "개발자 통합 검색", lead: "글, 스터디와 팀 모집, 튜터 프로젝트, 강의를 한 상자에서 찾습니다. 검색 엔진이 죽어도 답하고, 누가 답했는지 말합니다. 자리를 주문하면 결제가 안 될 때 자리도 돌아옵니다.",
    member: "회원", tutor: "튜터", operator: "운영자",
    find: "찾기", q: "무엇을 찾나요? 오타도, 초성(ㄹㅅㅌ)도, 쓰다 만 낱말도 찾습니다.", findButton: "찾기", order: "순서", best: "잘 맞는 순", likes: "좋아요 순", more: "더 보기", all: "모두", total: (n, exact) => `물었을 때 ${n}개${exact ? "" : " 이상"} 찾음`, nothing: "찾은 것이 없습니다.",
    kindGroup: "종류", categoryGroup: "분야", kinds: { post: "글", party: "모집", project: "프로젝트", lecture: "강의" }, one: { post: "글", party: "모집", project: "프로젝트", lecture: "강의" }, categories: { backend: "백엔드", career: "커리어", database: "데이터베이스", devops: "데브옵스", frontend: "프론트엔드", search: "검색", study: "스터디" },
    served: { fresh: "새 답", cached: "캐시", stale: "오래된 답", degraded: "대신한 답", failed: "답 없음" },
    by: engine => `답한 곳: ${engineNames.ko[engine] ?? engine}`, age: ms => `${(ms / 1000).toFixed(1)}초 전의 답입니다`, took: ms => `${ms}ms`, nobody: "아무 엔진도 답하지 못하고, 캐시에도 없습니다.",
    causes: { failed: "주 엔진이 실패했습니다", slow: "주 엔진이 느립니다", circuit_open: "주 엔진을 쉬게 두고 뒤에서 시험하고 있습니다", incomplete: "주 엔진의 답이 온전하지 않습니다", lagging: "주 엔진이 아직 새 글을 따라잡지 못했습니다", revalidating: "새 답을 가져오는 중입니다" },
    gaps: { "the order is another than usual": "순서가 평소와 다를 수 있습니다", "words with typos are not found": "오타가 있는 낱말은 찾지 못합니다", "facets were not counted": "개수를 세지 못했습니다", "only the first words were looked up": "앞쪽 낱말만 찾았습니다", "deleted documents may still be found": "지워진 글이 보일 수 있습니다", "documents are missing": "일부 글이 빠져 있을 수 있습니다" },
    engines: "엔진", enginesLead: "운영자는 엔진을 실제로 끊을 수 있습니다. 끊긴 동안 쓴 글은 기다렸다가, 돌아오면 이어서 색인됩니다.", primary: "주 엔진", fallback: "예비", circuit: { closed: "정상", half_open: "시험 중", open: "차단됨" }, documents: n => `지금 문서 ${n}개`, wiped: "문서를 잃음", lag: ms => `${(ms / 1000).toFixed(1)}초 뒤처짐`,
    line: { whole: "이어짐", refused: "연결 거부", silent: "묵묵부답" }, do: { whole: "다시 잇기", refused: "끊기", silent: "침묵시키기" }, cutDone: { whole: "다시 이었습니다.", refused: "끊었습니다.", silent: "침묵시켰습니다." },
    watch: "지켜보기", unwatch: "그만 보기", watched: (n, failed, now) => `질문 ${n}번, 답 없음 ${failed}번 · 지금은 ${now}`, strip: "지난 질문들이 어떻게 답해졌는지",
    aside: "제쳐 둔 변경", asideNote: "어느 엔진도 색인할 수 없던 변경입니다. 까닭을 고친 뒤 다시 넘길 수 있습니다. 글은 보이지 않습니다.", noLetters: "제쳐 둔 변경이 없습니다.", attempts: n => `${n}번 해 봄`, deliverAgain: "모두 다시 넘기기", delivered: n => `${n}개를 다시 넘깁니다.`,
    partner: "결제사", moods: { moody: "변덕: 넷 중 하나는 거절, 하나는 답을 잃음", well: "멀쩡함", declines: "모두 거절", forgets: "결제하고 답을 잃음", away: "무응답" }, partnerDone: "결제사를 바꾸었습니다.",
    orders: "내 주문", allOrders: "모든 주문", orderStatus: "상태", noSuchOrders: "그런 주문이 없습니다.", why: "까닭", retry: "다시 시도", skip_: "건너뛰기 (그대로 두기)", force_done: "된 것으로 치기", force_failed: "안 된 것으로 치고 되돌리기", decided: "결정을 기록했습니다.", noOrders: "아직 주문이 없습니다. 프로젝트나 강의를 찾아 주문해 보세요.", orderButton: "주문하기", again: "다시 주문", withdraw: "주문 취소", free: (free, all) => `${all}자리 중 ${free}자리 남음`, won: n => n ? `${n.toLocaleString("ko")}원` : "무료", ticket: n => `표 ${n}번`, charged: n => `${n.toLocaleString("ko")}원 결제`, refunded: n => `${n.toLocaleString("ko")}원 결제했다가 돌려줌`,
    status: { running: "진행 중", waiting: "기다리는 중", completed: "확정", compensating: "되돌리는 중", compensated: "되돌림", needs_operator: "운영자 확인 중", parked: "멈춤" }, steps: { hold_place: "자리 잡기", charge: "결제", confirm: "확정" },
    todos: "할 일", todosLead: "두 창에서 같은 할 일을 고쳐 보세요. 먼저 쓴 것을 덮어쓰지 않고 묻습니다.", todoText: "무엇을 할까요?", todoButton: "더하기", noTodos: "할 일이 없습니다.", edit: "고치기", save: "저장", cancel: "그만두기", remove: "지우기", version: n => `${n}번째 판`, done: "끝냄",
    conflict: "그사이 다른 창에서 바뀌었습니다.", theirs: "지금 있는 것", mine: "내가 쓴 것", gone: "지워졌습니다.", keepTheirs: "있는 것 두기", takeMine: "내 것으로 쓰기", saved: "저장했습니다.", removed: "지웠습니다.",
    write: "쓰기", what: "무엇을 쓰나요?", kind: "종류", category: "분야", lang: "언어", offer: "자리", places: "몇 자리", price: "한 자리 값 (원)", writeTitle: "제목", writeBody: "내용", writeButton: "올리기", written: "올렸습니다. 곧 검색됩니다.", author: "쓴 사람", liked: n => `좋아요 ${n}`,
    problem: { ordered: "누군가 주문한 것은 지울 수 없습니다.", unavailable: "지금은 답할 수 없습니다. 잠시 뒤 다시 해 보세요." },
  },
  en: {
    title: "Developers' search", lead: "One box over posts, parties, tutors' projects and lectures. It answers also when its engine is gone, and says who did. Order a place: if the payment fails, the place goes back.",
    member: "Member", tutor: "Tutor", operator: "Operator",
    find: "Search", q: "What are you looking for? Typos, Korean initials (ㄹㅅㅌ) and unfinished words will do.", findButton: "Search", order: "Order", best: "best match first", likes: "best liked first", more: "Show more", all: "all", total: (n, exact) => `${n}${exact ? "" : " or more"} found when asked`, nothing: "Nothing was found.",
    kindGroup: "Kind", categoryGroup: "Category", kinds: { post: "posts", party: "parties", project: "projects", lecture: "lectures" }, one: { post: "post", party: "party", project: "project", lecture: "lecture" }, categories: { backend: "backend", career: "career", database: "database", devops: "devops", frontend: "frontend", search: "search", study: "study" },
    served: { fresh: "Fresh", cached: "Cached", stale: "Stale", degraded: "Degraded", failed: "No answer" },
    by: engine => `answered by the ${engineNames.en[engine] ?? engine}`, age: ms => `${(ms / 1000).toFixed(1)} s old`, took: ms => `${ms} ms`, nobody: "No engine can answer, and the cache does not know.",
    causes: { failed: "the primary failed", slow: "the primary is slow", circuit_open: "the primary is spared, and tried in the background", incomplete: "the primary's answer had gaps", lagging: "the primary is behind the newest changes", revalidating: "a new answer is being fetched" },
    gaps: {},
    engines: "Engines", enginesLead: "An operator really cuts an engine off. What is written meanwhile waits, and is indexed when it is back.", primary: "primary", fallback: "fallback", circuit: { closed: "healthy", half_open: "on trial", open: "spared" }, documents: n => `${n} documents by now`, wiped: "lost its documents", lag: ms => `${(ms / 1000).toFixed(1)} s behind`,
    line: { whole: "connected", refused: "refuses", silent: "does not answer" }, do: { whole: "Connect", refused: "Cut off", silent: "Silence" }, cutDone: { whole: "It is connected again.", refused: "It is cut off.", silent: "It is silent." },
    watch: "Watch", unwatch: "Stop watching", watched: (n, failed, now) => `${n} questions, ${failed} without an answer · now: ${now}`, strip: "how the last questions were answered",
    aside: "Put aside", asideNote: "Changes that an engine could not index. Once the reason is mended they can be handed over again. What was written is not shown.", noLetters: "Nothing is put aside.", attempts: n => (n === 1 ? "tried once" : `tried ${n} times`), deliverAgain: "Hand all over again", delivered: n => `${n} are handed over again.`,
    partner: "Payment partner", moods: { moody: "moody: of four it refuses one, and loses the answer to another", well: "well", declines: "refuses all", forgets: "charges, and loses the answer", away: "does not answer" }, partnerDone: "The partner is changed.",
    orders: "My orders", allOrders: "All orders", orderStatus: "Status", noSuchOrders: "There is no such order.", why: "Why", retry: "Try again", skip_: "Pass it over (it stands)", force_done: "Take it as done", force_failed: "Take it as not done, and undo", decided: "The decision is recorded.", noOrders: "There is no order yet: find a project or a lecture, and order a place.", orderButton: "Order a place", again: "Order again", withdraw: "Take it back", free: (free, all) => `${free} of ${all} places left`, won: n => n ? `${n.toLocaleString("en")} won` : "free of charge", ticket: n => `ticket no. ${n}`, charged: n => `${n.toLocaleString("en")} won charged`, refunded: n => `${n.toLocaleString("en")} won charged and given back`,
    status: { running: "under way", waiting: "waiting", completed: "confirmed", compensating: "going back", compensated: "undone", needs_operator: "with an operator", parked: "parked" }, steps: { hold_place: "hold a place", charge: "pay", confirm: "confirm" },
    todos: "Todos", todosLead: "Edit one in two windows: what was written first is not overwritten, you are asked.", todoText: "What is to be done?", todoButton: "Add", noTodos: "Nothing is to be done.", edit: "Edit", save: "Save", cancel: "Cancel", remove: "Delete", version: n => `version ${n}`, done: "done",
    conflict: "It was changed in another window meanwhile.", theirs: "What stands", mine: "What you wrote", gone: "It was deleted.", keepTheirs: "Keep what stands", takeMine: "Write mine", saved: "Saved.", removed: "Deleted.",
    write: "Write", what: "What is it?", kind: "Kind", category: "Category", lang: "Language", offer: "Places", places: "How many", price: "Price of a place (won)", writeTitle: "Title", writeBody: "Text", writeButton: "Publish", written: "Published. It will be found in a moment.", author: "by", liked: n => n === 1 ? "1 like" : `${n} likes`,
    problem: { ordered: "Somebody has ordered a place in it.", unavailable: "There is no answer now. Try again in a moment." },
  },
};
const engineNames = { ko: { opensearch: "검색 클러스터", engine: "검색 엔진", database: "데이터베이스" }, en: { opensearch: "search cluster", engine: "search engine", database: "database" } };
let wanted = { q: "", kind: null, category: null, order: "best" }, found = null, shown = wanted, hits = [], free = {}, myOrders = {}; // myOrders: how the caller's own order of a hit stands, by its id
let engines = [], editing = null, conflict = null; // conflict: {id, mine: {text, done}, theirs: todo or null}
const orders = paged({ first: () => `orders?limit=20${is("operator") && $("order-status").value ? `&status=${$("order-status").value}` : ""}`, draw: drawOrders, button: $("more-orders") });
const todos = paged({ first: () => "todos", draw: drawTodos, button: $("more-todos") });
let watching = null, answers = []; // how the last questions were served
const is = role => me?.role === role;
// What there is of a list of texts and elements, with dots between.
const dotted = (...parts) => parts.filter(Boolean).flatMap((part, at) => at ? [" · ", part] : [part]);

// ---- searching
function address(after, limit) {
  const query = new URLSearchParams({ limit });
  // The last word may be unfinished, also once Enter is pressed: what is shown does not vanish by that.
  if (wanted.q) { query.set("q", wanted.q); query.set("typing", "true"); }
  for (const name of ["kind", "category"]) if (wanted[name]) query.set(name, wanted[name]);
  if (wanted.order !== "best") query.set("order", wanted.order);
  if (after) query.set("after", after);
  return `search?${query}`;
}
// What is asked for last is shown, whichever answer comes last.
let turn = 0;
async function search(after) {
  const mine = ++turn, asked = wanted, began = performance.now();
  let value, trouble = null;
  try { value = await call("GET", address(after, 10)); } catch (error) { if (error.isAway || error.status < 500) throw error; trouble = error; }
  if (mine !== turn) return;
  const ms = Math.round(performance.now() - began);
  if (trouble) { drawServed({ served: "failed" }, ms); return; }
  [found, shown] = [value, asked];
  hits = after ? [...hits, ...value.hits] : value.hits;
  drawServed(value, ms);
  drawFound();
  await lookAll(value.hits);
}
const lookAll = some => Promise.all(some.filter(hit => hit.places > 0).map(look));
async function look(hit) {
  const who = me?.name;
  try {
    const entry = await call("GET", `entries/${hit.id}`);
    free[hit.id] = entry.free;
    if (who === me?.name) myOrders[hit.id] = entry.order;
  } catch { delete free[hit.id]; }
  drawFound();
}
let served = null; // how the last question was answered
function drawServed(value, ms) {
  served = { value, ms };
  const box = $("served"), gap = text => t("gaps")[text] ?? text;
  box.className = value.served;
  const parts = value.served === "failed" ? [t("nobody")] : [
    value.engine ? t("by")(value.engine) : t("age")(value.age_ms), t("took")(ms), value.cause && t("causes")[value.cause], ...value.gaps.map(gap)].filter(Boolean);
  box.replaceChildren(make("strong", {}, t("served")[value.served]), ` · ${parts.join(" · ")}`);
  box.dataset.served = value.served;
}
function chips(box, counts, names, chosen, choose) {
  const known = counts.some(count => count.value === chosen) || !chosen ? counts : [{ value: chosen, count: 0 }, ...counts];
  swap(box, [known, chosen], button("all", t("all"), () => choose(null), { ariaPressed: String(!chosen) }),
    ...known.map(count => button(count.value, `${names[count.value] ?? count.value} ${count.count}`, () => choose(count.value === chosen ? null : count.value), { ariaPressed: String(count.value === chosen) })));
}
const pieces = list => list.map(piece => piece.marked ? make("mark", {}, piece.text) : piece.text);
function drawFound() {
  if (!found) return;
  const choose = name => value => { wanted = { ...wanted, [name]: value }; guarded(() => search()); };
  chips($("kinds"), found.kinds, t("kinds"), shown.kind, choose("kind"));
  chips($("categories"), found.categories, t("categories"), shown.category, choose("category"));
  const total = found.total === null ? "" : hits.length ? t("total")(found.total, found.total_is_exact) : t("nothing");
  if ($("total").textContent !== total) $("total").textContent = total;
  $("more").hidden = !found.next;
  swap($("hits"), [hits, free, myOrders, orders.rows.map(order => [order.entry, order.status]), me?.role], ...hits.map(hit => {
    // The list of orders is the newer one, and has only those of its pages.
    const order = orders.rows.find(order => order.entry === hit.id && order.person === me?.name)?.status ?? myOrders[hit.id];
    return make("li", {},
      make("span", { className: "tag" }, t("one")[hit.kind] ?? hit.kind), make("strong", { className: "grow", lang: hit.lang }, ...pieces(hit.title)),
      hit.places > 0 && me && free[hit.id] !== 0 && (!order || order === "compensated") && button(`order ${hit.id}`, t(order ? "again" : "orderButton"), () => guarded(() => buy(hit.id, Boolean(order))), { className: "main", ariaLabel: `${t(order ? "again" : "orderButton")}: ${hit.title.map(piece => piece.text).join("")}` }),
      order && order !== "compensated" && make("span", { className: "tag" }, t("status")[order]),
      (is("operator") || (me && hit.author === me.name)) && button(`remove ${hit.id}`, t("remove"), () => guarded(async () => { await call("DELETE", `entries/${hit.id}`); say(t("removed")); hits = hits.filter(one => one.id !== hit.id); drawFound(); }), { ariaLabel: `${t("remove")}: ${hit.title.map(piece => piece.text).join("")}` }),
      make("span", { className: "facts", lang: hit.lang }, ...pieces(hit.body)),
      make("span", { className: "facts" }, ...dotted(t("categories")[hit.category] ?? hit.category, t("liked")(hit.likes), hit.author && make("span", {}, `${t("author")} `, make("span", { lang: "" }, hit.author)), hit.places > 0 && t("won")(hit.price_krw), hit.places > 0 && free[hit.id] !== undefined && t("free")(free[hit.id], hit.places))));
  }));
}

// ---- engines
async function refreshEngines() { engines = await call("GET", "engines"); drawEngines(); }
function drawEngines() {
  const stands = engines.map(({ engine, line }) => [engine, line]);
  swap($("engine-rows"), [stands, me?.role], ...engines.map((engine, at) => {
    const name = at === 0 ? "primary" : "fallback", others = ["whole", "refused", "silent"].filter(line => line !== engine.line);
    return make("li", {},
      make("strong", { className: "grow" }, `${t(name)}: ${engineNames[language][engine.engine] ?? engine.engine}`),
      make("span", { className: "tag" + (engine.line === "whole" ? "" : " bad") }, t("line")[engine.line]),
      make("span", { id: `circuit-${name}` }), make("span", { className: "tag bad", id: `wiped-${name}`, hidden: true }, t("wiped")),
      make("span", { className: "muted", id: `holds-${name}` }),
      ...(is("operator") ? others.map(line => button(`${name} ${line}`, t("do")[line], () => guarded(() => cut(name, line)), { ariaLabel: `${t(name)}: ${t("do")[line]}` })) : []));
  }));
  // What changes by itself is told without drawing anew what somebody is about to press.
  engines.forEach((engine, at) => {
    const name = at === 0 ? "primary" : "fallback", circuit = $(`circuit-${name}`);
    const tell = (box, text) => { if (box.textContent !== text) box.textContent = text; };
    tell($(`holds-${name}`), [engine.documents !== null && t("documents")(engine.documents), engine.lag_ms > 0 && t("lag")(engine.lag_ms)].filter(Boolean).join(" · "));
    tell(circuit, engine.circuit ? t("circuit")[engine.circuit] : "");
    circuit.hidden = !engine.circuit;
    circuit.className = engine.circuit === "closed" ? "tag" : "tag bad";
    $(`wiped-${name}`).hidden = !engine.wiped;
  });
}
async function cut(name, line) {
  await call("PUT", `engines/${name}`, { line });
  say(`${t(name)}: ${t("cutDone")[line]}`);
  if (!watching) watch();
  await refreshEngines();
}
function watch() {
  if (watching) { clearInterval(watching); watching = null; } else { watching = setInterval(probe, 500); probe(); }
  drawWatch();
}
// Asks what is asked in the box, twice a second, and shows each answer: nothing is asked again while one is awaited.
let probing = false;
async function probe() {
  if (probing || document.hidden) return;
  probing = true;
  const began = performance.now();
  let value;
  try { value = await call("GET", address(null, 10)); } catch { value = { served: "failed" }; }
  probing = false;
  const ms = Math.round(performance.now() - began);
  answers = [...answers.slice(-89), value.served];
  drawWatch();
  drawServed(value, ms);
  refreshEngines().catch(() => {});
}
function drawWatch() {
  $("watch").textContent = t(watching ? "unwatch" : "watch");
  $("watch").ariaPressed = String(Boolean(watching));
  $("watched").textContent = answers.length ? t("watched")(answers.length, answers.filter(served => served === "failed").length, t("served")[answers.at(-1)]) : "";
  $("strip").ariaLabel = `${t("strip")}: ${Object.entries(t("served")).map(([kind, text]) => `${text} ${answers.filter(served => served === kind).length}`).join(", ")}`;
  $("strip").replaceChildren(...answers.map(served => make("span", { className: served })));
}
async function refreshPartner() { if (is("operator")) $("mood").value = (await call("GET", "partner")).mood; }

// ---- orders
async function buy(id, again) {
  const value = await call("POST", `entries/${id}/order`, { again });
  orders.rows = [value, ...orders.rows.filter(order => order.id !== value.id)];
  say(value.status === "completed" ? `${t("status").completed}: ${t("ticket")(value.ticket)}` : value.reason ? `${t("status")[value.status]}: ${value.reason}` : t("status")[value.status], value.status !== "completed");
  const hit = hits.find(hit => hit.id === id);
  await Promise.all([refreshOrders(), hit && look(hit)]);
}
async function refreshOrders() {
  if (!me) return;
  const stood = Object.fromEntries(orders.rows.map(order => [order.id, order.status]));
  await orders.refresh();
  // What an order has come to, and how many places that leaves, are told at once.
  const moved = new Set(orders.rows.filter(order => stood[order.id] !== order.status).map(order => order.entry));
  await lookAll(hits.filter(hit => moved.has(hit.id)));
  drawOrders();
  drawFound();
}
function drawOrders() {
  $("no-orders").hidden = orders.rows.length > 0;
  const none = t(is("operator") && $("order-status").value ? "noSuchOrders" : "noOrders");
  if ($("no-orders").textContent !== none) $("no-orders").textContent = none;
  swap($("orders"), orders.rows, ...orders.rows.map(order => make("li", {},
    make("strong", { className: "grow", lang: "" }, order.title ?? order.entry),
    make("span", { className: "tag" + (["compensated", "compensating", "needs_operator"].includes(order.status) ? " bad" : "") }, t("status")[order.status] ?? order.status),
    order.person === me?.name && order.status === "compensated" && button(`again ${order.id}`, t("again"), () => guarded(() => buy(order.entry, true)), { ariaLabel: `${t("again")}: ${order.title ?? ""}` }),
    order.person === me?.name && order.status === "running" && button(`withdraw ${order.id}`, t("withdraw"), () => guarded(async () => { await call("DELETE", `entries/${order.entry}/order`); await refreshOrders(); }), { ariaLabel: `${t("withdraw")}: ${order.title ?? ""}` }),
    make("ol", { className: "steps" }, ...order.steps.map(step => make("li", { className: step.look }, (t("steps")[step.name] ?? step.name) + (step.attempt > 1 ? ` × ${step.attempt}` : "")))),
    make("span", { className: "facts" }, ...dotted(is("operator") && make("span", { lang: "" }, order.person), order.status === "completed" && order.ticket !== null && t("ticket")(order.ticket), order.charged_krw > 0 && t(order.refunded ? "refunded" : "charged")(order.charged_krw), order.reason && order.status !== "completed" && order.reason)),
    ...(is("operator") && order.status === "needs_operator" ? deciding(order) : []))));
}
// What an operator may decide about an order that stands: before its confirmation it is undone, and that cannot be.
function deciding(order) {
  const why = `why ${order.id}`, title = `${order.title ?? order.entry}, ${order.person}`;
  return [make("label", { htmlFor: why }, t("why")), make("input", { id: why, required: true, maxLength: 500, autocomplete: "off", ariaLabel: `${t("why")}: ${title}` }),
    make("p", { className: "row" }, ...(order.step === "confirm" ? ["retry", "force_failed"] : ["retry", "skip_", "force_done"]).map(name =>
      button(`${name} ${order.id}`, t(name), () => $(why).reportValidity() && guarded(() => decide(order, name.replace("skip_", "skip"), $(why))), { ariaLabel: `${t(name)}: ${title}` })))];
}
async function decide(order, decision, why) {
  try {
    await call("POST", `orders/${order.id}/decisions`, { decision, why: why.value, at: order.step });
  } finally { await refreshOrders(); }
  why.value = "";
  say(t("decided"));
}

// ---- todos
async function refreshTodos() { if (me) { await todos.refresh(); drawTodos(); } }
const tag = version => ({ "if-match": `"${version}"` });
// Writes over the version that was read. If another one stands, both are shown, and whoever wrote decides.
async function writeTodo(id, mine, version) {
  try {
    await call("PUT", `todos/${id}`, mine, tag(version));
    conflict = null; editing = null;
    say(t("saved"));
  } catch (error) {
    if (error.status !== 412) throw error;
    conflict = { id, mine, theirs: null };
    try { conflict.theirs = await call("GET", `todos/${id}`); } catch (missing) { if (missing.status !== 404) throw missing; }
    editing = null;
    say(t("conflict"), true);
  }
  await refreshTodos();
  if (conflict) [...$("todos").querySelectorAll("button")].find(node => node.dataset.key === `theirs ${id}`)?.focus();
}
const state = todo => `${todo.done ? "☑" : "☐"} ${todo.text}`;
function settle({ id, mine, theirs }) {
  return make("div", { className: "conflict" },
    make("p", {}, make("strong", {}, t("conflict"))),
    make("p", {}, `${t("theirs")}: `, theirs ? make("span", { lang: "" }, state(theirs)) : t("gone")), make("p", {}, `${t("mine")}: `, make("span", { lang: "" }, state(mine))),
    make("p", { className: "row" }, button(`theirs ${id}`, t("keepTheirs"), () => { conflict = null; drawTodos(); }),
      button(`mine ${id}`, t("takeMine"), () => guarded(async () => {
        if (theirs) return writeTodo(id, mine, theirs.version);
        await call("PUT", `todos/${id}`, mine, { "if-none-match": "*" });
        conflict = null;
        say(t("saved"));
        await refreshTodos();
      }))));
}
function drawTodos() {
  const list = conflict && !todos.rows.some(todo => todo.id === conflict.id) ? [...todos.rows, { ...conflict.mine, id: conflict.id, version: 0 }] : todos.rows;
  $("no-todos").hidden = list.length > 0;
  swap($("todos"), [list, editing, conflict], ...list.map(todo => {
    if (conflict?.id === todo.id) return make("li", {}, settle(conflict));
    if (editing?.id === todo.id) return make("li", {}, onSubmit(make("form", {},
      make("label", { htmlFor: `edit-${todo.id}` }, t("todoText")), make("input", { id: `edit-${todo.id}`, name: "text", maxLength: 500, required: true, autocomplete: "off", value: editing.text }),
      make("p", { className: "row" }, make("button", { type: "submit", className: "main" }, t("save")), button(`cancel ${todo.id}`, t("cancel"), () => { editing = null; drawTodos(); }))),
      elements => writeTodo(todo.id, { text: elements.text.value, done: editing.done }, editing.version)));
    const check = make("input", { type: "checkbox", id: `done-${todo.id}`, checked: todo.done, onchange: () => guarded(() => writeTodo(todo.id, { text: todo.text, done: !todo.done }, todo.version)) });
    return make("li", {}, make("label", { className: "todo" }, check, " ", make("span", { className: todo.done ? "todo-done" : "", lang: "" }, todo.text)),
      make("span", { className: "muted" }, t("version")(todo.version)),
      button(`edit ${todo.id}`, t("edit"), () => { editing = { ...todo }; drawTodos(); $(`edit-${todo.id}`).focus(); }, { ariaLabel: `${t("edit")}: ${todo.text}` }),
      button(`delete ${todo.id}`, t("remove"), () => guarded(async () => {
        try { await call("DELETE", `todos/${todo.id}`, undefined, tag(todo.version)); say(t("removed")); } catch (error) { if (error.status !== 412 && error.status !== 404) throw error; say(t("conflict"), true); }
        await refreshTodos();
      }), { ariaLabel: `${t("remove")}: ${todo.text}` }));
  }));
}

function drawAll() { drawFound(); drawEngines(); drawOrders(); drawTodos(); aside.draw(); }
const aside = putAside(() => is("operator"));
async function refresh() { await Promise.all([refreshEngines(), refreshPartner(), refreshOrders(), refreshTodos(), aside.refresh()]); }

onEnter(async () => {
  await Promise.all([refresh(), lookAll(hits)]);
  $("find-h").focus();
});
onSubmit($("find-form"), async elements => { clearTimeout(pause); wanted = { ...wanted, q: elements.q.value.trim() }; await search(); });
let pause = null;
$("q").oninput = () => {
  clearTimeout(pause);
  pause = setTimeout(() => { wanted = { ...wanted, q: $("q").value.trim() }; guarded(() => search()); }, 200);
};
onSubmit($("todo-form"), async (elements, key) => {
  await call("PUT", `todos/${key}`, { text: elements.text.value, done: false }, { "if-none-match": "*" });
  elements.text.value = "";
  say(t("saved"));
  await refreshTodos();
});
onSubmit($("write-form"), async (elements, key) => {
  const offer = ["project", "lecture"].includes(elements.kind.value) ? { places: Number(elements.places.value), price_krw: Number(elements.price.value) } : {};
  await call("POST", "entries", { kind: elements.kind.value, category: elements.category.value, lang: elements.lang.value, title: elements.title.value, body: elements.body.value, ...offer }, once(key));
  elements.title.value = elements.body.value = "";
  say(t("written"));
});
$("write-kind").onchange = () => { $("offer").hidden = !["project", "lecture"].includes($("write-kind").value); };
$("order").onchange = () => { wanted = { ...wanted, order: $("order").value }; guarded(() => search()); };
$("order-status").onchange = () => { orders.clear(); guarded(refreshOrders); };
$("mood").onchange = () => guarded(async () => { await call("PUT", "partner", { mood: $("mood").value }); say(t("partnerDone")); });
$("partner-form").addEventListener("submit", event => event.preventDefault());
$("more").onclick = () => guarded(() => search(found.next));
$("watch").onclick = watch;
begin({
  service: "dev_search", words, reworded: refreshOrders,
  redraw() {
    for (const id of ["orders-box", "todos-box", "write"]) $(id).hidden = !me;
    for (const id of ["partner-form", "order-filter"]) $(id).hidden = !is("operator");
    for (const option of $("order").options) option.textContent = t(option.value);
    options($("mood"), t("moods"));
    options($("order-status"), t("status"), { first: t("all") });
    options($("write-category"), t("categories"));
    options($("write-kind"), Object.fromEntries(Object.entries(t("one")).filter(([kind]) => is("tutor") || kind === "post" || kind === "party")));
    $("offer").hidden = !["project", "lecture"].includes($("write-kind").value);
    $("kinds").ariaLabel = t("kindGroup");
    $("categories").ariaLabel = t("categoryGroup");
    $("orders-h").textContent = t(is("operator") ? "allOrders" : "orders");
    $("legend").replaceChildren(...Object.entries(t("served")).map(([kind, text]) => make("li", { className: kind }, text)));
    drawWatch();
    drawAll();
    if (served) drawServed(served.value, served.ms);
  },
  left() { editing = conflict = null; myOrders = {}; orders.clear(); todos.clear(); aside.forget(); },
  begun: () => Promise.all([search(), refresh()]),
});
// What others do shows within some seconds.
every(2_000, refresh);
