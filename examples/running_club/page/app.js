import { $, begin, button, call, every, guarded, language, make, me, onEnter, onSubmit, once, options, paged, request, say, setup, swap, t, written } from "./base.js";

const words = {
  ko: {
    title: "러닝 클럽", lead: "달린 기록을 올리면 개인과 크루의 거리·시간·페이스 순위에 바로 반영됩니다. 지난주 대비 변동과 내 앞뒤 러너, 업적, 주간·월간 결산을 봅니다.",
    runner: "러너", organiser: "운영진", out: "나가기",
    ranks: "순위", of: "누구", by: "기준", span: "기간", ofs: { runners: "러너", crews: "크루" }, bys: { distance: "거리", time: "시간", pace: "페이스 (5km 이상)", attendance: "출석", members: "참여 인원" }, spans: { week: "주간", month: "월간" },
    earlier: "이전", later: "다음", open: "진행 중", closed: "마감", since: { week_before: "변동은 지난주 대비", closed_week: "변동은 지난 월요일 마감 대비", month_before: "변동은 지난달 대비" }, windowOf: (from, to, state) => `${from} – ${to} · ${state}`, noPlaces: "아직 기록이 없습니다.", more: "더 보기",
    rank: "순위", who: "이름", moved: "변동", fresh: "새로", up: n => `▲ ${n}`, down: n => `▼ ${n}`, same: "–", upBy: n => `${n}계단 오름`, downBy: n => `${n}계단 내림`, sameRank: "그대로",
    values: { distance_m: "거리", time_s: "시간", pace_ms_per_km: "페이스", attendance: "출석", members: "인원" },
    behind: (n, s) => `기록 ${n}건을 ${s}초째 반영하는 중`,
    mineIs: (rank, total, percentile) => `내 순위: ${total}명 중 ${rank}위 (백분위 ${percentile})`, crewIs: (rank, total, percentile) => `우리 크루: ${total}크루 중 ${rank}위 (백분위 ${percentile})`,
    record: "달린 기록", began: "시작한 때", inZone: zone => `${zone}의 시각입니다.`, km: "거리 (km)", took: "시간 (분:초)", recordButton: "기록하기", recorded: "기록했습니다. 순위는 곧 바뀝니다.", recordedLate: "기록했습니다. 그 주는 마감되어 주간 순위에는 들지 않습니다.", badTime: "시간은 52:30이나 1:45:00처럼 씁니다.", noRuns: "아직 기록이 없습니다.", late: "주간 마감 후", alone: "혼자", takeBack: "기록 지우기", takenBack: "기록을 지웠습니다. 순위와 업적은 곧 바뀝니다.",
    crews: "크루", crewName: "새 크루 이름", found: "만들기", founded: "크루를 만들고 들어갔습니다.", noCrews: "아직 크루가 없습니다.", members: n => `${n}명`, founder: name => `만든 사람 ${name}`, join: "들어가기", leave: "나오기", joined: "들어갔습니다. 이제부터의 기록은 이 크루에도 반영됩니다.", left: "나왔습니다.",
    badges: "내 업적", earnedOn: day => `${day}에 얻음`, notYet: "아직",
    recaps: "내 결산", askWeek: "이번 주 중간 결산", askMonth: "이번 달 중간 결산", asked: "결산을 만들고 있습니다.", noRecaps: "아직 결산이 없습니다. 한 주나 한 달이 마감될 때 만들어집니다.", soFar: at => `${at}까지`, moreRuns: "지난 기록 더 보기", moreCrews: "크루 더 보기", moreWeeks: "주간 결산 더 보기", moreMonths: "월간 결산 더 보기",
    figures: { distance_m: "거리", time_s: "시간", runs: "횟수", days: "달린 날", longest_m: "가장 긴 거리", pace_s_per_km: "페이스", rank: "거리 순위", distance_change_m: "거리 변화", pace_change_s_per_km: "페이스 변화" },
    news: "클럽 소식", noNews: "아직 소식이 없습니다.", jobs: "예약 작업", noJobs: "아직 돈 작업이 없습니다.", jobNames: { "weekly-recap": "주간 마감과 결산", "monthly-recap": "월간 마감과 결산" }, states: { waiting: "기다림", running: "도는 중", done: "끝남", failed: "실패", skipped: "건너뜀" }, attempts: n => `시도 ${n}번`,
    problem: { conflict: "이미 있는 이름입니다. 들어가거나 다른 이름을 쓰세요.", closed: "이 기록이 든 주나 달이 마감되어 지울 수 없습니다.", not_kept: "기록을 지울 수 있게 되기 전의 기록이 순위에 있어, 이번 주와 이번 달의 기록은 지울 수 없습니다." },
  },
  en: {
    title: "Running club", lead: "Record a run, and it counts on the boards by distance, time and pace, for you and your crew. See what has moved since last week, who runs right before and behind you, achievements, and recaps of weeks and months.",
    runner: "Runner", organiser: "Organiser", out: "Leave",
    ranks: "Leaderboards", of: "Who", by: "By", span: "Span", ofs: { runners: "Runners", crews: "Crews" }, bys: { distance: "Distance", time: "Time", pace: "Pace (5 km or more)", attendance: "Attendance", members: "Members" }, spans: { week: "Week", month: "Month" },
    earlier: "Earlier", later: "Later", open: "going on", closed: "closed", since: { week_before: "moved since the week before", closed_week: "moved since the last week was closed", month_before: "moved since the month before" }, windowOf: (from, to, state) => `${from} – ${to} · ${state}`, noPlaces: "Nobody has run yet.", more: "Show more",
    rank: "Rank", who: "Name", moved: "Moved", fresh: "new", up: n => `▲ ${n}`, down: n => `▼ ${n}`, same: "–", upBy: n => `up by ${n}`, downBy: n => `down by ${n}`, sameRank: "as before",
    values: { distance_m: "Distance", time_s: "Time", pace_ms_per_km: "Pace", attendance: "Attendance", members: "Members" },
    behind: (n, s) => `${n} runs are still to follow, for ${s} s`,
    mineIs: (rank, total, percentile) => `You are ${rank} of ${total} (percentile ${percentile})`, crewIs: (rank, total, percentile) => `Your crew is ${rank} of ${total} (percentile ${percentile})`,
    record: "Your runs", began: "Began at", inZone: zone => `By the clocks of ${zone}.`, km: "Distance (km)", took: "Time (min:s)", recordButton: "Record", recorded: "Recorded. The boards will follow at once.", recordedLate: "Recorded. Its week is closed, and it does not count there.", badTime: "A time is written like 52:30 or 1:45:00.", noRuns: "You have recorded no run yet.", late: "after the week was closed", alone: "alone", takeBack: "Take back", takenBack: "Taken back. The boards and achievements will follow at once.",
    crews: "Crews", crewName: "Name of a new crew", found: "Found the crew", founded: "The crew is founded, and you run with it.", noCrews: "There is no crew yet.", members: n => `${n} members`, founder: name => `founded by ${name}`, join: "Join", leave: "Leave", joined: "Joined. What you record from now on counts for the crew, too.", left: "You run alone.",
    badges: "Your achievements", earnedOn: day => `earned on ${day}`, notYet: "not yet",
    recaps: "Your recaps", askWeek: "Recap this week so far", askMonth: "Recap this month so far", asked: "The recaps are being made.", noRecaps: "There is none yet: they are made when a week or a month is closed.", soFar: at => `until ${at}`, moreRuns: "Earlier runs", moreCrews: "More crews", moreWeeks: "Show more weeks", moreMonths: "Show more months",
    figures: { distance_m: "Distance", time_s: "Time", runs: "Runs", days: "Days", longest_m: "Longest", pace_s_per_km: "Pace", rank: "Rank by distance", distance_change_m: "Distance, change", pace_change_s_per_km: "Pace, change" },
    news: "News of the club", noNews: "There is no news yet.", jobs: "Scheduled jobs", noJobs: "None has run yet.", jobNames: { "weekly-recap": "The week's end and recaps", "monthly-recap": "The month's end and recaps" }, states: { waiting: "waiting", running: "running", done: "done", failed: "failed", skipped: "skipped" }, attempts: n => `${n} attempts`,
    problem: { conflict: "There is a crew of this name: join it, or choose another name.", closed: "The week or the month of this run is closed: it stays.", not_kept: "The boards have runs from before runs could be taken back: those of this week and month stay." },
  },
};
let board = null, next = null, mine = null, crew = null, badges = [], followers = [];
const weeks = paged({ first: () => "recaps?limit=5", draw: drawMine, button: $("more-weeks") });
const months = paged({ first: () => "recaps?span=month&limit=5", draw: drawMine, button: $("more-months") });
const jobs = paged({ first: () => "jobs?limit=10", draw: drawMine, button: $("more-jobs") });
const runs = paged({ first: () => "runs?limit=10", draw: drawMine, button: $("more-runs") });
const crews = paged({ first: () => "crews", draw: drawClub, button: $("more-crews") });
const news = paged({ first: () => "news?limit=10", draw: drawClub, button: $("more-news") });
let pressed = 0; // how often Later, or with a minus Earlier, was pressed before the board was there
let shown = { of: "runners", by: "distance", span: "week", on: null };
// The club's clock, as a field for a moment has it; and the moment at which it says so: whoever runs elsewhere has another one on the wall.
const onClubClock = at => new Date(at).toLocaleString("sv-SE", { dateStyle: "short", timeStyle: "short", timeZone: setup.zone }).replace(" ", "T");
const inClubZone = said => { const wanted = Date.parse(`${said}Z`), ahead = at => Date.parse(`${onClubClock(at)}Z`) - at, near = wanted - ahead(wanted); return new Date(wanted - ahead(near)); };
const moment = at => new Date(at).toLocaleString(language, { dateStyle: "short", timeStyle: "short", timeZone: setup.zone });
const day = at => new Date(at).toLocaleDateString(language, { month: "short", day: "numeric", weekday: "short", timeZone: setup.zone });
// The club's days end at two in the morning.
const lastDay = to => day(new Date(to) - 3 * 3_600_000);
const called = badge => language === "ko" ? badge.korean : badge.english;
const isOrganiser = () => me?.role === "organiser";
const km = metres => `${(metres / 1000).toLocaleString(language, { maximumFractionDigits: 3 })} km`;
const two = number => String(number).padStart(2, "0");
const time = seconds => seconds < 3600 ? `${Math.floor(seconds / 60)}:${two(seconds % 60)}` : `${Math.floor(seconds / 3600)}:${two(Math.floor(seconds / 60) % 60)}:${two(seconds % 60)}`;
const pace = seconds => `${Math.floor(Math.round(seconds) / 60)}′${two(Math.round(seconds) % 60)}″/km`;
const behind = lag => t("behind")(lag.waiting, (lag.lag_ms / 1000).toFixed(1));
const sign = (number, text) => number > 0 ? `+${text}` : number < 0 ? `−${text}` : text;
function value(name, number) {
  if (name === "distance_change_m") return sign(number, km(Math.abs(number)));
  if (name === "pace_change_s_per_km") return sign(number, `${Math.abs(number)} s/km`);
  if (name.endsWith("_m")) return km(number);
  if (name === "pace_ms_per_km") return pace(Math.round(number / 1000));
  if (name === "pace_s_per_km") return pace(number);
  if (name === "time_s") return time(number);
  return number.toLocaleString(language);
}

// What a leaderboard may be chosen by.
function choices() {
  options($("of"), t("ofs"), { chosen: shown.of });
  const { distance, time, pace, attendance, members } = t("bys");
  options($("by"), shown.of === "crews" ? { distance, time, pace, attendance, members } : { distance, time, pace }, { chosen: shown.by });
  options($("span"), t("spans"), { chosen: shown.span });
}
const sayWho = () => { if (me) $("me-text").replaceChildren(`${t(me.role)}: `, written(me.name), ...(crew ? [" · ", written(crew)] : [])); };

// ---- boards
const asked = () => `boards/${shown.of}.${shown.by}`;
const spanned = () => `span=${shown.span}${shown.on ? `&on=${shown.on}` : ""}`;
async function refreshBoard() {
  const wanted = { ...shown }, count = Math.min(Math.max(board?.places.length ?? 0, 20), 500);
  const list = request("GET", `${asked()}?${spanned()}&limit=${count}`);
  const own = me ? call("GET", `${asked()}/mine?${spanned()}&neighbours=2`) : null;
  const [{ value, link }, around] = await Promise.all([list, own]);
  if (JSON.stringify(wanted) !== JSON.stringify(shown)) return;
  board = value; next = link ? value.places.length : null; mine = around?.rank ? around : null;
  const direction = Math.sign(pressed);
  pressed -= direction;
  if (direction) turn(direction); else drawBoard();
}
async function more() {
  const to = board;
  const { value, link } = await request("GET", `${asked()}?${spanned()}&limit=50&after=${next}`);
  if (board !== to) return;
  board.places.push(...value.places);
  next = link ? board.places.length : null;
  drawBoard();
}
function table(id, places) {
  const names = places.length ? Object.keys(places[0].values) : [], order = ["distance_m", "time_s", "pace_ms_per_km", "attendance", "members"];
  // What is decisive stands first.
  const first = { distance: "distance_m", time: "time_s", pace: "pace_ms_per_km", attendance: "attendance", members: "members" }[shown.by];
  names.sort((one, other) => (one !== first) - (other !== first) || order.indexOf(one) - order.indexOf(other));
  const moved = climbed => climbed === undefined ? make("span", {}, t("fresh")) : make("span", { ariaLabel: climbed > 0 ? t("upBy")(climbed) : climbed < 0 ? t("downBy")(-climbed) : t("sameRank"), role: "img" }, climbed > 0 ? t("up")(climbed) : climbed < 0 ? t("down")(-climbed) : t("same"));
  return make("table", { ariaLabel: id },
    make("thead", {}, make("tr", {}, make("th", { scope: "col" }, t("rank")), make("th", { scope: "col" }, t("who")), ...names.map(name => make("th", { scope: "col", className: "number" }, t("values")[name])), make("th", { scope: "col", className: "number" }, t("moved")))),
    make("tbody", {}, ...places.map(place => make("tr", { className: place.mine ? "mine" : "" }, make("td", {}, String(place.rank)), make("td", { className: "name", lang: "" }, place.name), ...names.map(name => make("td", { className: "number" }, value(name, place.values[name]))), make("td", { className: "number" }, moved(place.climbed))))));
}
// While what was chosen is fetched nothing shows that was chosen before.
function drawNoBoard() {
  $("board").ariaBusy = "true";
  $("window").textContent = "…";
  $("later").disabled = !shown.on && pressed >= 0;
  $("no-places").hidden = $("more").hidden = $("mine").hidden = true;
  swap($("board"), null);
}
function drawBoard() {
  if (!board) return drawNoBoard();
  $("board").ariaBusy = null;
  $("window").textContent = `${t("windowOf")(day(board.from), lastDay(board.to), t(board.closed ? "closed" : "open"))} · ${t("since")[board.moved_since]}${board.waiting ? ` · ${behind(board)}` : ""}`;
  $("later").disabled = new Date(board.to) > new Date();
  $("no-places").hidden = board.places.length > 0;
  $("more").hidden = !next;
  const title = `${t("ofs")[shown.of]}, ${t("bys")[shown.by]}, ${t("spans")[shown.span]}`;
  swap($("board"), [title, board.places], ...(board.places.length ? [table(title, board.places)] : []));
  $("mine").hidden = !mine;
  if (!mine) return;
  const percentile = mine.percentile.toLocaleString(language, { maximumFractionDigits: 1 });
  $("mine-h").textContent = t(shown.of === "crews" ? "crewIs" : "mineIs")(mine.rank, mine.total, percentile);
  swap($("neighbours"), [title, mine.places], table($("mine-h").textContent, mine.places));
}
function choose(change) {
  shown = { ...shown, ...change };
  if (shown.of === "runners" && ["attendance", "members"].includes(shown.by)) shown.by = "distance";
  board = null; next = null; mine = null;
  choices();
  drawBoard();
  guarded(refreshBoard);
}
// The middle of the window before or after: away from changes of the clock.
function turn(direction) {
  if (!board) { pressed += direction; return drawBoard(); }
  const from = new Date(board.from), to = new Date(board.to), length = to - from;
  const at = new Date(direction < 0 ? from - length / 2 : to - 0 + length / 2);
  choose({ on: at > new Date() ? null : at.toISOString().slice(0, 10) });
}

// ---- people
async function refreshMine() {
  if (!me) return;
  const lists = [runs, weeks, months, ...(isOrganiser() ? [jobs] : [])].map(list => list.refresh());
  const [who, all, lags] = await Promise.all([...["me", "achievements", "followers"].map(path => call("GET", path)), ...lists]);
  if (!me) return;
  crew = who.crew ?? null; badges = all; followers = lags;
  sayWho();
  drawMine();
}
function drawMine() {
  $("no-runs").hidden = runs.rows.length > 0;
  swap($("runs"), runs.rows, ...runs.rows.map(run => make("li", {},
    make("strong", { className: "grow" }, `${km(run.distance_m)} · ${time(run.time_s)} · ${pace(run.time_s * 1000 / run.distance_m)}`),
    !run.in_time && make("span", { className: "tag" }, t("late")),
    run.can_be_taken_back && button(`take back ${run.id}`, t("takeBack"), () => guarded(() => takeBack(run)), { ariaLabel: `${t("takeBack")}: ${km(run.distance_m)} · ${time(run.time_s)}` }),
    make("span", { className: "facts" }, `${moment(run.began_at)} · `, make("span", { lang: "" }, run.crew ?? t("alone"))))));
  const late = followers.find(lag => lag.follower === "achievements" && lag.waiting);
  $("badges-behind").hidden = !late;
  $("badges-behind").textContent = late ? behind(late) : "";
  swap($("badges"), badges, ...badges.map(badge => make("li", { className: badge.earned_at ? "has" : "", title: badge.earned_at ? t("earnedOn")(day(badge.earned_at)) : t("notYet") }, called(badge), make("span", { className: "sr" }, ` (${badge.earned_at ? t("earnedOn")(day(badge.earned_at)) : t("notYet")})`))));
  const recaps = [...weeks.rows, ...months.rows].sort((one, other) => new Date(other.until) - new Date(one.until));
  $("no-recaps").hidden = recaps.length > 0;
  swap($("recaps"), recaps, ...recaps.map(recap => make("li", {},
    make("strong", { className: "grow" }, `${t("spans")[recap.span]} ${day(recap.from)} – ${lastDay(recap.to)}`),
    make("span", { className: "tag" }, recap.closed ? t("closed") : t("soFar")(moment(recap.until))),
    make("dl", {}, ...[...Object.keys(t("figures")).filter(name => name in recap.figures), ...Object.keys(recap.figures).filter(name => !(name in t("figures")))].map(name => make("div", {}, make("dt", {}, t("figures")[name] ?? name), make("dd", {}, value(name, recap.figures[name]))))))));
  $("no-jobs").hidden = jobs.rows.length > 0;
  swap($("jobs"), jobs.rows, ...jobs.rows.map(job => make("li", {},
    make("strong", { className: "grow" }, t("jobNames")[job.job] ?? job.job),
    make("span", { className: job.status === "failed" ? "tag bad" : "tag" }, t("states")[job.status] ?? job.status),
    make("span", { className: "facts" }, `${moment(job.due)} · ${t("attempts")(job.attempts)}${job.reason ? ` · ${job.reason}` : ""}`))));
}
async function takeBack(run) {
  await call("DELETE", `runs/${run.id}`);
  say(t("takenBack"));
  await refresh();
  setTimeout(() => refresh().catch(() => {}), 700);
}
async function refreshClub() {
  await Promise.all([crews.refresh(), news.refresh()]);
  drawClub();
}
function drawClub() {
  $("no-crews").hidden = crews.rows.length > 0;
  // One's own crew is there on whichever page it is.
  const all = !crew || crews.rows.some(each => each.name === crew) ? crews.rows : [{ name: crew }, ...crews.rows];
  swap($("crew-list"), [all, crew], ...all.map(each => make("li", {},
    make("strong", { className: "grow", lang: "" }, each.name),
    each.founder && make("span", { className: "tag" }, t("members")(each.members)),
    me && each.name !== crew && button(`join ${each.name}`, t("join"), () => guarded(async () => { await call("PUT", "me/crew", { crew: each.name }); say(t("joined")); await refresh(); }), { ariaLabel: `${t("join")}: ${each.name}` }),
    me && each.name === crew && button(`leave ${each.name}`, t("leave"), () => guarded(async () => { await call("DELETE", "me/crew"); say(t("left")); await refresh(); }), { ariaLabel: `${t("leave")}: ${each.name}` }),
    each.founder && make("span", { className: "facts", lang: "" }, t("founder")(each.founder)))));
  $("no-news").hidden = news.rows.length > 0;
  swap($("news"), news.rows, ...news.rows.map(each => make("li", {},
    make("strong", { lang: "" }, each.runner), make("span", { className: "grow" }, called(each)), make("span", { className: "facts" }, moment(each.earned_at)))));
}

function drawAll() { drawBoard(); drawMine(); drawClub(); }
async function refresh() { await Promise.all([refreshBoard(), refreshMine()]); await refreshClub(); }

onEnter(async () => {
  await refresh();
  $("ranks-h").focus();
});
onSubmit($("run-form"), async (elements, key) => {
  const parts = elements.took.value.split(":").map(Number);
  if (parts.length < 2 || parts.some(Number.isNaN)) throw new Error(t("badTime"));
  const run = { began_at: inClubZone(elements.began.value).toISOString(), distance_m: Math.round(Number(elements.km.value) * 1000), time_s: parts.reduce((sum, part) => sum * 60 + part, 0) };
  const value = await call("POST", "runs", run, once(key));
  elements.km.value = ""; elements.took.value = "";
  say(t(value.in_time ? "recorded" : "recordedLate"));
  await refresh();
  setTimeout(() => refresh().catch(() => {}), 700);
});
onSubmit($("crew-form"), async elements => {
  await call("POST", "crews", { name: elements.name.value });
  elements.name.value = "";
  say(t("founded"));
  await refresh();
});
for (const [id, span] of [["ask-week", "week"], ["ask-month", "month"]]) $(id).onclick = () => guarded(async () => { await call("POST", "recaps", { span }); say(t("asked")); setTimeout(() => refresh().catch(() => {}), 700); });
$("more").onclick = () => guarded(more);
$("of").onchange = () => choose({ of: $("of").value });
$("by").onchange = () => choose({ by: $("by").value });
$("span").onchange = () => { pressed = 0; choose({ span: $("span").value, on: null }); };
$("earlier").onclick = () => turn(-1);
$("later").onclick = () => turn(1);
begin({
  service: "running_club", words, reworded: refreshMine,
  redraw() {
    for (const id of ["running", "earned", "recapped", "crew-form"]) $(id).hidden = !me;
    for (const id of ["ask", "scheduled"]) $(id).hidden = !isOrganiser();
    $("began-zone").textContent = t("inZone")(setup.zone);
    choices();
    sayWho();
    drawAll();
  },
  left() { mine = null; crew = null; badges = []; for (const list of [runs, weeks, months, jobs]) list.clear(); guarded(refresh); },
  begun() { $("began").value = onClubClock(Date.now() - 2 * 3_600_000); return refresh(); },
});
// What others do shows within some seconds.
every(5_000, refresh);
