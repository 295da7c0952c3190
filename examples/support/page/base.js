"use strict";
// Says on every page which dependency of the service is down, for as long as it is.
(() => {
  const words = {
    ko: { down: names => `지금 쓸 수 없는 것: ${names}. 받은 것은 잃지 않으며, 돌아오면 이어서 합니다.`, gone: "서버에 닿지 않습니다.", names: { store: "저장소", events: "이벤트", cache: "캐시", members: "회원", model: "언어 모델", books: "장부", boards: "순위표" } },
    en: { down: names => `Down at the moment: ${names}. What was accepted is safe, and goes on when it is back.`, gone: "The server cannot be reached.", names: {} },
  };
  const banner = Object.assign(document.createElement("p"), { id: "down", hidden: true });
  banner.setAttribute("role", "alert");
  const look = async () => {
    const said = words[document.documentElement.lang] ?? words.en;
    let text = "";
    try {
      const answer = await fetch("readyz");
      if (!answer.ok) {
        const problem = await answer.json();
        text = problem.down ? said.down(problem.down.map(name => said.names[name] ?? name).join(", ")) : problem.detail;
      }
    } catch { text = said.gone; }
    if (banner.textContent !== text) banner.textContent = text;
    banner.hidden = !text;
  };
  document.addEventListener("DOMContentLoaded", () => { document.querySelector("header").after(banner); look(); setInterval(look, 5000); });
})();
