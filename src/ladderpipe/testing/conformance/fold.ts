// The fold once more: sections S2 to S10, S13 and S17 of the semantics, slow and plain. It shares no
// code with the one in Python, and knows nothing of hooks, effects, stores or baselines.

import { amount } from "./amounts.ts";
import * as of from "./data.ts";
import type { Data } from "./data.ts";
import { type Event, type Guard, type Json, type Ladder, type Rule, type Stage } from "./model.ts";
import { EDITED, HAND, MERGED, OVERRIDE, TOLD, WITHDRAW, instant, isClosed, stageOf } from "./model.ts";
import { Refusal } from "./refusal.ts";

export interface Move {
  n: number;
  outOf: string | null;
  into: string;
  at: number;
  rule: string;
  event: string | null;
}

export interface State {
  deal: string;
  /** Null while the deal is not yet opened. */
  stage: Stage | null;
  data: Data;
  moves: Move[];
  enteredAt: number;
  activityAt: number;
  openedAt: number;
  closedAt: number | null;
  lostFrom: string | null;
  lastEventAt: number;
  /** Timers of this visit that were due and did not move the deal. */
  blocked: string[];
  /** Every timer rule that ever moved the deal, with the instant. */
  fired: string[];
  /** No timer of this visit is due before: what another system told is taken as it was (S13a). */
  floor: number;
  /** What raised, and withdrawals that name nothing of this deal. */
  aside: string[];
}

/** Return the deal after *events*, up to *until*; null when nothing opened it. */
export function fold(ladder: Ladder, events: Event[], until: number | null): State | null {
  let state: State = {
    ...{ deal: events[0]?.deal ?? "", stage: null, data: of.NOTHING, moves: [], enteredAt: 0, activityAt: 0 },
    ...{ openedAt: 0, closedAt: null, lostFrom: null, lastEventAt: 0, blocked: [], fired: [], floor: -Infinity },
    aside: [],
  };
  const told = inOrder(ladder, events);
  const { gone, astray } = takenBack(told);
  state.aside = astray.map((event) => event.id);
  const isTold = (event: Event) => event.type !== WITHDRAW && (until === null || event.at <= until);
  let waiting = told.filter((event) => isTold(event) && !gone.has(identity(event)));
  let telling = lastTelling(ladder, waiting);
  for (;;) {
    const event = waiting[0];
    const timer = telling === null ? nextTimer(ladder, state) : null;
    if (timer !== null && (event === undefined ? until !== null && timer.due <= until : goesBefore(timer.due, event))) {
      state = fire(state, timer.rule, timer.due);
    } else if (event === undefined) {
      return state.stage === null ? null : state;
    } else {
      waiting = waiting.slice(1);
      state = setAsideIfRaising(ladder, state, event, telling !== null);
      if (event === telling) {
        telling = null;
        const from = event.data["timers_from"];
        state = { ...state, floor: Math.max(event.at, from == null ? -Infinity : instant(String(from))) };
      }
    }
  }
}

// -- the order of events (S9), and what was taken back (S13) --------------------------------------

function inOrder(ladder: Ladder, events: Event[]): Event[] {
  const once = new Map<string, Event>();
  for (const event of events) {
    const known = once.get(identity(event));
    if (known === undefined || event.seq < known.seq) once.set(identity(event), event);
  }
  return [...once.values()].sort((one, other) => compare(ladder, one, other));
}

function identity(event: { source: string; id: string }): string {
  return JSON.stringify([event.source, event.id]);
}

/** Withdrawals are read from the last to the first: one counts unless a later one that counts names it. */
function takenBack(told: Event[]): { gone: Set<string>; astray: Event[] } {
  const known = new Set(told.map(identity));
  const gone = new Set<string>();
  const read = new Set<string>();
  const astray: Event[] = [];
  for (const event of told.toReversed()) {
    if (event.type !== WITHDRAW || gone.has(identity(event))) continue;
    read.add(identity(event));
    const named = identity({ source: String(event.data["source"] ?? ""), id: String(event.data["id"]) });
    if (read.has(named)) continue;
    gone.add(named);
    if (!known.has(named)) astray.unshift(event);
  }
  return { gone, astray };
}

function compare(ladder: Ladder, one: Event, other: Event): number {
  const numbers = (event: Event) => [event.at, isByHand(event) ? 2 : 0, event.seq, rungOf(ladder, event)];
  const theirs = numbers(other);
  const apart = numbers(one).map((mine, n) => mine - theirs[n]);
  // Texts by their code points, as UTF-8 has them.
  const texts = [[one.source, other.source], [one.id, other.id]] as const;
  apart.push(...texts.map(([mine, its]) => Buffer.compare(Buffer.from(mine), Buffer.from(its))));
  return apart.find((each) => each !== 0) ?? 0;
}

function isByHand(event: Event): boolean {
  return [HAND, OVERRIDE, EDITED].includes(event.type);
}

function rungOf(ladder: Ladder, event: Event): number {
  if (event.type === TOLD) return ladder.stages.findIndex((stage) => stage.key === event.data["stage"]);
  const rules = ladder.rules.filter((rule) => rule.types.includes(event.type));
  if (rules.length === 0) return -1;
  if (rules.every((rule) => leavesOnlyClosed(ladder, rule))) return ladder.stages.length;
  return Math.min(...rules.map((rule) => ladder.stages.indexOf(rule.into)));
}

function leavesOnlyClosed(ladder: Ladder, rule: Rule): boolean {
  if (rule.opens || rule.outOf === null || rule.outOf === "ANY") return false;
  return rule.outOf.every((key) => isClosed(stageOf(ladder, key) ?? null));
}

/** At the same instant events go before timers, and timers before hands. */
function goesBefore(due: number, event: Event): boolean {
  return isByHand(event) ? due <= event.at : due < event.at;
}

function lastTelling(ladder: Ladder, events: Event[]): Event | null {
  const reads = (event: Event) => {
    const from = event.data["timers_from"];
    return from == null || /[zZ]|[+-]\d\d:\d\d$/.test(String(from));
  };
  const tells = (event: Event) => event.type === TOLD && stageOf(ladder, event.data["stage"]) !== undefined;
  return events.findLast((event) => tells(event) && reads(event)) ?? null;
}

// -- one event (S2, S13, S17) ---------------------------------------------------------------------

function setAsideIfRaising(ladder: Ladder, before: State, event: Event, isSilent: boolean): State {
  try {
    return apply(ladder, before, event, isSilent);
  } catch (error) {
    // A mistake in this file is not an event's.
    if (!(error instanceof Refusal)) throw error;
    return { ...before, aside: [...before.aside, event.id] };
  }
}

function apply(ladder: Ladder, before: State, event: Event, isSilent: boolean): State {
  const { type, data } = event;
  let state: State = { ...before, lastEventAt: event.at };
  if (type === HAND || type === OVERRIDE) {
    const properties = { ...before.data.properties, ...(data["properties"] as object | undefined) };
    state.data = { ...before.data, properties };
  } else {
    state.data = of.reduced(before.data, event);
  }
  const rule = rulesFor(ladder, before, event).find((each) => letsThrough(each, state));
  const into = rule?.into ?? null;
  let frozen: Partial<Data> | null = null;
  if (isClosed(before.stage) && ![HAND, OVERRIDE, TOLD, EDITED].includes(type)) {
    frozen = { ...of.worth(before.data), taken: before.data.taken, unread: before.data.unread };
    if (into !== null && !isClosed(into)) {
      frozen = null;
    } else if (of.corrects(event)) {
      const wins = into?.status === "won" && before.stage?.status !== "won";
      const isOther = before.data.currency !== null && before.data.currency !== state.data.currency;
      if (!wins && isOther) {
        const part = of.wholeCart(event) !== null ? "cart" : "value";
        state.data = of.keptAside({ ...state.data, ...frozen }, part, event);
      }
      frozen = null;
    }
  }
  const putBack = (found: State): State =>
    frozen !== null && isClosed(found.stage) ? { ...found, data: { ...found.data, ...frozen } } : found;
  if (rule !== undefined) return putBack(enter(state, rule.into, event.at, rule.key, event));
  if (state.stage === null) return state;
  if (isActivity(ladder, event)) state.activityAt = event.at;
  return putBack(isSilent ? state : retried(ladder, state, event.at));
}

function isActivity(ladder: Ladder, event: Event): boolean {
  if (event.type === EDITED || event.type === TOLD) return false;
  return ladder.activity === null || [...ladder.activity, HAND, OVERRIDE].includes(event.type);
}

function rulesFor(ladder: Ladder, state: State, event: Event): Rule[] {
  const { type, data } = event;
  if (type === TOLD || type === OVERRIDE) {
    const key = type === TOLD ? data["stage"] : data["into"];
    const into = stageOf(ladder, key);
    if (type === TOLD && key != null && into === undefined) throw new Refusal(`there is no stage ${key}`);
    if (into === undefined || (type === TOLD && into.key === state.stage?.key)) return [];
    // Past the rules: nothing is required there.
    const way = { types: [], delay: null, byHand: true, since: "entered" as const, outOf: "ANY" as const };
    return [{ ...way, key: type, into: { ...into, requires: [] }, when: null, opens: true, reenter: true }];
  }
  if (type === MERGED && data["into"] === event.deal) return [];
  const listens = (rule: Rule) =>
    type === HAND ? rule.byHand && rule.into.key === data["into"] : rule.types.includes(type);
  return ladder.rules.filter((rule) => listens(rule) && mayLeave(rule, state.stage));
}

/** S3 and S4; the opening ignores out_of. */
function mayLeave(rule: Rule, stage: Stage | null): boolean {
  if (stage === null) return rule.opens;
  if (stage.key === rule.into.key && !rule.reenter) return false;
  if (rule.outOf === "ANY") return true;
  return rule.outOf === null ? !isClosed(stage) : rule.outOf.includes(stage.key);
}

function letsThrough(rule: Rule, { data }: State): boolean {
  const isOpen = rule.when === null || holds(rule.when, data);
  return isOpen && rule.into.requires.every((name) => isFilled(name, data));
}

function holds(guard: Guard, data: Data): boolean {
  if (guard === "cart_has_items") return data.cart.length > 0;
  if (guard === "cart_is_empty") return data.cart.length === 0;
  if (typeof guard === "string") throw new Refusal(`there is no guard ${guard}`);
  if ("all" in guard) return guard.all.every((part) => holds(part, data));
  if ("any" in guard) return guard.any.some((part) => holds(part, data));
  if ("not" in guard) return !holds(guard.not, data);
  if ("property_is_set" in guard) return filled(data.properties[guard.property_is_set]);
  if ("property_equals" in guard) {
    const { name, value } = guard.property_equals;
    return JSON.stringify(data.properties[name]) === JSON.stringify(value);
  }
  const bound = "value_at_least" in guard ? guard.value_at_least : guard.value_at_most;
  const found = of.value(data);
  if (found === null || (bound.currency !== undefined && data.currency !== bound.currency)) return false;
  return "value_at_least" in guard ? found >= amount(bound.amount) : found <= amount(bound.amount);
}

function filled(found: unknown): boolean {
  if (typeof found === "string") return found.trim() !== "";
  if (typeof found === "object" && found !== null) return Object.keys(found).length > 0;
  return found !== null && found !== undefined;
}

function isFilled(name: string, data: Data): boolean {
  if (filled(data.properties[name])) return true;
  if (name === "value") return (of.value(data) ?? 0n) !== 0n;
  const fields = ["owner", "contact", "company", "title", "source", "currency"];
  return fields.includes(name) && filled(data[name as keyof Data]);
}

// -- timers (S8) ----------------------------------------------------------------------------------

function timersOf(ladder: Ladder, state: State): Rule[] {
  if (state.stage === null) return [];
  return ladder.rules.filter((rule) => rule.delay !== null && mayLeave(rule, state.stage));
}

function dueOf(rule: Rule, state: State): number {
  const start = { entered: state.enteredAt, activity: state.activityAt, opened: state.openedAt }[rule.since];
  return Math.max(start + rule.delay!, state.enteredAt);
}

/** The next timer of this visit that was not yet tried: by due time, then rule order. */
export function nextTimer(ladder: Ladder, state: State): { rule: Rule; due: number } | null {
  let next: { rule: Rule; due: number } | null = null;
  for (const rule of timersOf(ladder, state)) {
    const due = Math.max(dueOf(rule, state), state.floor);
    if (!state.blocked.includes(rule.key) && (next === null || due < next.due)) next = { rule, due };
  }
  return next;
}

function fire(state: State, rule: Rule, at: number): State {
  const once = JSON.stringify([rule.key, at]);
  if (state.fired.includes(once) || !letsThrough(rule, state)) {
    return { ...state, blocked: [...state.blocked, rule.key] };
  }
  return enter({ ...state, fired: [...state.fired, once] }, rule.into, at, rule.key, null);
}

/** After an event that moved nothing: timers since activity are rearmed, blocked ones tried again. */
function retried(ladder: Ladder, state: State, at: number): State {
  const stillDue = (rule: Rule) => state.blocked.includes(rule.key) && dueOf(rule, state) <= at;
  const timers = timersOf(ladder, state);
  const rearms = timers.some((rule) => rule.since === "activity");
  const blocked = rearms ? timers.filter(stillDue).map((rule) => rule.key) : state.blocked;
  const after = { ...state, blocked };
  for (const rule of timers) {
    const once = JSON.stringify([rule.key, at]);
    if (blocked.includes(rule.key) && !state.fired.includes(once) && letsThrough(rule, after)) {
      return enter({ ...after, fired: [...state.fired, once] }, rule.into, at, rule.key, null);
    }
  }
  return after;
}

// -- one move (S17) -------------------------------------------------------------------------------

function enter(state: State, into: Stage, at: number, rule: string, event: Event | null): State {
  const left = state.stage;
  const n = state.moves.length + 1;
  const move = { n, outOf: left?.key ?? null, into: into.key, at, rule, event: event?.id ?? null };
  const data = left === null ? { ...state.data, title: state.data.title ?? titleOf(state) } : state.data;
  const wonAgain = left?.status === "won" && into.status === "won";
  const lostFrom = into.status !== "lost" ? null : left?.status === "lost" ? state.lostFrom : (left?.key ?? null);
  return {
    ...{ ...state, data, lostFrom, moves: [...state.moves, move], enteredAt: at, activityAt: at },
    ...{ openedAt: left === null ? at : state.openedAt, blocked: [], floor: -Infinity },
    stage: into,
    closedAt: wonAgain ? state.closedAt : isClosed(into) ? at : null,
  };
}

/** The first thing in the cart and how many more, or who is buying. */
export function titleOf({ deal, data }: State): string {
  const [first, ...others] = data.cart;
  if (first !== undefined) {
    const name = first.title ?? first.key.slice(first.key.indexOf(":") + 1);
    return others.length === 0 ? name : `${name} + ${others.length}`;
  }
  const named = (found: Json) => (typeof found === "object" && found !== null && !Array.isArray(found) ? found["name"] : found);
  return String(named(data.company) || data.contact["name"] || deal);
}
