// A second, small implementation of the fold, which runs the cases beside it:
//
//     node reference.ts                run them all
//     node reference.ts --answer       answer requests, a line of JSON each: {ladder, events, until}

import { readFileSync, readdirSync } from "node:fs";
import { createInterface } from "node:readline";

import { written } from "./amounts.ts";
import { value } from "./data.ts";
import { type State, fold, nextTimer, titleOf } from "./fold.ts";
import { type Json, type Ladder, type Record_, instant, instantText, readEvent, readLadder } from "./model.ts";

interface Case {
  name: string;
  ladder: string;
  events?: object[];
  until?: string;
  history?: Record_ | null;
}

const AMOUNTS = ["value", "quantity", "unit_price"];
/** What a case says as a whole; of other mappings it leaves out what it will. */
const WHOLE = ["contact", "properties", "company"];

function history(ladder: Ladder, state: State | null): Record_ | null {
  if (state === null) return null;
  const { data } = state;
  const lines = data.cart.map(({ key, sku, title, quantity, price }) => ({
    ...{ key, sku, title, quantity: written(quantity), unit_price: price === null ? null : written(price) },
  }));
  const found = value(data);
  const due = nextTimer(ladder, state)?.due ?? null;
  const at = (instant: number | null) => (instant === null ? null : instantText(instant));
  const deal = {
    ...{ id: state.deal, title: data.title ?? titleOf(state), stage: state.stage!.key, status: state.stage!.status },
    ...{ value: found === null ? null : written(found), currency: data.currency },
    ...{ cart: lines, cart_currency: data.cartCurrency, unread: data.unread },
    ...{ owner: data.owner, source: data.source, contact: data.contact, company: data.company },
    ...{ properties: data.properties, visit: state.moves.length, lost_from: state.lostFrom },
    ...{ entered_at: at(state.enteredAt), opened_at: at(state.openedAt), closed_at: at(state.closedAt) },
    ...{ due_at: at(due), last_event_at: at(state.lastEventAt) },
  };
  const moves = state.moves.map(({ n, outOf, into, at, rule, event }) => ({
    ...{ n, out_of: outOf, into, at: instantText(at), rule, event },
  }));
  return { deal, moves, aside: state.aside.toSorted() };
}

/** Where what was found is not what is expected. */
function difference(expected: Json, found: Json | undefined, place: string): string | null {
  if (Array.isArray(expected) && Array.isArray(found) && expected.length === found.length) {
    return expected.map((each, n) => difference(each, found[n], `${place}[${n}]`)).find((each) => each) ?? null;
  }
  if (isMapping(expected) && isMapping(found)) {
    const isWhole = WHOLE.some((name) => place.endsWith(`.${name}`));
    const parts = Object.entries(isWhole ? { ...blank(found), ...expected } : expected);
    return parts.map(([name, each]) => difference(each, found[name], `${place}.${name}`)).find((each) => each) ?? null;
  }
  const isAmount = AMOUNTS.some((name) => place.endsWith(`.${name}`)) && expected !== null && found != null;
  if (expected === found || (isAmount && Number(expected) === Number(found))) return null;
  return `${place}: expected ${JSON.stringify(expected)}, found ${JSON.stringify(found)}`;
}

function blank(found: Record_): Record_ {
  return Object.fromEntries(Object.keys(found).map((name) => [name, "(nothing)"]));
}

function isMapping(told: Json | undefined): told is Record_ {
  return typeof told === "object" && told !== null && !Array.isArray(told);
}

function answer(ladder: Ladder, events: object[], until: string | null | undefined): Record_ | null {
  return history(ladder, fold(ladder, events.map(readEvent), until == null ? null : instant(until)));
}

function runAll(): void {
  const read = (name: string) => JSON.parse(readFileSync(new URL(name, import.meta.url), "utf8"));
  const ladders = read("ladders.json");
  const counts = { passed: 0, failed: 0 };
  for (const name of readdirSync(new URL(".", import.meta.url)).sort()) {
    if (!/^S\d.*\.json$/.test(name)) continue;
    for (const each of read(name).cases as Case[]) {
      if (each.events === undefined) continue; // steps: of a board
      const ladder = readLadder(ladders[each.ladder]);
      for (const events of [each.events, each.events.toReversed()]) {
        const expected = each.history ?? null;
        const problem = difference(expected, answer(ladder, events, each.until), "history");
        counts[problem === null ? "passed" : "failed"] += 1;
        if (problem !== null) console.log(`${name}: ${each.name}\n    ${problem}`);
      }
    }
  }
  console.log(`${counts.passed} passed, ${counts.failed} failed`);
  process.exitCode = counts.failed === 0 ? 0 : 1;
}

if (process.argv.includes("--answer")) {
  for await (const line of createInterface({ input: process.stdin })) {
    const { ladder, events, until } = JSON.parse(line);
    console.log(JSON.stringify(answer(readLadder(ladder), events, until)));
  }
} else {
  runAll();
}
