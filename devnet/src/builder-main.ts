import { Command } from "commander";
import { openDataFolder, readKey, runUntilStopped, systemRandom } from "@lake-travis/platform";
import { connectChain, createModelNames, readDeployment } from "@lake-travis/platform/chain";
import { IpfsNode, publishModel } from "@lake-travis/registry";

interface BuilderOptions {
  readonly deployment: string;
  readonly dataDir: string;
  readonly walletKeyFile: string;
  readonly source: readonly string[];
  readonly model: readonly string[];
  readonly weiPerSecond: string;
}

/** The Builder's process: publishes its models and stays up to serve their blocks. */
const command = new Command("builder")
  .requiredOption("--deployment <file>")
  .requiredOption("--data-dir <folder>")
  .requiredOption("--wallet-key-file <file>")
  .requiredOption("--source <file...>", "the models to publish")
  .requiredOption("--model <handle...>", "their names, in the same order")
  .requiredOption("--wei-per-second <wei>", "the Builder's price for each")
  .action((options: BuilderOptions) => runUntilStopped(() => build(options)));

await command.parseAsync();

async function build(
  options: BuilderOptions,
): Promise<{ stop(): Promise<void>; ready: Record<string, unknown> }> {
  const folder = await openDataFolder(options.dataDir);
  const chain = connectChain(readDeployment(options.deployment));
  const node = new IpfsNode({ dataDir: folder.path });
  await node.start();
  const names = createModelNames(chain, systemRandom, chain.as(readKey(options.walletKeyFile)));
  const manifestDigests: Record<string, string> = {};
  for (const [index, handle] of options.model.entries()) {
    const { manifest } = await publishModel({
      node,
      names,
      source: options.source[index] ?? handle,
      handle,
      weiPerSecond: BigInt(options.weiPerSecond),
    });
    manifestDigests[handle] = manifest.digest;
  }
  return {
    ready: { gatewayUrl: node.gatewayUrl, manifestDigests },
    stop: async () => {
      await node.stop();
      chain.close();
      folder.close();
    },
  };
}
