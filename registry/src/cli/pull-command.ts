import { Command } from "commander";
import { formatHandle, parseHandle } from "@lake-travis/protocol";
import { pullModel, type PullPlan } from "../pull-model.ts";
import type { CommandContext } from "./command-context.ts";
import { formatBytes, formatPrice } from "./format-text.ts";
import { printProgress } from "./print-progress.ts";
import { runNode, serveUntilStopped, withNodeFlags, type NodeFlags } from "./run-node.ts";

const examples = `
Examples:
  lake pull alice/llama:8b
  lake pull alice/llama:8b --peer http://192.0.2.7:4001 --serve
  lake pull alice/llama@sha256:5f1c... --quota 100

A pull that was interrupted goes on where it was.`;

/** `lake pull <handle>`. */
export function pullCommand(context: CommandContext): Command {
  const command = new Command("pull")
    .description("pull a model from whoever holds it, checking every block")
    .argument("<handle>", "builder/name, builder/name:tag or builder/name:tag@sha256:<digest>")
    .option("--serve", "stay and serve it to others")
    .addHelpText("after", examples);
  return withNodeFlags(command).action(
    async (text: string, flags: NodeFlags & { serve?: boolean }) => {
      const handle = parseHandle(text);
      const names = await context.names({ write: false });
      const holders = (await context.holders?.(handle.digest)) ?? [];
      await runNode(context, flags, async (node, signal) => {
        const pulled = await pullModel({
          node,
          names,
          handle: text,
          holders,
          signal,
          onPlan: (plan) => announce(context, plan),
          onProgress: printProgress(context),
        });
        const { manifest, folder, weightsPath, fetchedBytes } = pulled;
        const summary = {
          handle: formatHandle(handle),
          manifestDigest: manifest.digest,
          folder,
          weightsPath,
          fetchedBytes,
          holders: pulled.holders,
        };
        context.stdout.write(
          context.json ? `${JSON.stringify(summary)}\n` : `${weightsPath ?? folder}\n`,
        );
        if (flags.serve === true) await serveUntilStopped(context, node, signal);
      });
    },
  );
}

function announce(context: CommandContext, plan: PullPlan): void {
  if (context.json) return;
  const { manifest, version, bytes, heldBytes, fit } = plan;
  const { stdout } = context;
  stdout.write(
    `sha256:${manifest.digest.slice(2)} by ${version.builder}, ` +
      `${formatPrice(version.weiPerSecond)} to its Builder\n` +
      `${formatBytes(bytes)} in ${manifest.layers.length} files, ${formatBytes(heldBytes)} here\n`,
  );
  for (const lack of fit.lacks) stdout.write(`warning: ${lack}\n`);
  if (!fit.runs) stdout.write("This machine can store and share the model, but not run it.\n");
}
