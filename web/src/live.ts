/** What others do appears: asked every other moment, never while somebody drags or writes. */

import { Idiomorph } from "idiomorph";

import { isBusy, page } from "./server";

const EVERY = 1_500;
const MOST = 500;

let held = 0;
let cursor = "";
let etag = "";
let wanted = false;

/** Keep the page as it is until the returned function is called. */
export function hold(): () => void {
  held += 1;
  return () => {
    held -= 1;
    if (held === 0 && wanted) void refresh();
  };
}

/** Bring the page up to date; focus, scroll and what is half written stay. */
export async function refresh(): Promise<void> {
  if (held > 0) {
    wanted = true;
    return;
  }
  wanted = false;
  const shown = document.getElementById("main");
  if (!shown || !shown.dataset["since"]) return;
  let fresh: HTMLElement | null = null;
  try {
    fresh = (await page(location.href)).getElementById("main");
    if (fresh) await keepPages(shown, fresh);
  } catch {
    return; // The server is away: the next poll tries again, and the page shows what it had.
  }
  if (held > 0 || isBusy()) wanted = true;
  else if (fresh) Idiomorph.morph(shown, fresh, { morphStyle: "outerHTML", ignoreActiveValue: true });
}

/** Ask for as many cards as a column shows by now, so that none vanishes below somebody's eyes. */
async function keepPages(shown: Element, fresh: Element): Promise<void> {
  for (const column of fresh.querySelectorAll<HTMLElement>(".column")) {
    const next = column.querySelector<HTMLElement>(".next");
    const known = shown.querySelector(`#${CSS.escape(column.id)}`);
    const many = known?.querySelectorAll(".card").length ?? 0;
    const few = column.querySelectorAll(".card").length;
    const address = next?.dataset["column"];
    if (!address || many <= few) continue;
    const query = new URL(address, location.href);
    query.searchParams.delete("after");
    query.searchParams.set("limit", String(Math.min(many, MOST)));
    const whole = (await page(query.href)).querySelector(".column");
    const cards = whole?.querySelector(".cards");
    if (whole && cards) {
      column.querySelector(".cards")?.replaceWith(cards);
      const further = whole.querySelector(".next");
      if (further) next.replaceWith(further);
      else next.remove();
    }
  }
}

export function live(): void {
  cursor = document.getElementById("main")?.dataset["since"] ?? "";
  if (!cursor) return;
  void poll();
  document.addEventListener("visibilitychange", () => {
    if (!document.hidden) void refresh();
  });
  window.addEventListener("pageshow", (event) => {
    if (event.persisted) void refresh();
  });
}

async function poll(): Promise<void> {
  for (;;) {
    await new Promise((resolve) => window.setTimeout(resolve, EVERY));
    if (document.hidden) continue;
    try {
      const response = await fetch(`changes?after=${encodeURIComponent(cursor)}`, {
        headers: { Accept: "application/json", ...(etag ? { "If-None-Match": etag } : {}) },
        // The browser would answer 304 with what it holds, and look like news each time.
        cache: "no-store",
      });
      if (response.status !== 200) continue;
      const told: { cursor: string; is_news: boolean } = await response.json();
      etag = response.headers.get("ETag") ?? "";
      cursor = told.cursor;
      if (told.is_news) void refresh();
    } catch {
      // Away for the moment.
    }
  }
}
