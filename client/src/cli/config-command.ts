import { Command } from "commander";
import { formatMor, LakeError, parseMor, toHex } from "@lake-travis/protocol";
import { systemRandom } from "@lake-travis/platform";
import { mkdirSync } from "node:fs";
import { dirname } from "node:path";
import {
  type ClientConfig,
  removeSetting,
  settingRules,
  writeEndpointKey,
  writeSetting,
} from "./client-config.ts";
import { formatTable } from "./format-table.ts";
import type { LakeContext } from "./lake-context.ts";
import { bearerHash } from "./up-command.ts";

/** `lake config`: the settings, and the endpoint's bearer keys. */
export function createConfigCommand(context: LakeContext): Command {
  const config = new Command("config")
    .description("settings: show, set, unset; bearer keys of the endpoint")
    .addHelpText("after", examples)
    .action(() => show(context));
  config
    .command("get <name>")
    .description("one setting")
    .action((name: string) => {
      const value = context.place().config[name as keyof ClientConfig];
      if (value === undefined) {
        throw new LakeError("content-missing", `${name} is not set; its default is in force.`);
      }
      context.terminal.result({ [name]: toJson(value) }, textOf(value));
    });
  config
    .command("set <name> <value>")
    .description("write one setting")
    .action((name: string, value: string) => {
      writeSetting(pathOf(context), name, value);
      context.terminal.result({ [name]: value }, `${name}: ${value}`);
    });
  config
    .command("unset <name>")
    .description("back to the default")
    .action((name: string) => {
      removeSetting(pathOf(context), name);
      context.terminal.result({ [name]: null }, `${name} has its default again.`);
    });
  config
    .command("path")
    .description("where the settings are")
    .action(() => {
      const { configPath } = context.place();
      context.terminal.result({ path: configPath }, configPath);
    });
  addKeyCommands(config, context);
  return config;
}

const examples = `
Examples:
  lake config
  lake config set dailyLimit 2
  lake config set model lake/travis-tiny
  lake config key add laptop --daily-limit 0.5
  lake config key remove laptop`;

function addKeyCommands(config: Command, context: LakeContext): void {
  const key = config.command("key").description("bearer keys that lake up asks for");
  key
    .command("add <name>")
    .description("make a bearer key; it is shown once and only its hash is kept")
    .option("--daily-limit <MOR>", "most that it may spend in one UTC day")
    .action((name: string, { dailyLimit }: { readonly dailyLimit?: string }) => {
      if (dailyLimit !== undefined) parseMor(dailyLimit);
      const bearer = `lk-${toHex(systemRandom.bytes(24)).slice(2)}`;
      const sha256 = bearerHash(bearer);
      const limit = dailyLimit === undefined ? {} : { dailyLimit };
      writeEndpointKey(pathOf(context), name, { sha256, ...limit });
      context.terminal.result({ name, bearer }, bearer);
      context.terminal.say("It is not shown again. Restart lake up to let it in.");
    });
  key
    .command("remove <name>")
    .description("refuse a key from the next start of lake up on")
    .action((name: string) => {
      const known = (context.place().config.keys ?? []).some((each) => each.name === name);
      if (!known) throw new LakeError("content-missing", `There is no key ${name}.`);
      writeEndpointKey(pathOf(context), name, undefined);
      context.terminal.result({ removed: name }, `${name} is removed.`);
    });
}

function pathOf(context: LakeContext): string {
  const { configPath } = context.place();
  mkdirSync(dirname(configPath), { recursive: true, mode: 0o700 });
  return configPath;
}

function show(context: LakeContext): void {
  const { config, configPath } = context.place();
  const names = Object.keys(settingRules) as (keyof ClientConfig)[];
  const rows = names.map((name) => {
    const value = config[name];
    return [name, value === undefined ? "(default)" : textOf(value), settingRules[name].about];
  });
  const json = Object.fromEntries(Object.entries(config).map(([k, v]) => [k, toJson(v)])) as object;
  const table = formatTable(["setting", "value", "what it is"], rows);
  context.terminal.result(json, `${configPath}\n${table}`);
}

function textOf(value: NonNullable<ClientConfig[keyof ClientConfig]>): string {
  if (typeof value === "bigint") return `${formatMor(value)} MOR`;
  if (typeof value !== "object") return String(value);
  if (Array.isArray(value)) return value.map(({ name }: { name: string }) => name).join(", ");
  return Object.entries(value)
    .map(([name, each]) => `${name}=${String(each)}`)
    .join(" ");
}

function toJson(value: unknown): unknown {
  if (typeof value === "bigint") return formatMor(value);
  if (Array.isArray(value)) return value.map(toJson);
  if (typeof value !== "object" || value === null) return value;
  return Object.fromEntries(Object.entries(value).map(([name, each]) => [name, toJson(each)]));
}
