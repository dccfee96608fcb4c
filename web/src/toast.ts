/** Short messages at the edge of the page, read out by screen readers; some offer something to do. */

const SHORT = 6_000;
const LONG = 20_000;

export interface Offer {
  label: string;
  act: () => void;
}

export function toast(message: string, options: { offer?: Offer; bad?: boolean } = {}): void {
  const region = document.getElementById("toasts");
  if (!region) return;
  const shown = document.createElement("div");
  shown.className = options.bad ? "toast bad" : "toast";
  const words = document.createElement("p");
  words.textContent = message;
  shown.append(words);
  if (options.offer) {
    const { label, act } = options.offer;
    shown.append(
      button(label, () => {
        shown.remove();
        act();
      }),
    );
  }
  const close = button("×", () => shown.remove());
  close.className = "close";
  close.setAttribute("aria-label", region.dataset["close"] ?? "");
  shown.append(close);
  while (region.childElementCount > 2) region.firstElementChild?.remove();
  region.append(shown);
  // What went wrong stays until somebody has read it.
  if (!options.bad) leave(shown, options.offer ? LONG : SHORT);
}

function leave(shown: HTMLElement, after: number): void {
  window.setTimeout(() => {
    if (shown.matches(":hover, :focus-within")) leave(shown, after);
    else shown.remove();
  }, after);
}

function button(label: string, act: () => void): HTMLButtonElement {
  const found = document.createElement("button");
  found.type = "button";
  found.textContent = label;
  found.addEventListener("click", act);
  return found;
}
