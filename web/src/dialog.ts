/** The one dialog: where a deal may go and what that takes, as the server's page has it. */

import { type Move, move } from "./move";
import { page, text } from "./server";
import { toast } from "./toast";

const PROPERTY = "property.";

function dialog(): HTMLDialogElement {
  return document.getElementById("dialog") as HTMLDialogElement;
}

/**
 * Show where a deal may be moved, or what one stage takes; return whether it was moved.
 *
 * `folder` is where the deal's pages are, from this one: another pipeline's are elsewhere.
 */
export async function sheet(deal: string, into = "", folder = ""): Promise<boolean> {
  const query = new URLSearchParams(into ? { deal, into } : { deal });
  let found: Element | null = null;
  try {
    found = (await page(`${folder}options?${query}`)).getElementById("sheet");
  } catch {
    toast(text("unreachable"), { bad: true });
  }
  if (!found) return false;
  for (const link of found.querySelectorAll("a")) link.setAttribute("href", folder + link.getAttribute("href"));
  const shown = dialog();
  shown.replaceChildren(found, closing());
  shown.setAttribute("aria-labelledby", "sheet-title");
  return new Promise((resolve) => {
    shown.onsubmit = (event) => {
      event.preventDefault();
      const form = event.target as HTMLFormElement;
      shown.onclose = null;
      shown.close();
      resolve(move({ ...asked(form), folder }));
    };
    shown.onclose = () => resolve(false);
    shown.showModal();
    // A field is what was asked for only where the stage is chosen: on a phone it opens the keyboard.
    shown.querySelector<HTMLElement>(into ? "input:not([type=hidden]), button" : "button")?.focus();
  });
}

/** Ask one question, and return whether the answer was yes. */
export async function ask(question: string, yes: string): Promise<boolean> {
  const shown = dialog();
  const heading = document.createElement("h1");
  heading.id = "sheet-title";
  heading.textContent = question;
  const agree = document.createElement("button");
  agree.textContent = yes;
  agree.type = "button";
  const box = document.createElement("div");
  box.className = "sheet";
  box.append(heading, agree);
  shown.replaceChildren(box, closing());
  shown.setAttribute("aria-labelledby", "sheet-title");
  return new Promise((resolve) => {
    shown.onsubmit = null;
    agree.onclick = () => {
      shown.onclose = null;
      shown.close();
      resolve(true);
    };
    shown.onclose = () => resolve(false);
    shown.showModal();
    agree.focus();
  });
}

function closing(): HTMLElement {
  const close = document.createElement("button");
  close.type = "button";
  close.className = "close";
  close.textContent = "×";
  close.setAttribute("aria-label", text("close"));
  close.onclick = () => dialog().close();
  return close;
}

/** Return what a form of the sheet asks for. */
export function asked(form: HTMLFormElement): Move {
  const told = new FormData(form);
  const value = (name: string): string => String(told.get(name) ?? "");
  const properties: Record<string, string> = {};
  for (const [name, given] of told) {
    if (name.startsWith(PROPERTY)) properties[name.slice(PROPERTY.length)] = String(given);
  }
  return {
    deal: value("deal"),
    into: value("into"),
    expecting: value("expecting"),
    entered: value("entered"),
    id: value("id"),
    properties,
    act: form.getAttribute("action") ?? "move",
  };
}
