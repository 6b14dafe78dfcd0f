import { Command } from "commander";
import { LakeError, parseHandle, type Handle } from "@lake-travis/protocol";
import {
  collectGarbage,
  listModels,
  pinModel,
  readManifest,
  removeModel,
  verifyModel,
} from "../held-models.ts";
import { ModelStore } from "../model-store.ts";
import type { CommandContext } from "./command-context.ts";
import { formatBytes } from "./format-text.ts";
import { runNode, serveUntilStopped, withNodeFlags, type NodeFlags } from "./run-node.ts";
import { showModel } from "./show-model.ts";

const examples = `
Examples:
  lake models ls
  lake models show alice/llama:8b
  lake models tags alice/llama
  lake models verify alice/llama:8b
  lake models rm alice/llama:8b`;

/** `lake models ls|show|tags|rm|verify|gc|pin|serve`. */
export function modelsCommand(context: CommandContext): Command {
  const models = new Command("models")
    .description("what this machine holds, and what is published on chain")
    .addHelpText("after", examples);
  models
    .command("ls")
    .description("models on this machine")
    .action(() => withStore(context, (store) => list(context, store)));
  models
    .command("show <handle>")
    .description("manifest, Builder, price, holders and the tag's history")
    .option("--peer <address...>", "gateways to ask whether they hold it")
    .action((text: string, flags: { peer?: string[] }) =>
      withStore(context, (store) => showModel(context, store, text, flags.peer ?? [])),
    );
  models
    .command("tags <name>")
    .description("tags of builder/name on chain")
    .action((name: string) => tags(context, name));
  models
    .command("rm <handle>")
    .description("forget a model and free its pulled files; published files stay")
    .action((text: string) =>
      withStore(context, async (store) => {
        const freed = await removeModel(store, nameAndTag(parseHandle(text)));
        print(context, freed, `${formatBytes(freed.bytes)} freed in ${freed.files} files`);
      }),
    );
  models
    .command("verify <handle>")
    .description("read a model's files again and compare them with its manifest")
    .action((text: string) => withStore(context, (store) => verify(context, store, text)));
  models
    .command("gc")
    .description("free pulled files that belong to no model any more")
    .action(() =>
      withStore(context, async (store) => {
        const freed = await collectGarbage(store);
        print(context, freed, `${formatBytes(freed.bytes)} freed in ${freed.files} files`);
      }),
    );
  models
    .command("pin <handle>")
    .description("keep a model from being removed")
    .option("--remove", "take the pin away")
    .action((text: string, flags: { remove?: boolean }) =>
      withStore(context, (store) => {
        const pinned = flags.remove !== true;
        pinModel(store, { ...nameAndTag(parseHandle(text)), pinned });
        print(context, { pinned }, pinned ? "pinned" : "no longer pinned");
        return Promise.resolve();
      }),
    );
  withNodeFlags(models.command("serve").description("serve all models of this machine")).action(
    (flags: NodeFlags) =>
      runNode(context, flags, (node, signal) => serveUntilStopped(context, node, signal)),
  );
  return models;
}

async function list(context: CommandContext, store: ModelStore): Promise<void> {
  const models = await listModels(store);
  const lines = models.map((model) => {
    const marks = [
      model.origin,
      model.whole ? "" : "incomplete",
      model.pinned ? "pinned" : "",
      model.served ? "served" : "",
    ].filter((mark) => mark !== "");
    return `${model.name}:${model.tag}\t${formatBytes(model.bytes)}\t${marks.join(", ")}`;
  });
  print(context, { models }, lines.length === 0 ? "no models yet" : lines.join("\n"));
}

async function tags(context: CommandContext, name: string): Promise<void> {
  const handle = parseHandle(name);
  const names = await context.names({ write: false });
  const moves = await names.tags(`${handle.builder}/${handle.name}`);
  if (moves.length === 0) throw new LakeError("model-unknown", `${name} has no tags.`);
  const lines = moves.map(
    ({ tag, manifestDigest, movedAtSeconds }) =>
      `${tag}\tsha256:${manifestDigest.slice(2)}\t${new Date(movedAtSeconds * 1000).toISOString()}`,
  );
  print(context, { tags: moves }, lines.join("\n"));
}

async function verify(context: CommandContext, store: ModelStore, text: string): Promise<void> {
  const { name, tag } = nameAndTag(parseHandle(text));
  const held = (await listModels(store)).find((each) => each.name === name && each.tag === tag);
  const manifest = held && (await readManifest(store, held.manifestDigest));
  if (manifest === undefined) {
    throw new LakeError("model-unknown", `${name}:${tag} is not on this machine.`);
  }
  const files = await verifyModel(store, manifest);
  print(context, { files }, files.map((file) => `${file.state}\t${file.path}`).join("\n"));
  const bad = files.filter((file) => file.state !== "right");
  if (bad.length === 0) return;
  throw new LakeError("content-missing", `${bad.length} files of ${name}:${tag} are not right.`, {
    advice: `Pull it again: right blocks are kept.`,
  });
}

function nameAndTag(handle: Handle): { name: string; tag: string } {
  return { name: `${handle.builder}/${handle.name}`, tag: handle.tag };
}

async function withStore(
  context: CommandContext,
  work: (store: ModelStore) => Promise<void>,
): Promise<void> {
  const store = new ModelStore(context.dataDir);
  try {
    await work(store);
  } finally {
    await store.close();
  }
}

function print(context: CommandContext, value: object, text: string): void {
  context.stdout.write(context.json ? `${JSON.stringify(value)}\n` : `${text}\n`);
}
