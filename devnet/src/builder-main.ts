import { Command } from "commander";
import { openDataFolder, readKey, runUntilStopped, systemRandom } from "@lake-travis/platform";
import { connectChain, createModelNames, readDeployment } from "@lake-travis/platform/chain";
import { IpfsNode, publishModel } from "@lake-travis/registry";

interface BuilderOptions {
  readonly deployment: string;
  readonly dataDir: string;
  readonly walletKeyFile: string;
  readonly source: string;
  readonly model: string;
  readonly weiPerSecond: string;
}

/** The Builder's process: publishes one model and stays up to serve its blocks. */
const command = new Command("builder")
  .requiredOption("--deployment <file>")
  .requiredOption("--data-dir <folder>")
  .requiredOption("--wallet-key-file <file>")
  .requiredOption("--source <file>", "the model to publish")
  .requiredOption("--model <handle>", "its name")
  .requiredOption("--wei-per-second <wei>", "the Builder's price")
  .action((options: BuilderOptions) => runUntilStopped(() => build(options)));

await command.parseAsync();

async function build(
  options: BuilderOptions,
): Promise<{ stop(): Promise<void>; ready: Record<string, unknown> }> {
  const folder = await openDataFolder(options.dataDir);
  const chain = connectChain(readDeployment(options.deployment));
  const node = new IpfsNode({ dataDir: folder.path });
  await node.start();
  const publication = await publishModel({
    node,
    names: createModelNames(chain, systemRandom, chain.as(readKey(options.walletKeyFile))),
    source: options.source,
    handle: options.model,
    weiPerSecond: BigInt(options.weiPerSecond),
  });
  return {
    ready: {
      gatewayUrl: node.gatewayUrl,
      manifestDigest: publication.manifest.digest,
      alreadyPublished: publication.alreadyPublished,
      transactions: publication.transactions.length,
    },
    stop: async () => {
      await node.stop();
      chain.close();
      folder.close();
    },
  };
}
