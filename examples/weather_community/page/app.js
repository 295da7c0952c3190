import { $, begin, button, call, every, guarded, language, make, me, onEnter, onSubmit, once, options, paged, request, say, swap, t } from "./base.js";

const words = {
  ko: {
    title: "날씨 이웃", lead: "지금 내 하늘이 어떤지 5km 안의 이웃과 나눕니다. 특보가 나면 지역마다 이야기방이 열리고, 미션은 한 번씩 증명하고, 쿠폰은 먼저 온 순서대로 한 사람에 한 장입니다.",
    member: "이웃", forecaster: "예보관",
    near: "5km 안의 하늘", where: "어디에 있나요?", lat: "위도", lon: "경도", look: "둘러보기", locate: "내 위치 쓰기", noLocation: "위치를 알 수 없습니다.", noPlace: "위도와 경도를 적어 주세요.", example: n => `예: ${n}`, sky: "하늘", postText: "무엇이 보이나요?", postButton: "올리기", posted: "올렸습니다.", noPosts: "5km 안에 아직 글이 없습니다.", more: "더 보기",
    like: "좋아요", dislike: "싫어요", views: n => `본 사람 ${n}`, away: m => m < 1000 ? `${m}m 거리` : `${(m / 1000).toFixed(1)}km 거리`, remove: "지우기", removed: "지웠습니다.",
    warnings: "특보", warn: "특보 내기", region: "지역", kind: "종류", warnText: "무엇이 예상되나요?", warnButton: "특보 내기", warned: "특보를 냈습니다. 이야기방이 열렸습니다.", warnedAlready: "같은 특보가 이미 나가 있습니다.", filter: "지역", all: "모든 지역", alsoLifted: "하루 안에 해제된 특보도", noWarnings: "지금은 특보가 없습니다.", lift: "해제", lifted: "해제했습니다. 방은 읽을 수만 있습니다.", enterRoom: "이야기방 열기",
    sayText: "할 말", sayButton: "보내기", closed: "해제되어 닫힘",
    missions: "미션", missionTitle: "무엇을 보고 오나요?", radius: "증명할 수 있는 거리 (m)", missionButton: "지금 자리에 미션 만들기", missionMade: "미션을 만들었습니다.", noMissions: "아직 미션이 없습니다.", provenBy: n => `${n}명이 증명`, mine: "증명함", note: "무엇을 봤나요?", prove: "지금 자리에서 증명하기", proved: "증명했습니다.",
    drops: "선착순 쿠폰", dropTitle: "쿠폰 이름", places: "몇 장", dropButton: "쿠폰 뿌리기", dropped: "쿠폰을 뿌렸습니다.", noDrops: "아직 쿠폰이 없습니다.", left: (free, all) => `${all}장 중 ${free}장 남음`, take: "받기", got: (ticket, code) => `${ticket}번째: ${code}`,
    skies: { sunny: "맑음", cloudy: "흐림", rain: "비", snow: "눈", wind: "바람", dust: "먼지" },
    dangers: { heavy_rain: "호우", heavy_snow: "대설", strong_wind: "강풍", typhoon: "태풍", heat_wave: "폭염", cold_wave: "한파", fine_dust: "미세먼지" },
    regions: { seoul: "서울", busan: "부산", daegu: "대구", incheon: "인천", gwangju: "광주", daejeon: "대전", ulsan: "울산", sejong: "세종", gyeonggi: "경기", gangwon: "강원", chungbuk: "충북", chungnam: "충남", jeonbuk: "전북", jeonnam: "전남", gyeongbuk: "경북", gyeongnam: "경남", jeju: "제주" },
    problem: { none_left: "쿠폰이 모두 나갔습니다.", another_in_force: "이 지역에 같은 종류의 특보가 다른 내용으로 나가 있습니다. 먼저 해제하고 다시 내 주세요." },
  },
  en: {
    title: "Weather community", lead: "How the sky looks to neighbours within 5 km. A warning opens a room for its region, a mission is proven once, and coupons go to those who come first, one a person.",
    member: "Neighbour", forecaster: "Forecaster",
    near: "The sky within 5 km", where: "Where are you?", lat: "Latitude", lon: "Longitude", look: "Look around", locate: "Use my location", noLocation: "Your location is not known.", noPlace: "Write the latitude and the longitude of where you are.", example: n => `e.g. ${n}`, sky: "Sky", postText: "What do you see?", postButton: "Post", posted: "Posted.", noPosts: "Nobody has posted within 5 km yet.", more: "Show more",
    like: "Like", dislike: "Dislike", views: n => `seen by ${n}`, away: m => m < 1000 ? `${m} m away` : `${(m / 1000).toFixed(1)} km away`, remove: "Delete", removed: "Deleted.",
    warnings: "Warnings", warn: "Warn", region: "Region", kind: "Of what", warnText: "What is to be expected?", warnButton: "Issue the warning", warned: "The warning is issued, and its room is open.", warnedAlready: "Such a warning is in force already.", filter: "Region", all: "all regions", alsoLifted: "also those lifted within a day", noWarnings: "There is no warning now.", lift: "Lift", lifted: "Lifted. The room can be read.", enterRoom: "Open the room",
    sayText: "Your message", sayButton: "Send", closed: "lifted and closed",
    missions: "Missions", missionTitle: "What is to be looked at?", radius: "From how far it can be proven (m)", missionButton: "Make a mission here", missionMade: "The mission is made.", noMissions: "There is no mission yet.", provenBy: n => `proven by ${n}`, mine: "proven", note: "What did you see?", prove: "Prove it from here", proved: "Proven.",
    drops: "Coupons, first come first served", dropTitle: "Name of the coupon", places: "How many", dropButton: "Drop them", dropped: "The coupons are out.", noDrops: "There are no coupons yet.", left: (free, all) => `${free} of ${all} left`, take: "Take one", got: (ticket, code) => `No. ${ticket}: ${code}`,
    skies: { sunny: "sunny", cloudy: "cloudy", rain: "rain", snow: "snow", wind: "wind", dust: "dust" },
    dangers: { heavy_rain: "Heavy rain", heavy_snow: "Heavy snow", strong_wind: "Strong wind", typhoon: "Typhoon", heat_wave: "Heat wave", cold_wave: "Cold wave", fine_dust: "Fine dust" },
    regions: { seoul: "Seoul", busan: "Busan", daegu: "Daegu", incheon: "Incheon", gwangju: "Gwangju", daejeon: "Daejeon", ulsan: "Ulsan", sejong: "Sejong", gyeonggi: "Gyeonggi", gangwon: "Gangwon", chungbuk: "Chungbuk", chungnam: "Chungnam", jeonbuk: "Jeonbuk", jeonnam: "Jeonnam", gyeongbuk: "Gyeongbuk", gyeongnam: "Gyeongnam", jeju: "Jeju" },
    problem: { none_left: "All coupons are taken.", another_in_force: "A warning of this kind with another text is in force in the region. Lift it first, then issue yours." },
  },
};
let coupons = {};
let room = null; // {id, socket, last, ids}
const seen = new Set(); // posts that were counted as seen since the page was loaded
const clock = at => new Date(at).toLocaleTimeString(language, { hour: "2-digit", minute: "2-digit", hourCycle: "h23" });
const day = at => new Date(at).toLocaleString(language, { dateStyle: "short", timeStyle: "short" });
const isForecaster = () => me?.role === "forecaster";
let place = null, looked = null; // where one looks around, and of where it is known who has posted there
// The first of the two fields that tells no place.
const unplaced = () => [$("lat"), $("lon")].find(field => !field.value.trim() || !field.validity.valid);
/** Where the fields say that one is; who left one empty, or wrote no such number, is told so and stands in it. */
function here() {
  const field = unplaced();
  if (!field) {
    const now = { lat: Number($("lat").value), lon: Number($("lon").value) };
    if (place?.lat === now.lat && place.lon === now.lon) return place;
    place = now;
    posts.clear(); // they are near the other place
    return place;
  }
  field.focus();
  throw new Error(t("noPlace"));
}

// ---- posts
const posts = paged({ first: () => `posts?lat=${place.lat}&lon=${place.lon}&limit=20`, draw() { drawPosts(); look(); }, button: $("more") });
const refreshPosts = async () => {
  const at = place;
  if (!at) return;
  await posts.refresh();
  looked = at;
  drawPosts();
};
// Counts what is shown as seen, once; the service counts once an hour.
async function look() {
  if (!me) return;
  for (const post of posts.rows) {
    if (seen.has(post.id)) continue;
    seen.add(post.id);
    try {
      const value = await call("POST", `posts/${post.id}/views`);
      post.views = value.views;
    } catch (error) { seen.delete(post.id); if (error.status !== 404) break; }
  }
  drawPosts();
}
async function react(post, reaction) {
  const value = await call("PUT", `posts/${post.id}/reaction`, { reaction: post.mine === reaction ? "none" : reaction });
  Object.assign(post, value);
  drawPosts();
}
function drawPosts() {
  $("no-posts").hidden = posts.rows.length > 0 || !place || looked !== place;
  const vote = (post, which) => button(`${which} ${post.id}`, `${t(which)} ${post[`${which}s`]}`, () => guarded(() => react(post, which)), { ariaPressed: me ? String(post.mine === which) : null, disabled: !me });
  swap($("posts"), posts.rows, ...posts.rows.map(post => make("li", {},
    make("span", { className: "tag" }, t("skies")[post.sky]),
    make("span", { className: "grow", lang: "" }, post.text),
    make("span", { className: "facts" }, make("span", { lang: "" }, post.author), ` · ${t("away")(post.distance_m)} · ${day(post.at)} · ${t("views")(post.views)}`),
    vote(post, "like"), vote(post, "dislike"),
    (post.author === me?.name || isForecaster()) && button(`remove ${post.id}`, t("remove"), () => guarded(async () => { await call("DELETE", `posts/${post.id}`); say(t("removed")); await refreshPosts(); }), { ariaLabel: `${t("remove")}: ${post.text}` }))));
}

// ---- warnings and rooms
const warnings = paged({ first: () => `warnings?limit=100${$("filter").value ? `&region=${$("filter").value}` : ""}${$("lifted").checked ? "&lifted=true" : ""}`, draw: drawWarnings, button: $("more-warnings") });
async function refreshWarnings() {
  await warnings.refresh();
  const mine = room;
  if (!mine || mine.warning.lifted_at || warnings.rows.some(warning => warning.id === mine.warning.id && !warning.lifted_at)) return;
  mine.warning = await call("GET", `warnings/${mine.warning.id}`);
  drawWarnings();
}
const heading = warning => `${t("regions")[warning.region]} ${t("dangers")[warning.kind]}`;
function drawWarnings() {
  $("no-warnings").hidden = warnings.rows.length > 0;
  swap($("warnings"), [warnings.rows, room?.warning.id], ...warnings.rows.map(warning => make("li", {},
    button(`room ${warning.id}`, heading(warning), () => guarded(() => openRoom(warning, true)), { className: "grow", ariaCurrent: room?.warning.id === warning.id ? "true" : null, title: t("enterRoom") }),
    warning.lifted_at && make("span", { className: "tag" }, t("closed")),
    isForecaster() && !warning.lifted_at && button(`lift ${warning.id}`, t("lift"), () => guarded(() => lift(warning)), { ariaLabel: `${t("lift")}: ${heading(warning)}` }),
    make("span", { className: "facts", lang: "" }, `${warning.text} · ${warning.forecaster} · ${day(warning.at)}`))));
  drawRoom();
}
async function lift(warning) {
  const value = await call("DELETE", `warnings/${warning.id}`);
  if (room?.warning.id === value.id) room.warning = value;
  say(t("lifted"));
  await refreshWarnings();
}
function drawRoom() {
  $("room").hidden = !room;
  if (!room) return;
  $("room-h").textContent = heading(room.warning);
  $("room-text").textContent = room.warning.text;
  $("say-form").hidden = !me || Boolean(room.warning.lifted_at);
  $("line").textContent = t(room.warning.lifted_at ? "closed" : room.live ? "live" : "broken");
}
// What was said before is read at once and not read out; what is said from then on is.
async function openRoom(warning, focus) {
  room?.socket?.close();
  const mine = room = { warning, last: 0, live: false };
  const value = await call("GET", `warnings/${warning.id}/messages?limit=100`);
  if (room !== mine) return;
  $("messages").ariaLive = "off";
  $("messages").replaceChildren();
  value.forEach(show);
  $("room").hidden = false;
  drawWarnings();
  if (focus) $("room-h").focus();
  setTimeout(() => { $("messages").ariaLive = "polite"; }, 300);
  listen(mine, 500);
}
function show(message) {
  if (message.number <= room.last) return;
  room.last = message.number;
  const box = $("messages"), atEnd = box.scrollHeight - box.scrollTop - box.clientHeight < 40;
  box.append(make("p", {}, make("time", { dateTime: message.at }, clock(message.at)), " ", make("strong", { lang: "" }, message.author), " ", make("span", { lang: "" }, message.text)));
  while (box.children.length > 300) box.firstChild.remove();
  if (atEnd) box.scrollTop = box.scrollHeight;
}
// Goes on after the last message that came, whenever the connection breaks.
function listen(mine, pause) {
  if (room !== mine) return;
  const socket = mine.socket = new WebSocket(new URL(`warnings/${mine.warning.id}/live?after=${mine.last}`, location.href.replace(/^http/, "ws")), me ? ["room", `bearer.${me.token}`] : []);
  socket.onopen = () => { pause = 500; mine.live = true; drawRoom(); };
  socket.onmessage = event => { if (room === mine) show(JSON.parse(event.data)); };
  socket.onclose = () => {
    if (room !== mine) return;
    mine.live = false;
    drawRoom();
    setTimeout(() => listen(mine, Math.min(pause * 2, 10_000)), pause);
  };
}

// ---- missions and coupons
const missions = paged({ first: () => "missions?limit=20", draw: drawMissions, button: $("more-missions") });
const drops = paged({ first: () => "drops?limit=20", draw: drawDrops, button: $("more-drops") });
const refreshMissions = () => missions.refresh();
function drawMissions() {
  $("no-missions").hidden = missions.rows.length > 0;
  swap($("missions"), missions.rows, ...missions.rows.map(mission => make("li", {},
    make("strong", { className: "grow", lang: "" }, mission.title),
    mission.mine && make("span", { className: "tag" }, t("mine")),
    make("span", { className: "facts" }, `${mission.lat.toFixed(4)}, ${mission.lon.toFixed(4)} · ${Math.round(mission.radius_m)} m · ${t("provenBy")(mission.proven)}`),
    me && !mission.mine && onSubmit(make("form", {},
      make("label", { htmlFor: `note-${mission.id}` }, t("note")), make("input", { id: `note-${mission.id}`, name: "note", maxLength: 500, required: true, autocomplete: "off" }),
      make("p", { className: "row" }, make("button", { type: "submit" }, t("prove")))), async elements => {
      await call("PUT", `missions/${mission.id}/proof`, { ...here(), note: elements.note.value });
      say(t("proved"));
      await refreshMissions();
    }))));
}
const refreshDrops = () => drops.refresh();
function drawDrops() {
  $("no-drops").hidden = drops.rows.length > 0;
  swap($("drops"), [drops.rows, coupons], ...drops.rows.map(drop => make("li", {},
    make("strong", { className: "grow", lang: "" }, drop.title),
    make("span", { className: "tag" }, t("left")(drop.free, drop.places)),
    me && !coupons[drop.id] && button(`take ${drop.id}`, t("take"), () => guarded(() => take(drop)), { ariaLabel: `${t("take")}: ${drop.title}` }),
    coupons[drop.id] && make("span", { className: "facts code" }, t("got")(coupons[drop.id].ticket, coupons[drop.id].code)))));
}
async function take(drop) {
  try {
    coupons[drop.id] = await call("POST", `drops/${drop.id}/coupon`);
    say(t("got")(coupons[drop.id].ticket, coupons[drop.id].code));
  } finally { await refreshDrops(); }
}

function drawAll() { drawPosts(); drawWarnings(); drawMissions(); drawDrops(); }
async function refresh() { await Promise.all([refreshPosts(), refreshWarnings(), refreshMissions(), refreshDrops()]); }

onEnter(async () => {
  seen.clear();
  await refresh();
  $("near-h").focus();
});
onSubmit($("place-form"), () => { here(); return refreshPosts(); });
onSubmit($("post-form"), async (elements, key) => {
  await call("POST", "posts", { sky: elements.sky.value, text: elements.text.value, ...here() }, once(key));
  elements.text.value = "";
  say(t("posted"));
  await refreshPosts();
});
onSubmit($("warn-form"), async elements => {
  const { value, status } = await request("POST", "warnings", { region: elements.region.value, kind: elements.kind.value, text: elements.text.value });
  elements.text.value = "";
  say(t(status === 201 ? "warned" : "warnedAlready"));
  await refreshWarnings();
  await openRoom(value, false);
});
onSubmit($("say-form"), async (elements, key) => {
  await call("POST", `warnings/${room.warning.id}/messages`, { id: key, text: elements.text.value });
  elements.text.value = "";
});
onSubmit($("mission-form"), async (elements, key) => {
  await call("POST", "missions", { title: elements.title.value, radius_m: Number(elements.radius.value), ...here() }, once(key));
  elements.title.value = "";
  say(t("missionMade"));
  await refreshMissions();
});
onSubmit($("drop-form"), async (elements, key) => {
  await call("POST", "drops", { title: elements.title.value, places: Number(elements.places.value) }, once(key));
  elements.title.value = "";
  say(t("dropped"));
  await refreshDrops();
});
$("filter").onchange = $("lifted").onchange = () => { warnings.clear(); guarded(refreshWarnings); };
$("locate").onclick = () => {
  const unknown = () => say(t("noLocation"), true);
  if (!navigator.geolocation) return unknown();
  navigator.geolocation.getCurrentPosition(({ coords }) => { $("lat").value = coords.latitude.toFixed(5); $("lon").value = coords.longitude.toFixed(5); guarded(() => { here(); return refreshPosts(); }); }, unknown, { timeout: 10_000 });
};

begin({
  service: "weather_community", words,
  redraw() {
    $("post-form").hidden = !me;
    for (const id of ["warn-form", "mission-form", "drop-form"]) $(id).hidden = !isForecaster();
    for (const [id, value] of [["lat", 37.5665], ["lon", 126.978]]) $(id).placeholder = t("example")(value);
    options($("sky"), t("skies"));
    options($("warn-region"), t("regions"));
    options($("warn-kind"), t("dangers"));
    options($("filter"), t("regions"), { first: t("all") });
    drawAll();
  },
  left() { coupons = {}; guarded(refresh); },
  begun() { if (!unplaced()) here(); return refresh(); },
});
// What others do shows within some seconds; messages come at once.
every(5_000, refresh);
