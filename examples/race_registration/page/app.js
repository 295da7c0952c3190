import { $, begin, button, call, every, guarded, language, listen, make, me, once, onEnter, onSubmit, options, paged, say, setup, swap, t, written } from "./base.js";

const words = {
  ko: {
    title: "대회 접수", lead: "약관부터 배번까지 한 창구로 접수합니다. 자리가 없거나 자격이 없으면 한 일을 거꾸로 되돌리고, 늦게 들어온 돈은 돌려줍니다.",
    runner: "참가자", organiser: "주최자",
    make: "대회 만들기", raceName: "대회 이름", kind: "자리를 받는 방법", first_come: "선착순", lottery: "추첨", places: "자리", price: "참가비 (원)", makeButton: "만들기", made: "대회를 만들었습니다.",
    races: "대회", noRaces: "아직 대회가 없습니다.", free: (free, all) => `${all}자리 중 ${free}자리 남음`, won: n => `${n.toLocaleString("ko")}원`, drawButton: "추첨하기", callButton: "빈자리 다시 부르기", drawnAlready: "추첨 끝남", drawResult: (w, q) => `추첨했습니다. 당첨 ${w}명, 대기 ${q}명.`, verify: "추첨 검증 자료",
    mine: "내 접수", pick: "대회를 고르면 접수가 시작됩니다.", start: "접수 시작", again: "다시 접수하기", withdraw: "접수 취소", next: "다음", submit: "보내기", pay: n => `${n.toLocaleString("ko")}원 결제하기`, gateway: (n, id) => `${n.toLocaleString("ko")}원을 결제 창구에서 내 주세요 (${id}).`, until: t => `${t}까지`, bib: n => `배번 ${n}번`, refunded: "돈을 돌려드렸습니다.",
    agree: "대회 약관에 동의합니다.", souvenir: "기념품", souvenirs: ["티셔츠 S", "티셔츠 M", "티셔츠 L", "모자", "받지 않음"], city: "주소", email: "알림을 받을 전자우편 (없어도 됩니다)", waitDraw: "추첨을 기다립니다. 바로 당첨되지 않아도 빈자리가 나면 차례대로 부릅니다.", moving: "처리하고 있습니다…", organiserLooks: "주최자가 살펴보고 있습니다.",
    diagram: "그림", office: "모든 접수", filter: "상태", all: "모두", noRegistrations: "그런 접수가 없습니다.", more: "더 보기", decide: "결정", why: "까닭", whichDecision: "무엇을 할까요?", decideButton: "결정하기", decided: "결정을 기록했습니다.", value: "만든 값 (JSON, 단계를 된 것으로 칠 때)", steps: "단계", history: "지나온 길", decisions: "사람의 결정", none: "없음", mermaid: "다이어그램 (Mermaid)", payment: "결제", bar: "참가 제한", barButton: "이 참가자의 참가 막기", barred: "참가를 막았습니다. 자격을 확인할 때 되돌려집니다.", bars: "참가 제한 명단", noBars: "참가를 막은 사람이 없습니다.", unbar: "참가 제한 풀기", unbarred: "참가 제한을 풀었습니다.",
    cancelledBy: { runner: "참가자가 접수를 취소했습니다", organiser: "주최자가 접수를 취소했습니다" },
    retry: "다시 시도", skip_: "건너뛰기", force_done: "된 것으로 치기", force_failed: "안 된 것으로 치고 되돌리기", resume_forward: "되돌리기를 멈추고 앞으로", place_anew: "자리와 결제를 새로", cancel: "모두 되돌리기", tooLate: what => `${what} (늦어서 하지 못함)`,
    status: { running: "진행 중", waiting: "기다림", compensating: "되돌리는 중", needs_operator: "주최자 필요", parked: "세워 둠", completed: "끝남", compensated: "되돌림" },
    look: { ahead: "아직", active: "지금", done: "됨", failed: "안 됨", undone: "되돌림", stuck: "멈춤" },
    state: { started: "결제 전", paid: "결제됨", cancelled: "취소됨", refunded: "환불됨" },
    nextIs: what => `다음: ${what}`, reasonIs: "까닭",
  },
  en: {
    title: "Race registration", lead: "One desk from the terms to the bib. Where there is no place, or no right to run, what was done is undone in reverse order, and money that comes too late is given back.",
    runner: "Runner", organiser: "Organiser",
    make: "Make a race", raceName: "Name of the race", kind: "Who gets a place", first_come: "First come, first served", lottery: "Lottery", places: "Places", price: "Price (won)", makeButton: "Make it", made: "The race is made.",
    races: "Races", noRaces: "There is no race yet.", free: (free, all) => `${free} of ${all} places free`, won: n => `${n.toLocaleString("en")} won`, drawButton: "Draw", callButton: "Call up for free places", drawnAlready: "drawn", drawResult: (w, q) => `Drawn: ${w} won, ${q} wait.`, verify: "All that is needed to draw again",
    mine: "My registration", pick: "Choose a race to register.", start: "Begin", again: "Register again", withdraw: "Withdraw", next: "Next", submit: "Send", pay: n => `Pay ${n.toLocaleString("en")} won`, gateway: (n, id) => `Pay ${n.toLocaleString("en")} won at the gateway (${id}).`, until: t => `until ${t}`, bib: n => `Bib ${n}`, refunded: "Your money was given back.",
    agree: "I agree to the terms of the race.", souvenir: "Souvenir", souvenirs: ["T-shirt S", "T-shirt M", "T-shirt L", "Cap", "None"], city: "Address", email: "E-mail to be told at (optional)", waitDraw: "Waiting for the draw. Whoever is not drawn at once is called up in order when a place comes free.", moving: "On its way…", organiserLooks: "The organiser is looking at it.",
    diagram: "Diagram", office: "All registrations", filter: "Status", all: "all", noRegistrations: "There is no such registration.", more: "Show more", decide: "Decide", why: "Why", whichDecision: "What is to be done?", decideButton: "Decide", decided: "The decision is recorded.", value: "What the step has made (JSON, if it is taken as done)", steps: "Steps", history: "How it came to this", decisions: "Decisions of people", none: "none", mermaid: "Diagram (Mermaid)", payment: "Payment", bar: "Right to run", barButton: "Bar this runner", barred: "Barred. The registration is undone when the right to run is checked.", bars: "Barred runners", noBars: "Nobody is barred.", unbar: "Lift the bar", unbarred: "The bar is lifted.",
    cancelledBy: { runner: "The runner withdrew", organiser: "The organiser cancelled it" },
    retry: "Try again", skip_: "Pass it over", force_done: "Take it as done", force_failed: "Take it as not done, and undo", resume_forward: "Stop undoing and go forward", place_anew: "Place and payment anew", cancel: "Undo everything", tooLate: what => `${what} (too late, not done)`,
    status: { running: "running", waiting: "waiting", compensating: "being undone", needs_operator: "needs the organiser", parked: "parked", completed: "completed", compensated: "undone" },
    look: { ahead: "ahead", active: "now", done: "done", failed: "failed", undone: "undone", stuck: "stuck" },
    state: { started: "not paid yet", paid: "paid", cancelled: "cancelled", refunded: "given back" },
    nextIs: what => `Next: ${what}`, deadline: "the time for it is over", reasonIs: "Reason",
  },
};
let race = null, registration = null, shown = null, barsOf = null;
const why = reason => reason === "deadline" ? t("deadline") : reason;
/** Why a registration went back, or stands: in the service's words, and in the organiser's. */
const reasons = ({ cancelled, reason }) => cancelled ? [t("cancelledBy")[cancelled.by], cancelled.why] : [reason && why(reason)];
const reasonOf = it => { const [said, people] = reasons(it); return [said, people && ": ", people && written(people)]; };
const clock = at => new Date(at).toLocaleTimeString(language, { hour: "2-digit", minute: "2-digit", second: "2-digit" });
const day = at => new Date(at).toLocaleString(language, { dateStyle: "short", timeStyle: "medium" });
const isOrganiser = () => me?.role === "organiser";

async function come() {
  hearNews();
  await races.refresh();
  if (isOrganiser()) await registrations.refresh(); else drawMine();
}

const races = paged({ first: () => "races", draw: drawRaces, button: $("more-races") });
function drawRaces() {
  $("no-races").hidden = races.rows.length > 0;
  swap($("races"), [races.rows, race], ...races.rows.map(one => make("li", {},
    isOrganiser() ? make("strong", { className: "grow", lang: "" }, one.name) : button(`race ${one.id}`, one.name, () => guarded(() => choose(one.id)), { className: "grow", ariaCurrent: race === one.id ? "true" : null, lang: "" }),
    make("span", { className: "tag" }, t(one.kind)),
    one.drawn && make("span", { className: "tag" }, t("drawnAlready")),
    isOrganiser() && one.kind === "lottery" && button(`draw ${one.id}`, t(one.drawn ? "callButton" : "drawButton"), () => guarded(() => draw(one.id)), { ariaLabel: `${t(one.drawn ? "callButton" : "drawButton")}: ${one.name}` }),
    isOrganiser() && button(`bars ${one.id}`, t("bars"), () => guarded(() => showBars(one.id)), { ariaLabel: `${t("bars")}: ${one.name}` }),
    make("span", { className: "facts" }, `${t("free")(one.free, one.places)} · ${t("won")(one.price_krw)}`, one.drawn ? " · " : null, one.drawn ? make("a", { href: `races/${one.id}/draw` }, t("verify")) : null))));
}
async function draw(id) {
  const value = await call("POST", `races/${id}/draw`);
  say(t("drawResult")(value.winners.length, value.waiting.length));
  await races.refresh();
  await registrations.refresh();
}

// ---- who is barred from a race
const bars = paged({ first: () => `races/${barsOf}/barred`, draw: drawBars, button: $("more-bars") });
async function showBars(id) {
  barsOf = id;
  bars.clear();
  await bars.refresh();
  $("bars-h").focus();
}
function drawBars() {
  $("bars").hidden = !barsOf || !isOrganiser();
  $("no-bars").hidden = bars.rows.length > 0;
  $("bars-h").replaceChildren(`${t("bars")}: `, written(races.rows.find(one => one.id === barsOf)?.name ?? ""));
  swap($("barred"), [barsOf, bars.rows], ...bars.rows.map(one => make("li", {},
    make("strong", { className: "grow", lang: "" }, one.runner),
    button(`unbar ${one.runner}`, t("unbar"), () => guarded(() => unbar(one.runner)), { ariaLabel: `${t("unbar")}: ${one.runner}` }),
    make("span", { className: "facts", lang: "" }, `${one.why} · ${one.who}`))));
}
async function unbar(runner) {
  await call("DELETE", `races/${barsOf}/barred/${encodeURIComponent(runner)}`);
  say(t("unbarred"));
  await bars.refresh();
}

// ---- the runner's side
async function choose(id) {
  race = id;
  registration = null;
  swap($("mine-body"), null); // what was typed for another race
  drawRaces();
  try { registration = await call("GET", `races/${id}/registration`); } catch (error) { if (error.status !== 404) throw error; }
  drawMine();
  $("mine-h").focus();
}
async function answer(body) {
  try { registration = await call("POST", `races/${race}/registration`, body); } catch (error) {
    // It was answered elsewhere, in another window perhaps: what is due now is shown.
    if (error.status === 409) { registration = await call("GET", `races/${race}/registration`); drawMine(); }
    throw error;
  }
  drawMine();
  say(registration.next ? t("nextIs")(registration.next_title) : t("status")[registration.status]);
  await races.refresh();
}
const answered = (name, value) => answer({ answer: name, value });

function ask() {
  const it = registration;
  if (!it) return [button("start", t("start"), () => guarded(() => answer({})), { className: "main" })];
  const send = (name, read, ...fields) => [onSubmit(make("form", { id: `ask-${name}` }, ...fields, make("p", { className: "row" }, make("button", { type: "submit", className: "main" }, t("submit")))), elements => answered(name, read(elements)))];
  const limit = it.deadline ? make("p", { className: "muted" }, t("until")(day(it.deadline))) : null;
  switch (it.status === "waiting" ? it.next : it.status) {
    case "agree_terms": return [...send("agree_terms", elements => ({ agreed: elements.agreed.checked }), make("label", { className: "check" }, make("input", { type: "checkbox", name: "agreed", id: "agreed", required: true }), t("agree"))), limit];
    case "choose_souvenir": return [...send("choose_souvenir", elements => ({ souvenir: elements.souvenir.value }), make("label", { htmlFor: "souvenir" }, t("souvenir")), make("select", { name: "souvenir", id: "souvenir" }, ...t("souvenirs").map(text => make("option", {}, text)))), limit];
    case "shipping_address": return [...send("shipping_address", elements => ({ city: elements.city.value, ...(elements.email.value ? { email: elements.email.value } : {}) }),
      make("label", { htmlFor: "city" }, t("city")), make("input", { name: "city", id: "city", required: true, maxLength: 200, autocomplete: "street-address" }),
      make("label", { htmlFor: "email" }, t("email")), make("input", { name: "email", id: "email", type: "email", maxLength: 200, autocomplete: "email" })), limit];
    case "drawn": return [make("p", {}, t("waitDraw"))];
    case "payment_completed": return [setup.plays_gateway ? make("p", { className: "row" }, button("pay", t("pay")(it.payment.amount_krw), () => guarded(pay), { className: "main" })) : make("p", {}, t("gateway")(it.payment.amount_krw, it.payment.id)), limit];
    case "completed": return [make("p", { className: "big" }, t("bib")(it.bib))];
    case "compensated": return [make("p", { className: "bad" }, ...reasonOf(it)), it.payment?.state === "refunded" ? make("p", {}, t("refunded")) : null, button("again", t("again"), () => guarded(() => answer({ again: true })), { className: "main" })];
    case "needs_operator": case "parked": return [make("p", {}, t("organiserLooks")), it.bib ? make("p", { className: "big" }, t("bib")(it.bib)) : null];
    default: return [make("p", { className: "muted" }, t("moving"))];
  }
}
async function pay() {
  await call("POST", `payments/${registration.payment.id}/pay`);
  say(t("moving"));
}
function steps(list) {
  return make("ol", { className: "steps" }, ...list.map(step => {
    const item = make("li", { className: step.look }, make("span", { className: "what" }, step.title), make("span", { className: "tag" }, t("look")[step.look] + (step.attempt > 1 ? ` × ${step.attempt}` : "")));
    if (step.look === "active" || step.look === "stuck") item.setAttribute("aria-current", "step");
    return item;
  }));
}
function drawMine() {
  const one = races.rows.find(one => one.id === race), body = $("mine-body"), it = registration;
  if (!one) { swap(body, null, make("p", { className: "muted" }, t("pick"))); return; }
  swap(body, [race, it], ...[
    make("p", {}, make("strong", { lang: "" }, one.name), " ", it && make("span", { className: "tag" }, t("status")[it.status])),
    it?.next && make("h3", {}, t("nextIs")(it.next_title)), ...ask(),
    it && steps(it.steps),
    it?.status === "waiting" && make("p", { className: "row" }, button("withdraw", t("withdraw"), () => guarded(async () => { registration = await call("DELETE", `races/${race}/registration`); drawMine(); })))].filter(Boolean));
}

// ---- the organiser's side
const registrations = paged({ first: () => `registrations?limit=100${$("filter").value ? `&status=${$("filter").value}` : ""}`, draw: drawRows, button: $("more") });
function drawRows() {
  $("no-registrations").hidden = registrations.rows.length > 0;
  swap($("registrations"), [registrations.rows, shown], ...registrations.rows.map(row => make("li", {},
    button(`show ${row.id}`, row.runner, () => guarded(() => show(row.id, true)), { className: "grow", ariaCurrent: shown === row.id ? "true" : null, lang: "" }),
    make("span", { className: "tag" + (["needs_operator", "parked"].includes(row.status) ? " bad" : "") }, t("status")[row.status]),
    make("span", { className: "facts" }, make("span", { lang: "" }, row.race_name), ...[row.step && [row.title], row.reason && reasonOf(row), row.updated_at && [day(row.updated_at)]].filter(Boolean).flatMap(fact => [" · ", ...fact])))));
}
/** What somebody decided, in words; also where that came too late. */
function decided(name) {
  const refused = /^refused: (.*)$/.exec(name)?.[1];
  return refused ? t("tooLate")(decided(refused)) : words[language][{ skip: "skip_", rollback_to: "place_anew" }[name] ?? name] ?? name;
}
function fitting(it) {
  switch (it.status) {
    case "needs_operator": return ["retry", "skip_", "force_done", "force_failed", "resume_forward", "cancel"];
    case "parked": return ["retry"];
    case "waiting": return it.payment ? ["cancel", "place_anew"] : ["cancel"];
    case "running": return ["cancel"];
    default: return [];
  }
}
async function show(id, focus) {
  shown = id;
  const it = await call("GET", `registrations/${id}`);
  if (shown !== id) return; // another was chosen meanwhile
  drawRows();
  $("detail").hidden = false;
  $("detail-h").textContent = `${it.runner} · ${it.race_name}`;
  const decisions = fitting(it);
  const form = decisions.length > 0 && onSubmit(make("form", { id: "decide-form" },
    make("label", { htmlFor: "decision" }, t("whichDecision")), make("select", { id: "decision", name: "decision" }, ...decisions.map(name => make("option", { value: name.replace("skip_", "skip") }, t(name)))),
    decisions.includes("force_done") && make("label", { htmlFor: "value" }, t("value")), decisions.includes("force_done") && make("input", { id: "value", name: "value", autocomplete: "off", spellcheck: false }),
    make("label", { htmlFor: "why" }, t("why")), make("input", { id: "why", name: "why", required: true, maxLength: 500, autocomplete: "off" }),
    make("p", { className: "row" }, make("button", { type: "submit", className: "main" }, t("decideButton")))), async elements => {
    const body = { decision: elements.decision.value, why: elements.why.value };
    if (it.status === "needs_operator" && it.step) body.at = it.step;
    if (elements.value?.value) body.value = JSON.parse(elements.value.value);
    await call("POST", `registrations/${id}/decisions`, body);
    elements.why.value = "";
    say(t("decided"));
    await registrations.refresh(); await show(id);
  });
  const bar = ["waiting", "running"].includes(it.status) && onSubmit(make("form", { id: "bar-form" },
    make("label", { htmlFor: "bar-why" }, t("why")), make("input", { id: "bar-why", name: "why", required: true, maxLength: 500, autocomplete: "off" }),
    make("p", { className: "row" }, make("button", { type: "submit", className: "main" }, t("barButton")))), async elements => {
    await call("PUT", `races/${it.race}/barred/${encodeURIComponent(it.runner)}`, { why: elements.why.value });
    elements.why.value = "";
    say(t("barred"));
    if (barsOf === it.race) await bars.refresh();
  });
  const picture = document.importNode(new DOMParser().parseFromString(it.svg, "image/svg+xml").documentElement, true);
  const mermaid = make("details", {}, make("summary", {}, t("mermaid")), make("pre", { tabIndex: 0 }, it.mermaid));
  mermaid.dataset.key = "mermaid";
  mermaid.firstChild.dataset.key = "mermaid";
  swap($("detail-body"), it, make("p", {}, make("span", { className: "tag" }, t("status")[it.status]), " ", it.reason ? make("span", { className: "bad" }, `${t("reasonIs")}: `, ...reasonOf(it)) : null),
    make("div", { className: "columns" },
      make("div", {}, make("h3", {}, t("steps")), steps(it.steps)),
      make("div", {},
        it.payment && make("h3", {}, t("payment")), it.payment && make("p", {}, `${t("won")(it.payment.amount_krw)} · ${t("state")[it.payment.state]}`),
        form && make("h3", {}, t("decide")), form, bar && make("h3", {}, t("bar")), bar,
        make("h3", {}, t("decisions")), it.decisions.length ? make("ol", { className: "log" }, ...it.decisions.map(one => make("li", {}, `${day(one.at)} · `, make("span", { lang: "" }, one.who), ` · ${decided(one.decision)} (${one.title}): `, make("span", { lang: "" }, one.why)))) : make("p", { className: "muted" }, t("none")),
        make("h3", {}, t("history")), make("ol", { className: "log" }, ...it.history.map(entry => make("li", {}, `${clock(entry.at)} · ${entry.changed.map(one => `${one.title}: ${t("look")[one.look]}`).join(", ") || entry.title}`))))),
    make("h3", {}, t("diagram")), make("div", { className: "picture", tabIndex: 0, role: "group", ariaLabel: t("diagram") }, picture), mermaid);
  if (focus) { $("detail-h").focus(); $("detail").scrollIntoView({ block: "nearest" }); }
}

// ---- news
let deafen = null, soon = null;
function hearNews() {
  deafen?.();
  // What happened while nobody listened is looked for, too.
  deafen = listen("registrations/events", later, is => { if (is) later(); });
}
// Many changes in a moment are one look.
const later = () => { soon ??= setTimeout(() => { soon = null; guarded(look); }, 150); };
async function look() {
  if (!me) return;
  await races.refresh();
  if (isOrganiser()) { await registrations.refresh(); if (shown) await show(shown); return; }
  if (race && registration) {
    const before = registration;
    registration = await call("GET", `races/${race}/registration`);
    drawMine();
    if (before.status !== registration.status || before.next !== registration.next) say(registration.next ? t("nextIs")(registration.next_title) : [t("status")[registration.status], ...reasons(registration)].filter(Boolean).join(": "));
  }
}

onEnter(async () => {
  await come();
  $("races-h").focus();
});
onSubmit($("make-form"), async (elements, key) => {
  await call("POST", "races", { name: elements.name.value, kind: elements.kind.value, places: Number(elements.places.value), price_krw: Number(elements.price.value) }, once(key));
  elements.name.value = "";
  say(t("made"));
  await races.refresh();
});
$("filter").addEventListener("change", () => { registrations.clear(); guarded(registrations.refresh); });
begin({
  service: "race_registration", words,
  redraw() {
    $("race-box").hidden = !me;
    $("mine").hidden = me?.role !== "runner";
    for (const id of ["make", "office"]) $(id).hidden = !isOrganiser();
    $("detail").hidden = !isOrganiser() || !shown;
    options($("filter"), t("status"), { first: t("all") });
    if (!me) return;
    drawRaces();
    drawBars();
    if (isOrganiser()) { drawRows(); if (shown) guarded(() => show(shown)); } else drawMine();
  },
  left() {
    race = registration = shown = barsOf = null;
    races.clear(); registrations.clear(); bars.clear();
    for (const id of ["races", "barred", "mine-body", "registrations", "detail-body"]) swap($(id), null);
    deafen?.();
  },
  reworded: look,
  begun: () => me && come(),
});
// News tell of registrations; new races and free places show within some seconds.
every(5_000, async () => { if (me) await races.refresh(); });
