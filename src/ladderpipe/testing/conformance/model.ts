// Events, ladders and instants: what a case is made of, as it stands in JSON.

import { Refusal } from "./refusal.ts";

export type Json = null | boolean | number | string | Json[] | Record_;
export interface Record_ {
  [name: string]: Json;
}

export const HAND = "ladder.by_hand";
export const OVERRIDE = "ladder.override";
export const EDITED = "deal.edited";
export const WITHDRAW = "ladder.withdraw";
export const TOLD = "ladder.told";
export const MERGED = "cart.merged";

export interface Event {
  type: string;
  deal: string;
  id: string;
  source: string;
  seq: number;
  /** Microseconds since 1970. */
  at: number;
  data: Record_;
}

export interface Stage {
  key: string;
  status: "open" | "won" | "lost" | "abandoned" | "merged";
  requires: string[];
}

export type Guard =
  | string
  | { all: Guard[] }
  | { any: Guard[] }
  | { not: Guard }
  | { value_at_least: { amount: string; currency?: string } }
  | { value_at_most: { amount: string; currency?: string } }
  | { property_equals: { name: string; value: Json } }
  | { property_is_set: string };

export interface Rule {
  key: string;
  /** One of these three. */
  types: string[];
  delay: number | null;
  byHand: boolean;
  since: "entered" | "activity" | "opened";
  into: Stage;
  outOf: "ANY" | string[] | null;
  when: Guard | null;
  opens: boolean;
  reenter: boolean;
}

export interface Ladder {
  stages: Stage[];
  rules: Rule[];
  activity: string[] | null;
}

export function isClosed(stage: Stage | null): boolean {
  return stage !== null && ["won", "lost", "merged"].includes(stage.status);
}

export function stageOf(ladder: Ladder, key: Json | undefined): Stage | undefined {
  return ladder.stages.find((stage) => stage.key === key);
}

/** Read a ladder as a definition file has it. */
export function readLadder(told: any): Ladder {
  const stages: Stage[] = told.stages.map((stage: any) => ({ status: "open", requires: [], ...stage }));
  const ladder: Ladder = { stages, rules: [], activity: told.activity ?? null };
  ladder.rules = told.rules.map((rule: any, n: number) => ({
    key: rule.key ?? `rule ${n}`,
    types: [rule.on ?? []].flat(),
    delay: rule.after === undefined ? null : microseconds(rule.after),
    byHand: rule.by_hand ?? false,
    since: rule.after?.since ?? "entered",
    into: stageOf(ladder, rule.into)!,
    outOf: rule.out_of === undefined || rule.out_of === "ANY" ? (rule.out_of ?? null) : [rule.out_of].flat(),
    when: rule.when ?? null,
    opens: rule.opens ?? false,
    reenter: rule.reenter ?? false,
  }));
  return ladder;
}

export function readEvent(told: any): Event {
  return { deal: "deal-1", source: "", seq: 0, data: {}, ...told, at: instant(told.at) };
}

export function microseconds(of: { days?: number; hours?: number; minutes?: number; seconds?: number }): number {
  const { days = 0, hours = 0, minutes = 0, seconds = 0 } = of;
  return Math.round((((days * 24 + hours) * 60 + minutes) * 60 + seconds) * 1e6);
}

export function instant(text: string): number {
  const found = /^(.*?)(?:\.(\d{1,6})\d*)?(Z|[+-]\d\d:\d\d)$/i.exec(text);
  if (found === null) throw new Refusal(`${text} is no instant`);
  return Date.parse(found[1] + found[3]) * 1000 + Number((found[2] ?? "").padEnd(6, "0"));
}

export function instantText(at: number): string {
  const seconds = new Date(Math.floor(at / 1e6) * 1000).toISOString().slice(0, 19);
  const rest = at - Math.floor(at / 1e6) * 1e6;
  return rest === 0 ? `${seconds}Z` : `${seconds}.${String(rest).padStart(6, "0")}Z`;
}
