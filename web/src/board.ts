/** What the pages do beyond plain HTML; each of them works without this script, too. */

import { asked, sheet } from "./dialog";
import { draggable } from "./drag";
import { keys } from "./keys";
import { hold, live } from "./live";
import { move } from "./move";
import { page, text } from "./server";
import { toast } from "./toast";

const MOST = 500;

document.documentElement.classList.add("js");
draggable();
keys();
live();

new MutationObserver(draggable).observe(document.getElementById("main") ?? document.body, {
  childList: true,
  subtree: true,
});

document.addEventListener("click", (event) => {
  if (event.defaultPrevented || event.button !== 0 || event.ctrlKey || event.metaKey || event.shiftKey) return;
  const target = event.target as Element;
  const menu = target.closest<HTMLElement>(".card .more");
  if (menu) {
    event.preventDefault();
    const card = menu.closest<HTMLElement>(".card");
    void sheet(card?.dataset["deal"] ?? "", "", card?.dataset["folder"]).then(() => menu.isConnected && menu.focus());
    return;
  }
  const next = target.closest<HTMLElement>(".next[data-column]");
  const cards = next?.closest(".column")?.querySelector(".cards");
  if (next && cards && cards.childElementCount < MOST) {
    event.preventDefault();
    void more(next, cards);
  }
});

async function more(next: HTMLElement, cards: Element): Promise<void> {
  const letGo = hold();
  try {
    const column = (await page(next.dataset["column"] ?? "")).querySelector(".column");
    const shown = new Set([...cards.children].map((card) => card.id));
    for (const card of [...(column?.querySelectorAll(".card") ?? [])]) {
      if (!shown.has(card.id)) cards.append(card);
    }
    const further = column?.querySelector(".next");
    if (further) next.replaceWith(further);
    else next.remove();
  } catch {
    toast(text("unreachable"), { bad: true });
  } finally {
    letGo();
  }
}

// A filter that is chosen counts at once; what is typed, with Enter.
document.addEventListener("change", (event) => {
  const form = (event.target as Element).closest<HTMLFormElement>("form.filters");
  form?.requestSubmit();
});

// Empty filters have no place in the address.
document.addEventListener("submit", (event) => {
  const form = event.target as HTMLFormElement;
  if (form.matches("form.filters")) {
    for (const field of form.querySelectorAll<HTMLInputElement | HTMLSelectElement>("[name]")) {
      if (field.value === "" || (field.name === "sort" && field.value === "age")) field.disabled = true;
    }
  } else if (form.matches(".deal .option")) {
    // The page of a deal is loaded again when it has moved; here it is only asked and told.
    event.preventDefault();
    void move(asked(form)).then((moved) => moved && location.reload());
  }
});
