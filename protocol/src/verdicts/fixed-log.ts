/*
 * Logarithms and evidence in whole numbers: 1024ths of a bit. The logarithm is found bit by bit by
 * squaring a fixed-point mantissa, so no library function of a platform has a say in it.
 */
import { octaveOf } from "./log-bucket.ts";

/** One bit of evidence. */
export const bit = 1024;

/** log2 of a positive safe integer, in 1024ths. */
export function log2Of(value: number): number {
  const octave = octaveOf(value);
  let mantissa = octave <= 20 ? value * 2 ** (20 - octave) : Math.floor(value / 2 ** (octave - 20));
  let result = octave * bit;
  for (let part = bit / 2; part >= 1; part /= 2) {
    mantissa = Math.floor((mantissa * mantissa) / one);
    if (mantissa >= 2 * one) {
      mantissa = Math.floor(mantissa / 2);
      result += part;
    }
  }
  return result;
}

/**
 * Evidence that events happen more often than expected: the Chernoff bound
 * P(at least k of n) <= 2^-(n KL(k/n || q)), as 1024ths of a bit; 0 where k/n <= q.
 * Source: Hoeffding, 'Probability inequalities for sums of bounded random variables', 1963.
 *
 * @param q the expected share in millionths, 1 to 999,999
 */
export function excessEvidence(k: number, n: number, q: number): number {
  if (n === 0 || k * million <= n * q) return 0;
  const hit = k * (log2Of(k) + log2Of(million) - log2Of(n) - log2Of(q));
  const rest = n - k;
  if (rest === 0) return Math.max(0, hit);
  const miss = rest * (log2Of(rest) + log2Of(million) - log2Of(n) - log2Of(million - q));
  return Math.max(0, hit + miss);
}

/**
 * Evidence that surprises are larger than chance makes them. Under chance a surprise is
 * exponential with mean 1 / ln 2 bits; by Chernoff n of them have a mean of m nats or more with a
 * probability of at most e^-n(m - 1 - ln m). Returns 1024ths of a bit; 0 where m <= 1.
 *
 * @param mean mean surprise in 1024ths of a bit
 */
export function surpriseEvidence(mean: number, n: number): number {
  if (mean <= chanceMean) return 0;
  const nats = Math.floor((mean * bit) / chanceMean);
  const perRecord = Math.floor(((nats - bit) * chanceMean) / bit) - (log2Of(nats) - 10 * bit);
  return Math.max(0, n * perRecord);
}

/** The mean surprise under chance: 1 / ln 2 bits. */
export const chanceMean = 1477;

/** Millionths in one. */
export const million = 1_000_000;

/** n observations that are not independent: at most `most` count, half of it at n = most. */
export function damped(n: number, most: number): number {
  return n + most === 0 ? 0 : (n * most) / (n + most);
}

const one = 2 ** 20;
