"use strict";
// Says on every page which dependency of the service is down, for as long as it is, and whether the service goes on without it.
(() => {
  const words = {
    ko: { down: names => `지금 쓸 수 없는 것: ${names}. 받은 것은 잃지 않으며, 돌아오면 이어서 합니다.`, less: names => `지금 쓸 수 없는 것: ${names}. 그것 없이 되는 일은 그대로 됩니다.`, gone: "서버에 닿지 않습니다.", names: { search: "검색", store: "저장소", events: "이벤트", cache: "캐시", model: "언어 모델", books: "장부", boards: "순위표" } },
    en: { down: names => `Down at the moment: ${names}. What was accepted is safe, and goes on when it is back.`, less: names => `Down at the moment: ${names}. What does not need it goes on.`, gone: "The server cannot be reached.", names: { model: "language model" } },
  };
  const banner = Object.assign(document.createElement("p"), { id: "down", hidden: true });
  banner.setAttribute("role", "alert");
  const look = async () => {
    const said = words[document.documentElement.lang] ?? words.en;
    let text = "";
    try {
      const answer = await fetch("readyz");
      const state = await answer.json();
      const names = state.down?.map(name => said.names[name] ?? name).join(", ");
      if (!answer.ok) text = names ? said.down(names) : state.detail;
      else if (names) text = said.less(names);
    } catch { text = said.gone; }
    if (banner.textContent !== text) banner.textContent = text;
    banner.hidden = !text;
  };
  document.addEventListener("DOMContentLoaded", () => { document.querySelector("header").after(banner); look(); setInterval(look, 5000); });
})();
