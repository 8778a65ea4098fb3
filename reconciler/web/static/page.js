// The page is whole without this. It adds fresh content without a reload, and buttons that copy.
"use strict";

const EVERY_MS = 10000;
const pause = document.getElementById("pause");
let etag = "";

function offerCopies() {
  if (!navigator.clipboard) return;
  for (const button of document.querySelectorAll(".copy-button")) button.hidden = false;
}

// Whoever reads, marks, types or tabs in the page is not to be disturbed.
function isBusy() {
  const active = document.activeElement;
  const inMain = active && active.id !== "main" && active.closest("main");
  const selection = document.getSelection();
  return document.hidden || inMain || (selection && !selection.isCollapsed) ||
    document.querySelector("details[open]") !== null;
}

async function refresh() {
  if (pause.getAttribute("aria-pressed") === "true" || isBusy()) return;
  try {
    const answer = await fetch(location.href, { headers: etag ? { "If-None-Match": etag } : {} });
    if (answer.status !== 200) return;
    etag = answer.headers.get("ETag") || "";
    const fresh = new DOMParser().parseFromString(await answer.text(), "text/html");
    document.title = fresh.title;
    document.querySelector("main").replaceChildren(...fresh.querySelector("main").childNodes);
    document.querySelector("nav").replaceChildren(...fresh.querySelector("nav").childNodes);
    offerCopies();
  } catch {
    // The next look may do better; the page says itself how old it is.
  }
}

document.addEventListener("click", async (event) => {
  const button = event.target.closest(".copy-button");
  if (!button) return;
  await navigator.clipboard.writeText(button.dataset.copy);
  button.textContent = "Copied";
  setTimeout(() => { button.textContent = "Copy"; }, 1500);
});

pause.hidden = false;
pause.addEventListener("click", () => {
  const paused = pause.getAttribute("aria-pressed") !== "true";
  pause.setAttribute("aria-pressed", String(paused));
  pause.textContent = paused ? "Updates paused" : "Pause updates";
});
offerCopies();
setInterval(refresh, EVERY_MS);
