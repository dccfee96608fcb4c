/** What others do appears: told by the server, or asked for; never while somebody drags or writes. */

import { Idiomorph } from "idiomorph";

import { isBusy, page, text } from "./server";
import { toast } from "./toast";

/** Milliseconds: between two questions, until what is silent counts as gone, until it is tried
 * again, and until a page on which nothing happens is brought up to date all the same. */
const EVERY = 1_500;
const PATIENCE = 25_000;
const AGAIN = 30_000;
const OLD = 300_000;
/** Times as long as a page took to come, it rests before it is asked for again. */
const REST = 3;
/** Milliseconds for which a card is marked that was just moved. */
const SHOWN = 2_500;
const MOST = 500;
const UNKNOWN = 401;

let held = 0;
let holds = 0;
let cursor = "";
let etag = "";
let source: EventSource | null = null;
let heardAt = -PATIENCE;
let asking = false;
let wanted = false;
let refreshing = false;
let over = false;
let took = 0;
let freshAt = 0;
let moved = "";

/** Keep the page as it is until the returned function is called. */
export function hold(): () => void {
  held += 1;
  holds += 1;
  return () => {
    held -= 1;
    if (held === 0 && wanted) void refresh();
  };
}

/** Bring the page up to date, and into view where the order has put a card that was just moved. */
export function refreshTo(deal: string): void {
  moved = deal;
  void refresh();
}

/** Bring the page up to date; focus, scroll and what is half written stay. */
export async function refresh(): Promise<void> {
  wanted = true;
  // One at a time, or an older answer could come last.
  if (held > 0 || refreshing || over) return;
  refreshing = true;
  wanted = false;
  const begun = performance.now();
  try {
    await renew();
  } catch {
    wanted = true; // The server is away, and the page shows what it had.
  } finally {
    refreshing = false;
    freshAt = performance.now();
    took = freshAt - begun;
  }
}

async function renew(): Promise<void> {
  const shown = document.getElementById("main");
  if (!shown?.dataset["since"]) return;
  const before = holds;
  const fresh = (await page(location.href)).getElementById("main");
  // What is no page of ours says that somebody has to sign in.
  if (!fresh?.dataset["since"]) return signedOut();
  await keepPages(shown, fresh);
  // What somebody has done to the page meanwhile is not in the answer.
  if (holds !== before || isBusy()) {
    wanted = true;
    return;
  }
  cursor = fresh.dataset["since"];
  Idiomorph.morph(shown, fresh, {
    morphStyle: "outerHTML",
    ignoreActiveValue: true,
    callbacks: {
      beforeNodeMorphed: (old) => !isFilledIn(old),
      beforeAttributeUpdated: (name, node) => name !== "class" || !node.matches(".card.moved"),
    },
  });
  const card = moved && document.querySelector(`.columns .card[data-deal="${CSS.escape(moved)}"]`);
  moved = "";
  if (card) {
    card.scrollIntoView({ block: "nearest", inline: "nearest" });
    card.classList.add("moved");
    window.setTimeout(() => card.classList.remove("moved"), SHOWN);
  }
}

/** Whether somebody has written, chosen or ticked here what is not sent yet. */
function isFilledIn(field: Node): boolean {
  if (field instanceof HTMLSelectElement) {
    const first = [...field.options].findIndex((option) => option.defaultSelected);
    return field.selectedIndex !== Math.max(first, 0);
  }
  if (field instanceof HTMLInputElement && field.type === "checkbox") return field.checked !== field.defaultChecked;
  const isText = field instanceof HTMLInputElement || field instanceof HTMLTextAreaElement;
  return isText && field.value !== field.defaultValue;
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
  const main = document.getElementById("main");
  cursor = main?.dataset["since"] ?? "";
  if (!cursor) return;
  const address = main?.dataset["live"];
  const listen = (): void => {
    if (address && !source && !over && !document.hidden) source = listening(address);
  };
  listen();
  window.setInterval(listen, AGAIN);
  window.setInterval(tick, EVERY);
  document.addEventListener("visibilitychange", () => {
    if (document.hidden) leave();
    else void refresh().then(listen);
  });
  window.addEventListener("pagehide", leave);
  window.addEventListener("pageshow", (event) => {
    if (event.persisted) void refresh().then(listen);
  });
}

/** Be told by the server, where it can; what it cannot tell is found by asking. */
function listening(address: string): EventSource {
  const opened = new EventSource(`${address}?after=${encodeURIComponent(cursor)}`);
  const hear = (event: MessageEvent): void => {
    heardAt = performance.now();
    cursor = event.lastEventId;
  };
  opened.addEventListener("alive", hear);
  opened.addEventListener("changed", (event) => {
    hear(event);
    news();
  });
  opened.addEventListener("error", () => {
    heardAt = -PATIENCE;
    // Cut off, the browser comes again by itself; refused, it does not.
    if (opened.readyState === EventSource.CLOSED && source === opened) source = null;
  });
  return opened;
}

function leave(): void {
  source?.close();
  source = null;
  heardAt = -PATIENCE;
}

/** A page that the server needs long for is not asked for all the time. */
function news(): void {
  if (performance.now() - freshAt < REST * took) wanted = true;
  else void refresh();
}

function tick(): void {
  if (document.hidden || over) return;
  const now = performance.now();
  // Ages and due times go on where nobody does anything.
  if ((wanted && now - freshAt >= REST * took) || now - freshAt > OLD) void refresh();
  if (!asking && now - heardAt >= PATIENCE) void ask();
}

async function ask(): Promise<void> {
  asking = true;
  try {
    const response = await fetch(`changes?after=${encodeURIComponent(cursor)}`, {
      headers: { Accept: "application/json", ...(etag ? { "If-None-Match": etag } : {}) },
      // The browser would answer 304 with what it holds, and look like news each time.
      cache: "no-store",
    });
    if (response.status === UNKNOWN) return signedOut();
    if (response.status !== 200) return;
    const told: { cursor: string; is_news: boolean } = await response.json();
    etag = response.headers.get("ETag") ?? "";
    cursor = told.cursor;
    if (told.is_news) news();
  } catch {
    // Away for the moment.
  } finally {
    asking = false;
  }
}

/** Say so once, and ask no more: whatever is written on the page stays until it is left. */
function signedOut(): void {
  if (over) return;
  over = true;
  leave();
  toast(text("signed-out"), { bad: true, offer: { label: text("sign-in"), act: () => location.reload() } });
}
