/** The board by keyboard: arrows walk from card to card, `m` asks where one may go. */

import { sheet } from "./dialog";

export function keys(): void {
  document.addEventListener("keydown", (event) => {
    const card = (event.target as Element).closest?.<HTMLElement>(".columns .card");
    if (!card || event.ctrlKey || event.metaKey || event.altKey) return;
    if (event.key === "m") {
      event.preventDefault();
      void sheet(card.dataset["deal"] ?? "");
      return;
    }
    const next = neighbour(card, event.key);
    if (!next) return;
    event.preventDefault();
    next.querySelector<HTMLElement>(".title")?.focus();
  });
}

function neighbour(card: HTMLElement, key: string): Element | null | undefined {
  if (key === "ArrowDown") return card.nextElementSibling;
  if (key === "ArrowUp") return card.previousElementSibling;
  if (key !== "ArrowLeft" && key !== "ArrowRight") return null;
  const columns = [...document.querySelectorAll(".column")].filter((c) => c.querySelector(".card"));
  const own = card.closest(".column");
  const column = columns[columns.findIndex((c) => c === own) + (key === "ArrowRight" ? 1 : -1)];
  const cards = [...(column?.querySelectorAll(".card") ?? [])];
  const place = [...(card.parentElement?.children ?? [])].indexOf(card);
  return cards[Math.min(place, cards.length - 1)];
}
