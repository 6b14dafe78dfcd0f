import { formatMor } from "@lake-travis/protocol";
import { stringify } from "yaml";
import { type ConfigKey, demandKeys, modelKeys, pricingKeys, topKeys } from "./config-keys.ts";
import { weiOfPrice } from "./provider-config.ts";

/** Values by key, as they are written; a list for keys that take one. */
export type KeyValues = Readonly<Record<string, string | readonly string[] | undefined>>;

/** What goes into a new configuration file. */
export interface ConfigValues {
  readonly top: KeyValues;
  readonly models: readonly KeyValues[];
  readonly pricing: KeyValues;
  readonly demand: KeyValues;
}

const columns = 96;

/** The text of a configuration file: every key with what it means, unused ones as comments. */
export function writeConfig(values: ConfigValues): string {
  const models = values.models.flatMap((model) => listItem(linesOf(model, modelKeys)));
  return [
    ...comment("A Lake Travis Provider. Paths are relative to this file. Start: lake provider up"),
    "",
    ...linesOf(values.top, topKeys),
    ...comment("What is served, and for how much."),
    models.length === 0 ? "models: []" : "models:",
    ...models,
    ...comment("How prices move."),
    "pricing:",
    ...indented(linesOf(values.pricing, pricingKeys)),
    ...comment("What 'lake provider up --auto' may do beside that."),
    "demand:",
    ...indented(linesOf(values.demand, demandKeys)),
  ]
    .join("\n")
    .replace(/\n+$/, "\n");
}

function linesOf(values: KeyValues, keys: readonly ConfigKey[]): readonly string[] {
  return keys.flatMap((known) => {
    const value = values[known.key] ?? known.fallback;
    return [...comment(known.says), ...entryOf(known, value), ""];
  });
}

function entryOf(known: ConfigKey, value: string | readonly string[] | undefined): string[] {
  if (value === undefined || value.length === 0) {
    const example = known.isList === true ? `[${known.example ?? ""}]` : (known.example ?? "");
    return [`# ${known.key}: ${example}`];
  }
  if (typeof value !== "string") {
    return [`${known.key}:`, ...value.map((each) => `  - ${scalar(each)}`)];
  }
  const wei = known.form === "price" ? `  # = ${weiOfPrice(value)} wei of MOR a second` : "";
  return [`${known.key}: ${scalar(value)}${wei}`];
}

function scalar(text: string): string {
  return stringify(text, { schema: "failsafe", lineWidth: 0 }).trimEnd();
}

function listItem(lines: readonly string[]): readonly string[] {
  const body = lines.slice(0, -1);
  // The dash stands before the first key; comments above it keep the item's indent.
  const first = body.findIndex((line) => !line.startsWith("#"));
  return [
    ...body.slice(0, first).map((line) => `  ${line}`),
    `  - ${body[first] ?? ""}`,
    ...body.slice(first + 1).map((line) => (line === "" ? "" : `    ${line}`)),
    "",
  ];
}

function indented(lines: readonly string[]): readonly string[] {
  return lines.map((line) => (line === "" ? "" : `  ${line}`));
}

function comment(text: string): string[] {
  const lines: string[] = [];
  let line = "#";
  for (const word of text.split(" ")) {
    if (line.length + word.length + 1 > columns) {
      lines.push(line);
      line = "#";
    }
    line += ` ${word}`;
  }
  return [...lines, line];
}

/** A price for people: MOR an hour and the exact wei per second. */
export function describePrice(weiPerSecond: bigint): string {
  return `${formatMor(weiPerSecond * 3_600n)} MOR/h (${weiPerSecond} wei/s)`;
}
