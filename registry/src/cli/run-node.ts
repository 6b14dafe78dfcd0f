import { once } from "node:events";
import { Option, type Command } from "commander";
import { IpfsNode } from "../ipfs-node.ts";
import type { CommandContext } from "./command-context.ts";

/** Options of every command that talks to other nodes. */
export interface NodeFlags {
  readonly peer?: readonly string[];
  readonly listen?: string;
  readonly libp2p?: boolean;
  readonly quota?: number;
}

/** Adds the options of {@link NodeFlags} to a command. */
export function withNodeFlags(command: Command): Command {
  return command
    .option("--peer <address...>", "gateways (http://host:port) or multiaddrs to ask")
    .option("--listen <host:port>", "where to serve what is held, 127.0.0.1:0 by default")
    .option("--libp2p", "take part in IPFS by libp2p too: bitswap and DHT")
    .addOption(
      new Option("--quota <GB>", "what pulled files may take on this disk").argParser(Number),
    );
}

/** Starts a node, works with it, and stops it whatever happens; Ctrl-C ends the work. */
export async function runNode<Result>(
  context: CommandContext,
  flags: NodeFlags,
  work: (node: IpfsNode, signal: AbortSignal) => Promise<Result>,
): Promise<Result> {
  const [, host = "127.0.0.1", port = "0"] = /^(.*):(\d+)$/.exec(flags.listen ?? "") ?? [];
  const node = new IpfsNode({
    dataDir: context.dataDir,
    host,
    port: Number(port),
    ...(flags.peer === undefined ? {} : { peers: flags.peer }),
    ...(flags.quota === undefined ? {} : { quotaBytes: flags.quota * 1e9 }),
    ...(flags.libp2p === true ? { libp2p: {} } : {}),
  });
  const stop = new AbortController();
  const interrupt = (): void => stop.abort(new Error("Interrupted."));
  process.once("SIGINT", interrupt);
  process.once("SIGTERM", interrupt);
  try {
    await node.start();
    return await work(node, stop.signal);
  } finally {
    process.off("SIGINT", interrupt);
    process.off("SIGTERM", interrupt);
    await node.stop();
  }
}

/** Serves until the user ends it. */
export async function serveUntilStopped(
  context: CommandContext,
  node: IpfsNode,
  signal: AbortSignal,
): Promise<void> {
  if (!context.json) {
    context.stdout.write(`Serving at ${[node.gatewayUrl, ...node.addresses].join(", ")}\n`);
    context.stdout.write("Press Ctrl-C to stop.\n");
  }
  if (!signal.aborted) await once(signal, "abort");
}
