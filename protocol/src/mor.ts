import { LakeError } from "./errors.ts";

const unit = 10n ** 18n;

/** Reads an amount of MOR such as `1.5` as wei; throws `argument-invalid`. */
export function parseMor(text: string): bigint {
  // 42,000,000 MOR is all there will ever be; 18 decimals reach down to one wei.
  const match = /^([0-9]{1,9})(?:\.([0-9]{1,18}))?$/.exec(text);
  if (match === null) {
    throw new LakeError("argument-invalid", `'${text.slice(0, 40)}' is not an amount of MOR.`, {
      advice: "Write a number such as 1.5, with at most 18 decimals.",
    });
  }
  return BigInt(match[1] ?? "0") * unit + BigInt((match[2] ?? "").padEnd(18, "0"));
}

/** Writes wei as exact MOR without trailing zeros. */
export function formatMor(wei: bigint): string {
  const sign = wei < 0n ? "-" : "";
  const size = wei < 0n ? -wei : wei;
  const fraction = (size % unit).toString().padStart(18, "0").replace(/0+$/, "");
  return `${sign}${size / unit}${fraction === "" ? "" : `.${fraction}`}`;
}

/** Writes wei as MOR for people: rounded to six decimals. Never read back, never computed with. */
export function formatMorShort(wei: bigint): string {
  const step = 10n ** 12n;
  return formatMor(((wei + step / 2n) / step) * step);
}
