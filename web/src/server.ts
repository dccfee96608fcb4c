/** What is asked of the server: acts as JSON, pages as the HTML that is shown without this script. */

export interface Deal {
  id: string;
  title: string;
  stage: string;
}

export interface Told {
  message?: string;
  undo?: string | null;
  deal?: Deal | null;
}

/** A refusal as RFC 9457 has it, with what the board adds to it. */
export interface Problem {
  status: number;
  detail: string;
  missing?: string[];
  stale?: boolean;
  settled?: boolean;
  expecting?: string;
  entered?: string;
  into?: string;
}

export interface Option {
  into: string;
  allowed: boolean;
  possible: boolean;
  missing: string[];
  because: string | null;
  /** What starts and stops with it, in words. */
  hint: string;
}

export type Answer = { ok: true; told: Told } | { ok: false; problem: Problem };

/** Status of a problem that the network had, not the server. */
export const UNREACHABLE = 0;

let underWay = 0;

window.addEventListener("beforeunload", (event) => {
  if (underWay > 0) event.preventDefault();
});

export function isBusy(): boolean {
  return underWay > 0;
}

export function text(name: string): string {
  return document.getElementById("texts")?.getAttribute(`data-${name}`) ?? "";
}

export function freshId(): string {
  const bytes = crypto.getRandomValues(new Uint8Array(12));
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
}

export async function post(act: string, told: Record<string, unknown>): Promise<Answer> {
  underWay += 1;
  try {
    const response = await fetch(act, {
      method: "POST",
      headers: { Accept: "application/json", "Content-Type": "application/json" },
      body: JSON.stringify(told),
      // The request outlives the page, should somebody leave it all the same.
      keepalive: true,
    });
    const found = await response.json();
    return response.ok ? { ok: true, told: found } : { ok: false, problem: found };
  } catch {
    return { ok: false, problem: { status: UNREACHABLE, detail: text("unreachable") } };
  } finally {
    underWay -= 1;
  }
}

export async function optionsOf(deal: string): Promise<Map<string, Option>> {
  const response = await fetch(`options?deal=${encodeURIComponent(deal)}`, {
    headers: { Accept: "application/json" },
  });
  if (!response.ok) throw new Error(String(response.status));
  const found: { options: Option[] } = await response.json();
  return new Map(found.options.map((option) => [option.into, option]));
}

export async function page(address: string): Promise<Document> {
  const response = await fetch(address, { headers: { Accept: "text/html" } });
  if (!response.ok) throw new Error(String(response.status));
  return new DOMParser().parseFromString(await response.text(), "text/html");
}
