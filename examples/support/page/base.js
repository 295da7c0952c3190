// What the pages of all services share: texts in two languages, boxes that are drawn anew under whoever stands in them, requests and
// forms, who has come in, and a notice of what is down. A page tells with `begin` what is its own.

const common = {
  ko: {
    skip: "본문으로 가기", metrics: "지표", enter: "들어가기", side: "어느 쪽인가요?", name: "이름", token: "토큰 (JWT)", enterButton: "들어가기", leave: "나가기",
    development: "개발용: 이름만 대면 12시간짜리 토큰을 받습니다.", production: service => `토큰은 열쇠를 가진 쪽이 발급합니다: ${service} token 이름`,
    trouble: "서버에 닿지 않습니다. 잠시 뒤 다시 해 보세요.", expired: "다시 들어와 주세요.",
    failureKinds: {
      invalid_input: "맞지 않음", not_found: "없음", conflict: "부딪침", unauthorized: "권한 없음", rate_limited: "너무 잦음", unavailable: "쓸 수 없음", overloaded: "바쁨", circuit_open: "잠시 멈춤", timeout: "시간 넘김", cancelled: "그만둠",
      context_too_long: "너무 긺", refused: "거절됨", budget_exhausted: "한도 다 씀", protocol: "알 수 없는 답", unsupported: "안 되는 일", storage: "저장소", other: "그 밖",
      empty_source: "빈 글", not_text: "글이 아님", source_too_large: "글이 너무 긺", invalid_config: "설정", truncated: "끊긴 답", looping: "되풀이하는 답", wrong_language: "다른 언어로 한 답", off_schema: "모양이 다른 답", invalid: "맞지 않는 답",
      ungrounded: "글에 없는 근거", leaked: "예시에서 옮긴 답",
    },
    live: "이어짐", broken: "끊김, 다시 잇는 중",
    notice: {
      down: names => `지금 쓸 수 없는 것: ${names}. 받은 것은 잃지 않으며, 돌아오면 이어서 합니다.`, less: names => `지금 쓸 수 없는 것: ${names}. 그것 없이 되는 일은 그대로 됩니다.`, gone: "서버에 닿지 않습니다.",
      names: { search: "검색", store: "저장소", events: "이벤트", cache: "캐시", model: "언어 모델", books: "장부", boards: "순위표", slack: "슬랙", primary: "주 검색 엔진", fallback: "대신하는 검색 엔진", following: "새 글 색인", partner: "연결된 바깥 서비스", github: "GitHub" },
    },
  },
  en: {
    skip: "Skip to content", metrics: "Metrics", enter: "Come in", side: "Which side are you on?", name: "Name", token: "Token (JWT)", enterButton: "Come in", leave: "Leave",
    development: "For development: a name is enough for a token of 12 hours.", production: service => `Tokens come from whoever holds the key: ${service} token NAME`,
    trouble: "The server cannot be reached. Try again in a moment.", expired: "Please come in again.",
    failureKinds: {},
    live: "live", broken: "broken off, trying again",
    notice: {
      down: names => `Down at the moment: ${names}. What was accepted is safe, and goes on when it is back.`, less: names => `Down at the moment: ${names}. What does not need it goes on.`, gone: "The server cannot be reached.",
      names: { model: "language model", slack: "Slack", primary: "first search engine", fallback: "second search engine", following: "indexing of what is new", partner: "payment partner" },
    },
  },
};
export let language = (localStorage.getItem("language") || navigator.language || "ko").startsWith("ko") ? "ko" : "en";
export let me = JSON.parse(sessionStorage.getItem("me") ?? "null"); // whoever has come in: {token, name, role}
export let setup = { development: true }; // what the service says of itself
let page = null; // see `begin`

export const $ = id => document.getElementById(id);
/** The text of this name: the page's own, else the one of all pages, else the name. */
export const t = name => page.words[language][name] ?? common[language][name] ?? name;
/** Makes an element. A child that is `null`, `undefined` or `false` is left out. */
export const make = (tag, props = {}, ...children) => { const node = Object.assign(document.createElement(tag), props); node.append(...present(children)); return node; };
const present = children => children.filter(child => child !== null && child !== undefined && child !== false);
/** Makes a button with a key, by which `swap` knows it again. */
export const button = (key, text, onclick, props = {}) => { const node = make("button", { type: "button", onclick, ...props }, text); node.dataset.key = key; return node; };
/** What people wrote, in whichever language that is. */
export const written = text => make("span", { lang: "" }, text);
/** What a service calls the kind of a failure, for people. */
export const failureKind = name => t("failureKinds")[name] ?? name.replaceAll("_", " ");
/** What a service says, in the language that it has words in. */
export const said = text => make("span", { lang: /[가-힣]/.test(text) ? "ko" : "en" }, text);
/** Asks for a path, in the language that was chosen. */
export const ask = (path, { headers, ...more } = {}) => fetch(path, { ...more, headers: { "accept-language": language, ...headers } });
let sayings = 0; // how often something was said
/** Says something in the line that is read out. */
export const say = (text, bad) => { sayings += 1; $("status").textContent = text; $("status").classList.toggle("bad", Boolean(bad)); };

const drawn = {};
/**
 * Shows other children in a box, if `what` they show is other than before: then nothing is drawn, or read out, for nothing. What was typed in
 * the box, and what was opened, stays. Whoever stood within it by keyboard stays: on the same thing, else on what opens the same row, else on the heading.
 */
export function swap(box, what, ...children) {
  const now = JSON.stringify([what, language, me?.name, me?.role]);
  if (drawn[box.id] === now) return;
  drawn[box.id] = now;
  const open = [...box.querySelectorAll("details[open]")].map(node => node.dataset.key);
  const typed = [...box.querySelectorAll("select, input:not([type=checkbox], [type=radio])")].map(node => [node.id, node.value]);
  keepFocus(box, () => box.replaceChildren(...present(children)));
  for (const node of box.querySelectorAll("details")) node.open = open.includes(node.dataset.key);
  for (const [id, value] of typed) { const node = id && $(id); if (node && (!node.options || [...node.options].some(option => option.value === value))) node.value = value; }
}
function keepFocus(box, change) {
  const at = box.contains(document.activeElement) ? document.activeElement : null;
  const row = [...box.children].findIndex(child => child.contains(at));
  change();
  if (!at || document.activeElement === at) return;
  if (at.isConnected) return at.focus();
  const same = (at.dataset.key && [...box.querySelectorAll("[data-key]")].find(node => node.tagName === at.tagName && node.dataset.key === at.dataset.key)) || (at.id && $(at.id));
  const near = box.children[Math.min(row, box.children.length - 1)]?.querySelector("button.grow");
  (same || near || box.closest("section").querySelector("h2")).focus();
}
/**
 * As `swap`, row by row, for rows with an `id`: `draw` makes the element of one. A row that shows the same as before stays the element that it is,
 * so that news of one row disturb nobody who reads, or stands in, another.
 */
export function swapRows(box, rows, draw) {
  const before = new Map([...box.children].map(node => [node.dataset.row, node]));
  const wanted = rows.map(row => {
    const now = JSON.stringify([row, language, me?.name, me?.role]), known = before.get(String(row.id));
    if (known && drawnRows.get(known) === now) return known;
    const node = draw(row);
    node.dataset.row = row.id;
    drawnRows.set(node, now);
    return node;
  });
  keepFocus(box, () => {
    const kept = new Set(wanted);
    for (const node of before.values()) if (!kept.has(node)) node.remove();
    // Only what stands elsewhere is moved: whoever moves loses the focus.
    wanted.forEach((node, place) => { if (box.children[place] !== node) box.insertBefore(node, box.children[place] ?? null); });
  });
}
const drawnRows = new WeakMap();
/** Fills a select anew, by value and text, and keeps what was chosen in it. */
export function options(select, of, { first, chosen = select.value } = {}) {
  select.replaceChildren(...(first ? [make("option", { value: "" }, first)] : []), ...Object.entries(of).map(([value, text]) => make("option", { value }, text)));
  if (chosen in of) select.value = chosen;
}

/** Writes all texts in the language, and shows what is for whoever has come in. */
export function redraw() {
  document.documentElement.lang = language;
  document.title = t("title");
  for (const node of document.querySelectorAll("[data-t]")) node.textContent = t(node.dataset.t);
  $("language").textContent = language === "ko" ? "English" : "한국어";
  $("language").lang = language === "ko" ? "en" : "ko";
  if ($("enter")) {
    $("enter").hidden = Boolean(me);
    $("me").hidden = !me;
    $("by-name").hidden = !setup.development;
    $("by-token").hidden = setup.development;
    $("enter-note").textContent = setup.development ? t("development") : t("production")(page.service);
    if (me) $("me-text").replaceChildren(`${t(me.role)}: `, written(me.name));
  }
  page.redraw?.();
}

/** Asks the service, for whoever has come in; a refusal is an error with the `status` (and `isOpen`, if what was asked for may have been done, or may yet be), a service out of reach one that `isAway`, each with a text for people. */
export async function request(method, path, body, headers = {}) {
  const all = { ...(body ? { "content-type": "application/json" } : {}), ...(me ? { authorization: `Bearer ${me.token}` } : {}), ...headers };
  const answer = await ask(path, { method, headers: all, body: body && JSON.stringify(body) }).catch(() => { throw Object.assign(new Error(t("trouble")), { isAway: true }); });
  const value = answer.headers.get("content-type")?.includes("json") ? await answer.json() : null;
  if (answer.status === 401 && me) { leave(); throw new Error(t("expired")); }
  if (!answer.ok) throw Object.assign(new Error(explained(value) ?? `${answer.status}`), { status: answer.status, isOpen: isOpen(answer) });
  return { value, status: answer.status, link: answer.headers.get("link") };
}
// Whether an answer leaves open what became of the request: the service failed on the way, has not come to it, or (a conflict that passes) is still at it.
const isOpen = ({ status, headers }) => status >= 500 || [408, 425, 429].includes(status) || status === 409 && headers.has("retry-after");
/** As `request`: what was answered alone. */
export const call = async (...asked) => (await request(...asked)).value;
// In the page's own words, where it has some, and else in the service's, which are in the same language.
const explained = problem => page.words[language].problem?.[problem?.kind] ?? problem?.detail ?? problem?.title;
/** The address of the page after this one, if there is one. */
export const nextOf = link => /<\/?([^>]*)>; *rel="next"/.exec(link ?? "")?.[1] ?? null;
/**
 * A list that is shown page by page. `first` is the address of its first page, `draw` shows the rows, and `button` is to show more of them; `ask`
 * asks for an address, as `request` does.
 * `refresh` asks anew for as many as are shown, or wanted by a press of the button, and the rest of their page. An answer is shown unless one is
 * that was asked for later, or the list was cleared since.
 */
export function paged({ first, draw, button, ask = address => request("GET", address) }) {
  const list = { rows: [], refresh: read, clear: () => { wanted = 0; show([], null, ++asked); } };
  let asked = 0, shown = 0, wanted = 0;
  async function read() {
    const mine = ++asked, many = Math.max(list.rows.length, wanted, 1), found = [];
    let path = first();
    do {
      const { value, link } = await ask(path);
      found.push(...value);
      path = nextOf(link);
    } while (path && found.length < many);
    if (mine > shown) show(found, path, mine);
  }
  function show(rows, next, mine) {
    shown = mine;
    list.rows = rows;
    // What was asked for before the press has fewer, and leaves it to the next.
    if (!next || rows.length >= wanted) wanted = 0;
    const stood = document.activeElement === button;
    button.hidden = !next;
    if (stood && !next) button.closest("section").querySelector("h2").focus();
    draw();
  }
  button.onclick = () => guarded(() => { wanted = list.rows.length + 1; return read(); });
  return list;
}
/** Does what may fail, and says so. What a person's press failed with is over when the next one goes well, and is said no more. */
export async function guarded(work) {
  const before = sayings, failed = $("status").classList.contains("bad"), pressed = navigator.userActivation?.isActive;
  try {
    await work();
    if (failed && pressed && sayings === before) say("");
  } catch (error) {
    say(error.message, true);
    if (error instanceof TypeError || error instanceof ReferenceError) console.error(error); // of the page, not of the service
  }
}
/** Asks again and again while somebody looks at the page. */
export const every = (ms, work) => setInterval(() => { if (!document.hidden) work().catch(() => {}); }, ms);

/** Reads server-sent events from an answer: each an object by field. What only keeps the connection alive has no `data`. */
export async function* eventsOf(answer) {
  const pieces = answer.body.pipeThrough(new TextDecoderStream()).getReader();
  for (let buffer = ""; ;) {
    const { done, value } = await pieces.read();
    if (done) return;
    buffer += value;
    for (let end; (end = buffer.indexOf("\n\n")) >= 0; buffer = buffer.slice(end + 2)) {
      const lines = buffer.slice(0, end).split("\n").filter(line => !line.startsWith(":"));
      yield Object.fromEntries(lines.map(line => [line.slice(0, line.indexOf(":")), line.slice(line.indexOf(":") + 1).trim()]));
    }
  }
}
const soonest = 500, latest = 30_000, silence = 45_000; // services send something every 15 seconds
/**
 * Listens to the server-sent events at a path, and listens again when the connection breaks, or falls silent: after half a second, then twice as long
 * each time, spread by chance so that not all come back together, and at once when the network is back. `live` is told when it is heard, and when
 * not any more; what was missed meanwhile is the page's to ask for. Returns what ends it.
 */
export function listen(path, heard, live) {
  const ended = new AbortController();
  (async () => {
    for (let pause = soonest; !ended.signal.aborted; pause = Math.min(pause * 2, latest)) {
      const broken = new AbortController();
      // A connection may outlive the network, and hear nothing.
      addEventListener("offline", () => broken.abort(), { signal: broken.signal });
      let timer;
      const wait = () => { clearTimeout(timer); timer = setTimeout(() => broken.abort(), silence); };
      try {
        wait();
        const answer = await ask(path, { headers: me ? { authorization: `Bearer ${me.token}` } : {}, signal: AbortSignal.any([ended.signal, broken.signal]) });
        if (answer.status === 401 && me) return leave();
        if (answer.ok) {
          pause = soonest / 2;
          live(true);
          for await (const event of eventsOf(answer)) { wait(); if (event.data) heard(event); }
        }
      } catch { /* the connection broke, and is made again */ }
      clearTimeout(timer);
      broken.abort();
      if (ended.signal.aborted) return;
      live(false);
      await new Promise(wake => {
        // Without a network there may still be a service, on this machine.
        const timer = setTimeout(wake, navigator.onLine ? pause * (1 + Math.random()) / 2 : latest);
        addEventListener("online", () => { clearTimeout(timer); wake(); }, { once: true, signal: ended.signal });
      });
    }
  })();
  return () => ended.abort();
}
/** Says whether news are heard, in the line of that name. */
export function sayLive(is) {
  const line = $("line");
  line.dataset.live = is;
  line.textContent = t(is ? "live" : "broken");
  line.classList.toggle("bad", !is);
}

const busy = new WeakSet(), keys = new WeakMap();
/** The header by which what is sent twice is done once. */
export const once = key => ({ "idempotency-key": key });
/** Sends a form once, however often it is asked for; under one key until it was done, refused or changed, so that a retry makes nothing twice. */
export function onSubmit(form, work) {
  form.addEventListener("input", () => keys.delete(form));
  form.addEventListener("submit", event => {
    event.preventDefault();
    if (busy.has(form)) return;
    busy.add(form);
    const main = form.querySelector("[type=submit]");
    // Not `disabled`, which would take the focus from it.
    main.ariaDisabled = "true";
    if (!keys.has(form)) keys.set(form, [...crypto.getRandomValues(new Uint8Array(16))].map(byte => byte.toString(16).padStart(2, "0")).join(""));
    guarded(async () => {
      try { await work(form.elements, keys.get(form)); } catch (error) {
        if (error.status && !error.isOpen) keys.delete(form);
        throw error;
      }
      keys.delete(form);
    }).finally(() => { busy.delete(form); main.ariaDisabled = null; });
  });
  return form;
}

/** Lets people in: by a name where the service hands out tokens (`wanted` reads the form), and else by the token that they have. */
export function onEnter(entered, wanted = ({ name, role }) => ({ name: name.value.trim(), role: role.value })) {
  onSubmit($("enter-form"), async elements => {
    const token = setup.development ? (await call("POST", "tokens", wanted(elements))).token : elements.token.value.trim();
    me = { token, ...claimed(token) };
    sessionStorage.setItem("me", JSON.stringify(me));
    say("");
    redraw();
    await entered();
  });
  $("leave").onclick = leave;
}
function claimed(token) {
  try {
    const letters = atob(token.split(".")[1].replaceAll("-", "+").replaceAll("_", "/"));
    const { sub, role } = JSON.parse(new TextDecoder().decode(Uint8Array.from(letters, letter => letter.charCodeAt(0))));
    return { name: sub, role };
  } catch { throw new Error(t("expired")); }
}
/** Lets whoever has come in leave. */
export function leave() {
  me = null;
  sessionStorage.removeItem("me");
  page.left?.();
  redraw();
  $("enter-h").focus();
}

/**
 * What a service has put aside, in the section `aside`, for those for whom `may` holds: the list `letters`, `no-letters` where there is none, and the
 * button `deliver-again`. The page has the words, and calls `refresh`, `draw` and `forget`.
 */
export function putAside(may, delivered) {
  const letters = paged({ first: () => "put-aside", draw, button: $("more-letters") });
  function draw() {
    $("aside").hidden = !may();
    swap($("letters"), letters.rows, ...letters.rows.map(letter => make("li", {}, make("p", {}, new Date(letter.at).toLocaleString(language, { dateStyle: "short", timeStyle: "short" }), " ", make("span", { className: "tag bad" }, failureKind(letter.kind)), " ", make("span", { className: "tag" }, t("attempts")(letter.attempts))), make("p", {}, said(letter.reason)))));
    $("no-letters").hidden = letters.rows.length > 0;
    $("deliver-again").hidden = !letters.rows.length;
  }
  $("deliver-again").onclick = () => guarded(async () => {
    let count = 0;
    // What is put aside meanwhile is left for the next time.
    for (let path = "put-aside?limit=500"; path;) {
      const { value, link } = await request("GET", path);
      if (value.length) count += (await call("POST", "put-aside/deliver-again", { ids: value.map(row => row.id) })).delivered;
      path = nextOf(link);
    }
    say(t("delivered")(count));
    $("aside-h").focus();
    await letters.refresh();
    await delivered?.();
  });
  return { refresh: async () => { if (may()) await letters.refresh(); }, draw, forget: letters.clear };
}

/**
 * Begins a page, which is: `service`, its name; `words`, its texts by language; and, where it has them, `redraw`, which shows what depends on
 * the language and on who has come in; `left`, which forgets what was shown to whoever left; `begun`, which asks for what is shown first, once
 * `setup` is known; and `reworded`, which asks anew for what the service says in the language that was chosen just now.
 */
export async function begin(own) {
  page = own;
  $("language").onclick = () => { language = language === "ko" ? "en" : "ko"; localStorage.setItem("language", language); say(""); redraw(); guarded(reword); };
  redraw();
  document.querySelector("header").after(notice);
  tellWhatIsDown();
  setInterval(tellWhatIsDown, 5000);
  await guarded(async () => { setup = await call("GET", "about"); redraw(); await page.begun?.(); });
}

async function reword() {
  document.body.ariaBusy = "true";
  try { await Promise.all([tellWhatIsDown(), page.reworded?.()]); } finally { document.body.ariaBusy = null; }
}

// Says which dependency is down, for as long as it is, and whether the service goes on without it.
const notice = make("p", { id: "down", role: "alert", hidden: true });
async function tellWhatIsDown() {
  const said = common[language].notice;
  let text = "";
  try {
    const answer = await ask("readyz");
    const state = await answer.json();
    const names = state.down?.map(name => said.names[name] ?? name).join(", ");
    if (!answer.ok) text = names ? said.down(names) : state.detail;
    else if (names) text = said.less(names);
  } catch { text = said.gone; }
  if (said !== common[language].notice) return; // another language was chosen meanwhile, and is asked for by itself
  if (notice.textContent !== text) notice.textContent = text;
  notice.hidden = !text;
}
