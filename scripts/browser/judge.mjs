// What is asked within a page. Each function is sent there as its text: it knows nothing but the page and what it is given.

/** The language, the colours and the width: what is wrong with them. */
export function appearance({ language, colorScheme }) {
  const wrong = [], root = document.documentElement;
  if (root.lang !== language) wrong.push(`the page calls itself ${root.lang}`);
  if (!document.title.trim()) wrong.push("the page has no title");
  if (root.scrollWidth > root.clientWidth) {
    const wide = [...document.querySelectorAll("body *")].filter(node => node.checkVisibility() && node.getBoundingClientRect().right > root.clientWidth + 1);
    wrong.push(`it scrolls sideways: ${root.scrollWidth} px in ${root.clientWidth}, by ${wide.slice(-3).map(node => node.outerHTML.slice(0, 120)).join(" | ")}`);
  }
  const [red, green, blue] = getComputedStyle(document.body).backgroundColor.match(/\d+/g).map(Number);
  const light = (red + green + blue) / 3 > 127;
  if (light !== (colorScheme === "light")) wrong.push(`it is ${light ? "light" : "dark"}`);
  const texts = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  for (let text; (text = texts.nextNode());) {
    const box = text.parentElement, said = text.textContent.trim();
    if (!said || !box.checkVisibility()) continue;
    if (/undefined|\[object|NaN|Invalid Date/.test(said) && box.closest("[lang]") === root) wrong.push(`a text with a hole: ${said}`);
    // What people wrote has a language of its own.
    if (language === "en" && box.closest("[lang]") === root && /[가-힣]/.test(said)) wrong.push(`Korean in an English page: ${said}`);
  }
  return wrong;
}

/** What axe finds, by rule and element. */
export async function accessibility() {
  const { violations } = await window.axe.run(document, { resultTypes: ["violations"], runOnly: ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"] });
  return violations.flatMap(({ id, help, nodes }) => nodes.map(node => `${id}: ${help}: ${node.html.slice(0, 200)} ${node.any.map(one => one.message).join("; ").slice(0, 200)}`));
}

/** Whether a text of markup shows as it was written, and made nothing. */
export function escaped(text) {
  const shown = document.body.innerText.replace(/\s+/g, " ").includes(text.replace(/\s+/g, " "));
  return shown && !document.querySelector("main img, main b, main script, dialog img, dialog b");
}

/** Stands on the first control. */
export function beginWalk() {
  const first = document.querySelector(".skip");
  window.walk = { reached: new Set([first]), unseen: [], first, wrong: [] };
  first.focus();
  const box = first.getBoundingClientRect();
  if (box.right <= 0 || box.bottom <= 0) window.walk.wrong.push("the link over the head of the page does not show when it is reached");
  if (!document.querySelector(first.getAttribute("href"))) window.walk.wrong.push("the link over the head of the page leads nowhere");
}

/** Looks where Tab led; whether that is the end. */
export function walked() {
  const { reached, wrong, first } = window.walk, at = document.activeElement;
  if (!at || at === document.body || at === first) return true;
  const style = getComputedStyle(at);
  if (!reached.has(at) && (style.outlineStyle === "none" || parseFloat(style.outlineWidth) === 0)) wrong.push(`nothing shows that the keyboard stands at ${at.outerHTML.slice(0, 120)}`);
  reached.add(at);
  return false;
}

/** What is wrong, and what was not reached. */
export function endWalk() {
  const { reached, wrong } = window.walk;
  const groups = new Set([...reached].filter(node => node.type === "radio").map(node => node.name));
  for (const node of document.querySelectorAll("a[href], button, input, select, textarea, summary, [tabindex]")) {
    if (node.tabIndex < 0 || node.disabled || !node.checkVisibility({ visibilityProperty: true })) continue;
    if (reached.has(node) || (node.type === "radio" && groups.has(node.name))) continue;
    wrong.push(`the keyboard does not reach ${node.outerHTML.slice(0, 120)}`);
  }
  return wrong;
}
