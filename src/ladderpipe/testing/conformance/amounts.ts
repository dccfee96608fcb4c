// Exact decimals in units of 10^-10, as whole numbers (S17: half to even at the tenth place).

import { Refusal } from "./refusal.ts";

const PLACES = 10;
const ONE = 10n ** BigInt(PLACES);
const LIMIT = 10n ** 15n * ONE;

export type Amount = bigint;

export function amount(told: unknown): Amount {
  if (typeof told !== "string" && typeof told !== "number") throw new Refusal(`${told} is no amount`);
  const found = /^\s*([+-]?)(\d*)\.?(\d*)(?:[eE]([+-]?\d+))?\s*$/.exec(String(told));
  if (found === null || found[2] + found[3] === "") throw new Refusal(`${told} is no amount`);
  const [, sign, whole, fraction, exponent] = found;
  // The number is digits * 10^-finer.
  const finer = fraction.length - Number(exponent ?? 0) - PLACES;
  if (finer < -1000 || finer > 1000) throw new Refusal(`${told} is out of bounds`);
  const digits = BigInt(whole + fraction);
  const size = finer > 0 ? divided(digits, 10n ** BigInt(finer)) : digits * 10n ** BigInt(-finer);
  if (size >= LIMIT) throw new Refusal(`${told} is out of bounds`);
  return sign === "-" ? -size : size;
}

export function product(one: Amount, other: Amount): Amount {
  const exact = one * other;
  return exact < 0n ? -divided(-exact, ONE) : divided(exact, ONE);
}

export function written(found: Amount): string {
  const digits = (found < 0n ? -found : found).toString().padStart(PLACES + 1, "0");
  const fraction = digits.slice(-PLACES).replace(/0+$/, "");
  return (found < 0n ? "-" : "") + digits.slice(0, -PLACES) + (fraction && `.${fraction}`);
}

/** Divide what is not negative, half to even. */
function divided(dividend: bigint, divisor: bigint): bigint {
  const quotient = dividend / divisor;
  const twice = 2n * (dividend % divisor);
  return twice > divisor || (twice === divisor && quotient % 2n === 1n) ? quotient + 1n : quotient;
}
