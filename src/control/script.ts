/**
 * The page's script, as text: it goes into the page as it stands here, and its hash into the page's policy.
 *
 * It asks for the page again every two seconds and takes over what differs: one renderer, on the server, so that there is one place
 * that escapes. It rests while nobody sees the page, and says so when no answer comes. Without it the page reloads itself.
 */
export const script = `
"use strict";
(() => {
  const everyMs = 2000;
  const lost = document.getElementById("lost");
  let answered = new Date();
  let timer = 0;

  function takeAttributes(from, to) {
    for (const { name } of [...from.attributes]) if (!to.hasAttribute(name)) from.removeAttribute(name);
    for (const { name, value } of to.attributes) if (from.getAttribute(name) !== value) from.setAttribute(name, value);
  }

  // Changes only what differs, so that a selection, the focus and what a screen reader is reading stay.
  function take(from, to) {
    if (from.nodeType !== Node.ELEMENT_NODE) {
      if (from.data !== to.data) from.data = to.data;
      return;
    }
    takeAttributes(from, to);
    const next = [...to.childNodes];
    next.forEach((child, at) => {
      const present = from.childNodes[at];
      if (present === undefined) from.append(child);
      else if (present.nodeName !== child.nodeName) present.replaceWith(child);
      else take(present, child);
    });
    while (from.childNodes.length > next.length) from.lastChild.remove();
  }

  async function refresh() {
    const answer = await fetch(location.pathname, { cache: "no-store", signal: AbortSignal.timeout(5000) });
    if (!answer.ok) throw new Error("answered " + answer.status);
    const next = new DOMParser().parseFromString(await answer.text(), "text/html");
    const main = next.querySelector("main");
    if (main === null) throw new Error("answered something else");
    if (next.documentElement.dataset.version !== document.documentElement.dataset.version) return location.reload();
    document.title = next.title;
    for (const id of ["icon", "top"]) take(document.getElementById(id), next.getElementById(id));
    take(document.querySelector("main"), main);
    answered = new Date();
    lost.hidden = true;
  }

  async function turn() {
    clearTimeout(timer);
    try {
      if (!document.hidden) await refresh();
    } catch {
      lost.hidden = false;
      const words = "No answer since " + answered.toLocaleTimeString() + ". What you see is from then.";
      if (lost.textContent !== words) lost.textContent = words;
    }
    clearTimeout(timer);
    timer = setTimeout(turn, everyMs);
  }

  document.addEventListener("visibilitychange", () => {
    if (!document.hidden) turn();
  });
  timer = setTimeout(turn, everyMs / 2);
})();
`;
