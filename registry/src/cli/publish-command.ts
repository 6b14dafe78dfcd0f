import { Command, Option } from "commander";
import type { ModelKind } from "@lake-travis/protocol";
import { formatHandle } from "@lake-travis/protocol";
import { modelBytes } from "../manifest.ts";
import { publishModel, type Publication } from "../publish-model.ts";
import type { CommandContext } from "./command-context.ts";
import { formatBytes, formatForeign, parsePrice } from "./format-text.ts";
import { printProgress } from "./print-progress.ts";
import { runNode, serveUntilStopped, withNodeFlags, type NodeFlags } from "./run-node.ts";

interface PublishFlags extends NodeFlags {
  readonly kind: ModelKind;
  readonly price?: string;
  readonly title?: string;
  readonly description?: string;
  readonly licence?: string;
  readonly base?: string;
  readonly serve: boolean;
}

const examples = `
Examples:
  lake publish llama-3-8b.Q4_K_M.gguf alice/llama:8b --price 0.02/h
  lake publish ./classifier alice/digits:v2 --licence MIT
  lake publish ./my-agent alice/helper --kind agent --base alice/llama:8b --price 0.01/h`;

/** `lake publish <source> <handle>`. */
export function publishCommand(context: CommandContext): Command {
  const command = new Command("publish")
    .description("publish a model or agent under a name that is yours, and serve its files")
    .argument("<source>", "a .gguf, .onnx or .safetensors file, or a folder; it stays where it is")
    .argument("<handle>", "builder/name:tag")
    .addOption(
      new Option("--kind <kind>", "what it is").choices(["model", "agent"]).default("model"),
    )
    .option("--price <MOR/time>", "what you get from each Session, such as 0.02/h")
    .option("--title <text>", "a title for people")
    .option("--description <text>", "a sentence about it")
    .option("--licence <id>", "SPDX name of its licence, where the file does not say")
    .option("--base <handle>", "for an agent: the model that it runs on")
    .option("--no-serve", "end at once; another process must serve the files")
    .addHelpText("after", examples);
  return withNodeFlags(command).action(
    async (source: string, handle: string, flags: PublishFlags) => {
      const weiPerSecond = flags.price === undefined ? undefined : parsePrice(flags.price);
      const names = await context.names({ write: true });
      await runNode(context, flags, async (node, signal) => {
        const { kind, title, description, licence, base } = flags;
        const publication = await publishModel({
          node,
          names,
          source,
          handle,
          kind,
          signal,
          onProgress: printProgress(context),
          ...(title === undefined ? {} : { title }),
          ...(description === undefined ? {} : { description }),
          ...(licence === undefined ? {} : { licence }),
          ...(base === undefined ? {} : { baseModel: base }),
          ...(weiPerSecond === undefined ? {} : { weiPerSecond }),
        });
        print(context, publication);
        if (flags.serve) await serveUntilStopped(context, node, signal);
      });
    },
  );
}

function print(context: CommandContext, publication: Publication): void {
  const { handle, manifest, transactions, alreadyPublished } = publication;
  const { stdout } = context;
  const bytes = modelBytes(manifest);
  if (context.json) {
    const summary = {
      handle: formatHandle(handle),
      manifestDigest: manifest.digest,
      manifestCid: manifest.cid.toString(),
      bytes,
      facts: manifest.facts,
      transactions,
      alreadyPublished,
    };
    stdout.write(`${JSON.stringify(summary)}\n`);
    return;
  }
  const { architecture, quantisation, parameters } = manifest.facts;
  const size = parameters === undefined ? undefined : `${parameters} parameters`;
  const facts = [architecture, quantisation, size];
  stdout.write(
    `${formatHandle(handle)}@sha256:${manifest.digest.slice(2)}\n` +
      `  ${formatForeign(facts.filter(Boolean).join(", "))}, ${formatBytes(bytes)}\n` +
      `  /ipfs/${manifest.cid}\n` +
      (alreadyPublished
        ? "  published already, nothing changed on chain\n"
        : `  ${transactions.length} transactions: ${transactions.join(", ")}\n`),
  );
}
