/** Cards dragged by mouse or finger from one stage into another; order within a stage is the sort's. */

import Sortable from "sortablejs";

import { sheet } from "./dialog";
import { hold } from "./live";
import { move } from "./move";
import { type Option, optionsOf } from "./server";
import { toast } from "./toast";

/** Pixels that a hand may tremble before it is a drag, or before a long press is a swipe. */
const SLOP = 8;
const LONG_PRESS = 250;

interface Dragged {
  deal: string;
  stage: string;
  entered: string;
  /** What the server says of each stage; null until it has said so. */
  options: Map<string, Option> | null;
}

let dragged: Dragged | null = null;
let justDropped = false;

export function draggable(): void {
  for (const list of document.querySelectorAll<HTMLElement>(".columns .cards")) {
    if (Sortable.get(list)) continue;
    Sortable.create(list, {
      group: "cards",
      sort: false,
      draggable: ".card",
      forceFallback: true,
      fallbackOnBody: true,
      fallbackTolerance: 4,
      fallbackClass: "lifted",
      ghostClass: "ghost",
      delay: LONG_PRESS,
      delayOnTouchOnly: true,
      touchStartThreshold: SLOP,
      onStart: (event) => start(event.item),
      onMove: (event) => mayEnter(event.to),
      onEnd: (event) => void drop(event),
    });
  }
}

// The click that ends a drag would open the deal.
document.addEventListener(
  "click",
  (event) => {
    if (justDropped && (event.target as Element).closest(".columns")) {
      event.preventDefault();
      event.stopPropagation();
    }
  },
  true,
);

let letGo = (): void => {};

function start(card: HTMLElement): void {
  letGo = hold();
  const deal = card.dataset["deal"] ?? "";
  const { stage = "", entered = "" } = card.dataset;
  const now: Dragged = { deal, stage, entered, options: null };
  dragged = now;
  document.body.classList.add("dragging");
  optionsOf(deal).then(
    (options) => {
      now.options = options;
      if (dragged === now) mark(now.stage, options);
    },
    () => {}, // The drop itself will say that nobody can be reached.
  );
}

function mark(from: string, options: Map<string, Option>): void {
  for (const column of document.querySelectorAll<HTMLElement>(".column")) {
    const stage = column.dataset["stage"] ?? "";
    column.classList.toggle("no-drop", stage !== from && options.get(stage)?.possible === false);
  }
}

function mayEnter(list: HTMLElement): boolean {
  const stage = list.dataset["stage"] ?? "";
  return stage === dragged?.stage || dragged?.options?.get(stage)?.possible !== false;
}

async function drop(event: Sortable.SortableEvent): Promise<void> {
  const now = dragged;
  dragged = null;
  document.body.classList.remove("dragging");
  for (const column of document.querySelectorAll(".column.no-drop")) column.classList.remove("no-drop");
  justDropped = true;
  window.setTimeout(() => (justDropped = false), 60);
  try {
    if (now) await settle(now, event);
  } finally {
    letGo();
  }
}

async function settle(now: Dragged, event: Sortable.SortableEvent): Promise<void> {
  const back = (): void => {
    event.from.insertBefore(event.item, event.from.children[event.oldIndex ?? 0] ?? null);
  };
  // Where the hand let go counts. The library may not have got there yet, or have left the card in
  // the last stage on its way that takes it.
  const column = under(event);
  const into = column?.dataset["stage"] ?? "";
  if (!column || into === now.stage) {
    back();
    return;
  }
  const option = now.options?.get(into);
  if (option && !option.possible) {
    back();
    const title = column.querySelector("h2")?.textContent ?? "";
    toast(`${title}: ${option.because ?? ""}`, { bad: true });
    return;
  }
  if (option?.missing.length) {
    back();
    await sheet(now.deal, into);
    return;
  }
  if (event.to.dataset["stage"] !== into) column.querySelector(".cards")?.prepend(event.item);
  await move({ deal: now.deal, into, expecting: now.stage, entered: now.entered, hint: option?.hint ?? "" }, back);
}

/** Return the column in which the pointer or the finger let go. */
function under(event: Sortable.SortableEvent): HTMLElement | null {
  const pointer = (event as unknown as { originalEvent?: Event }).originalEvent;
  const touch = "TouchEvent" in window && pointer instanceof TouchEvent ? pointer.changedTouches[0] : undefined;
  const at = touch ?? (pointer instanceof MouseEvent ? pointer : undefined);
  const found = at && document.elementFromPoint(at.clientX, at.clientY);
  return found?.closest<HTMLElement>(".column") ?? null;
}
