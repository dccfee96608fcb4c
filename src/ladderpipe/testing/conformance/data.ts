// What events say about a deal (S17). Nothing is changed in place.

import { type Amount, amount, product } from "./amounts.ts";
import { type Event, type Json, type Record_, EDITED, TOLD, microseconds } from "./model.ts";
import { Refusal } from "./refusal.ts";

export interface Line {
  key: string;
  sku: string | null;
  title: string | null;
  quantity: Amount;
  price: Amount | null;
  /** Grows from telling to telling. */
  told: number;
}

export interface Worth {
  cart: Line[];
  cartCurrency: string | null;
  cartIsTold: boolean;
  explicit: Amount | null;
  currency: string | null;
}

/** What removals took from a cart: an order may be for that. */
interface Taken {
  before: Worth;
  since: number;
  emptiedAt: number | null;
}

export interface Data extends Worth {
  taken: Taken | null;
  unread: { part: string; event: string }[];
  title: string | null;
  owner: string | null;
  source: string | null;
  company: Json;
  contact: Record_;
  properties: Record_;
}

export const NOTHING: Data = {
  ...{ cart: [], cartCurrency: null, cartIsTold: false, explicit: null, currency: null },
  ...{ taken: null, unread: [], title: null, owner: null, source: null, company: null },
  ...{ contact: {}, properties: {} },
};

export const SHORTLY = microseconds({ minutes: 15 });

export function worth({ cart, cartCurrency, cartIsTold, explicit, currency }: Data): Worth {
  return { cart, cartCurrency, cartIsTold, explicit, currency };
}

export function value(data: Data): Amount | null {
  if (data.explicit !== null) return data.explicit;
  if (data.cart.length === 0) return data.cartIsTold ? 0n : null;
  const priced = data.cart.flatMap((line) => (line.price === null ? [] : [product(line.quantity, line.price)]));
  return priced.length === 0 ? null : priced.reduce((sum, part) => sum + part, 0n);
}

export function corrects(event: Event): boolean {
  return event.type.startsWith("order.") || event.type === EDITED || event.type === TOLD;
}

/** Return the data after an event; raise if a part of it is not what it should be. */
export function reduced(before: Data, event: Event): Data {
  let data = withCart(before, event);
  // The fields count in the order in which they stand in the event.
  for (const [name, told] of Object.entries(event.data)) {
    if (name === "value") data = withValue(data, event, told);
    else if (name === "currency") data = withCurrency(data, event, told);
    else if (name === "title" || name === "owner" || name === "source") data = { ...data, [name]: text(told) };
    else if (name === "company") data = { ...data, company: told };
    else if (name === "contact" && told !== null) data = withContact(data, event, mapping(told));
    else if (name === "properties") data = { ...data, properties: { ...data.properties, ...mapping(told) } };
  }
  return data;
}

export function keptAside(data: Data, part: string, event: Event): Data {
  return { ...data, unread: [...data.unread, { part, event: event.id }] };
}

/** Return the lines of a whole cart, if the event tells one. */
export function wholeCart(event: Event): Json[] | null {
  const cart = event.data["cart"];
  const lines = isMapping(cart) ? cart["lines"] : null;
  if (!Array.isArray(lines)) return null;
  if (event.type === "cart.updated" || event.type === "order.edited") return lines;
  return lines.length > 0 && corrects(event) ? lines : null;
}

// -- the cart ------------------------------------------------------------------------------------

function withCart(data: Data, event: Event): Data {
  const lines = wholeCart(event);
  if (lines !== null) data = replaced(data, event, lines);
  else if (event.type === "cart.updated") throw new Refusal("cart.updated needs the whole cart");
  else if (event.type === "cart.emptied") data = emptied(data, event);
  else if (event.type === "cart.item_added") return added(data, event);
  else if (event.type === "cart.item_removed") return removed(data, event);
  else if (event.type.startsWith("order.") && !["order.cancelled", "order.edited", "order.refunded"].includes(event.type)) {
    return givenBack(data, event);
  }
  return event.type === "order.refunded" ? refunded(data, event) : data;
}

interface LineTold extends Omit<Line, "quantity" | "told"> {
  quantity: Amount | null;
  currency: string | null;
}

function readLine(told: Json): LineTold | null {
  if (!isMapping(told)) return null;
  try {
    for (const name of ["sku", "variant_id", "key", "id", "title"]) {
      const what = words(told[name]);
      if (what === null) continue;
      const quantity = told["quantity"] == null ? null : amount(told["quantity"]);
      if (quantity !== null && quantity < 0n) return null;
      const price = told["unit_price"] == null || told["unit_price"] === "" ? null : amount(told["unit_price"]);
      const sku = name === "sku" ? what : null;
      return { key: `${name}:${what}`, sku, quantity, price, title: words(told["title"]), currency: code(told["currency"]) };
    }
  } catch (error) {
    if (!(error instanceof Refusal)) throw error;
  }
  return null;
}

function words(told: Json | undefined): string | null {
  if (typeof told === "number") return String(told);
  return typeof told === "string" && told.trim() !== "" ? told : null;
}

function nextTelling(cart: Line[]): number {
  return 1 + Math.max(0, ...cart.map((line) => line.told));
}

function replaced(data: Data, event: Event, lines: Json[]): Data {
  const read = lines.map(readLine);
  const cartSays = isMapping(event.data["cart"]) ? code(event.data["cart"]["currency"]) : null;
  const said = read.find((line) => line !== null && line.currency !== null)?.currency ?? null;
  const currency = cartSays ?? code(event.data["currency"]) ?? said ?? currencyOfCart(data);
  let cart: Line[] = [];
  let after: Data = { ...data, unread: [] };
  for (const told of read) {
    if (told === null || (told.currency !== null && told.currency !== currency)) {
      after = keptAside(after, "line", event);
      continue;
    }
    const quantity = told.quantity ?? amount(1);
    const same = cart.find((line) => line.key === told.key && line.price === told.price);
    const line = {
      ...{ key: told.key, sku: told.sku, price: told.price, title: told.title ?? same?.title ?? null },
      ...{ quantity: quantity + (same?.quantity ?? 0n), told: nextTelling(cart) },
    };
    if (quantity !== 0n) cart = same ? cart.map((each) => (each === same ? line : each)) : [...cart, line];
  }
  const isEmpty = cart.length === 0;
  after.taken = isEmpty && after.unread.length === 0 ? noted(data, event) : null;
  return holding(after, cart, currency, !isEmpty || after.unread.length === 0, event);
}

function emptied(data: Data, event: Event): Data {
  return holding({ ...data, unread: [], taken: noted(data, event) }, [], currencyOfCart(data), true, event);
}

/** Hold this cart; if it is another than the one held, an explicit value falls. */
function holding(data: Data, cart: Line[], cartCurrency: string | null, cartIsTold: boolean, event: Event): Data {
  const isRelabelled = cartCurrency !== null && data.cartCurrency !== null && cartCurrency !== data.cartCurrency;
  const differs = isRelabelled ? cart.length + data.cart.length > 0 : counted(cart) !== counted(data.cart);
  const explicit = differs ? null : data.explicit;
  const taken = cart.length === 0 ? withEmptying(data.taken, event) : data.taken;
  return followingCart({ ...data, cart, cartCurrency, cartIsTold, explicit, taken });
}

function counted(cart: Line[]): string {
  return cart.map((line) => JSON.stringify([line.key, String(line.price), String(line.quantity)])).sort().join();
}

function currencyOfCart(data: Data): string | null {
  return data.cart.length > 0 ? data.cartCurrency : (data.currency ?? data.cartCurrency);
}

/** Take the cart's currency, unless the deal is worth what it was said to be. */
function followingCart(data: Data): Data {
  const follows = data.currency === null || (data.explicit === null && data.cartCurrency !== null);
  return follows ? { ...data, currency: data.cartCurrency } : data;
}

/** Note what the cart is before a removal, unless it is one of several made shortly. */
function noted(data: Data, event: Event): Taken | null {
  const { taken } = data;
  if (data.cart.length === 0 || (taken !== null && event.at - taken.since < SHORTLY)) return taken;
  return { before: worth(data), since: event.at, emptiedAt: null };
}

function withEmptying(taken: Taken | null, event: Event): Taken | null {
  return taken === null || taken.emptiedAt !== null ? taken : { ...taken, emptiedAt: event.at };
}

function lineOf(event: Event): LineTold | null {
  if (event.data["line"] == null) throw new Refusal(`${event.type} needs a line`);
  return readLine(event.data["line"]);
}

function added(data: Data, event: Event): Data {
  const told = lineOf(event);
  const currency = told?.currency ?? code(event.data["currency"]);
  const held = currencyOfCart(data);
  const clashes = currency !== null && held !== null && currency !== held && holdsAnAmount(data);
  if (told === null || clashes) return keptAside(data, "line", event);
  const quantity = told.quantity ?? amount(1);
  const mine = data.cart.filter((line) => line.key === told.key).sort((one, other) => one.told - other.told);
  const known = (told.price === null ? undefined : mine.find((line) => line.price === told.price)) ?? mine.at(-1);
  if (known === undefined && quantity === 0n) return data;
  const line = {
    ...{ key: told.key, sku: told.sku, title: told.title ?? known?.title ?? null },
    ...{ price: told.price ?? known?.price ?? null, told: nextTelling(data.cart) },
    quantity: quantity + (known?.quantity ?? 0n),
  };
  const cart = known ? data.cart.map((each) => (each === known ? line : each)) : [...data.cart, line];
  const after = { ...data, cart, cartIsTold: true };
  if (known !== undefined && quantity === 0n && line.price === known.price) return after;
  return followingCart({ ...after, taken: null, explicit: null, cartCurrency: currency ?? held });
}

function removed(data: Data, event: Event): Data {
  const told = lineOf(event);
  if (told === null) return keptAside(data, "line", event);
  const mine = data.cart.filter((line) => line.key === told.key).sort((one, other) => other.told - one.told);
  if (mine.length === 0 || told.quantity === 0n) return data;
  // Without a quantity it is the whole line told last.
  let left = told.quantity ?? mine[0].quantity;
  let cart = data.cart;
  for (const line of mine) {
    const rest = line.quantity > left ? line.quantity - left : 0n;
    left -= line.quantity - rest;
    cart = cart.flatMap((each) => (each !== line ? [each] : rest > 0n ? [{ ...line, quantity: rest }] : []));
    if (left === 0n) break;
  }
  const noting = noted(data, event);
  const taken = cart.length === 0 ? withEmptying(noting, event) : noting;
  return followingCart({ ...data, cart, taken, explicit: null });
}

/** An order without lines is for the cart before the removals that emptied it. */
function givenBack(data: Data, event: Event): Data {
  const { taken } = data;
  if (data.cart.length > 0 || taken === null || taken.emptiedAt === null) return data;
  if (event.at - taken.emptiedAt >= SHORTLY) return data;
  const { cart, cartCurrency, cartIsTold, explicit, currency } = taken.before;
  const after = { ...data, taken: null, cart, cartCurrency, cartIsTold };
  // A value that was told since the cart was emptied is newer than the one before.
  return data.explicit === null ? { ...after, explicit, currency } : after;
}

function refunded(data: Data, event: Event): Data {
  const { refunded: back, value: left } = event.data;
  if (back == null) return left == null ? { ...data, explicit: 0n } : data;
  if (left != null) throw new Refusal("what is left, and what went back: send one of them");
  const went = amount(back);
  const currency = code(event.data["currency"]);
  const clashes = currency !== null && data.currency !== null && currency !== data.currency;
  if (went < 0n || clashes) return keptAside(data, "refunded", event);
  const known = value(data);
  const after = { ...data, currency: data.currency ?? currency };
  // What is left of an amount that nobody knows is not known either.
  return known === null ? after : { ...after, explicit: known > went ? known - went : 0n };
}

// -- what any event may carry --------------------------------------------------------------------

function holdsAnAmount(data: Data): boolean {
  return data.cart.length > 0 || data.explicit !== null;
}

function withValue(data: Data, event: Event, told: Json): Data {
  if (told === null) {
    return event.type === "order.refunded" ? data : followingCart({ ...data, explicit: null });
  }
  const explicit = amount(told);
  const isWhole = wholeCart(event) !== null;
  const currency = code(event.data["currency"]) ?? (isWhole ? data.cartCurrency : null);
  let after = data;
  if (currency !== null) {
    const mayBeAnother = isWhole || corrects(event) || !holdsAnAmount(data);
    const isAnother = data.currency !== null && data.currency !== currency;
    if (isAnother && !mayBeAnother) return keptAside(data, "value", event);
    after = { ...data, currency, cartCurrency: data.cartCurrency ?? currency };
  }
  return { ...after, explicit, unread: after.unread.filter((each) => each.part === "line") };
}

/** Label what has no currency yet; beside an amount the currency is that amount's. */
function withCurrency(data: Data, event: Event, told: Json): Data {
  const currency = code(told);
  const isOfAnAmount =
    event.data["value"] != null ||
    event.type === "cart.item_added" ||
    (event.type === "order.refunded" && event.data["refunded"] != null) ||
    wholeCart(event) !== null;
  if (currency === null || isOfAnAmount) return data;
  if (event.type === EDITED) {
    const both = data.cartCurrency === data.currency;
    return { ...data, currency, cartCurrency: both ? currency : data.cartCurrency };
  }
  const isAnother = data.currency !== null && data.currency !== currency;
  if (isAnother && holdsAnAmount(data)) return keptAside(data, "currency", event);
  const ofCart = data.cart.length === 0 ? currency : (data.cartCurrency ?? currency);
  return { ...data, currency, cartCurrency: ofCart };
}

/** Field by field; another id, or without one another e-mail, is another person. */
function withContact(data: Data, event: Event, told: Record_): Data {
  const news = Object.fromEntries(Object.entries(told).filter(([, part]) => part !== null && part !== ""));
  const known = data.contact;
  if (event.type === EDITED) {
    const kept = Object.entries(known).filter(([name]) => !(name in told));
    return { ...data, contact: { ...Object.fromEntries(kept), ...news } };
  }
  const ids = ["id", "customer_id"].filter((name) => name in known && name in news);
  const mail = (contact: Record_) => String(contact["email"]).trim().toLowerCase();
  const isAnother =
    ids.length > 0
      ? ids.some((name) => String(known[name]) !== String(news[name]))
      : "email" in known && "email" in news && mail(known) !== mail(news);
  return { ...data, contact: isAnother ? news : { ...known, ...news } };
}

function code(told: Json | undefined): string | null {
  if (told == null || told === "") return null;
  if (typeof told !== "string" || !/^[A-Z]{3}$/.test(told)) throw new Refusal(`${told} is no currency`);
  return told;
}

function text(told: Json): string | null {
  if (told !== null && typeof told !== "string") throw new Refusal(`${told} is no text`);
  return told || null;
}

function isMapping(told: Json | undefined): told is Record_ {
  return typeof told === "object" && told !== null && !Array.isArray(told);
}

function mapping(told: Json): Record_ {
  if (!isMapping(told)) throw new Refusal(`${told} is no mapping`);
  return told;
}
