/*
 * The local network's processes: the chain, a Builder, two Providers, a Router and a User's client,
 * each as it would run on a machine of its own, here on loopback. Nothing is shared between them
 * but the chain, HTTP, and the deployment file.
 */
import { join } from "node:path";
import { writeFileSync, renameSync } from "node:fs";
import { fileURLToPath } from "node:url";
import type { Deployment } from "@lake-travis/protocol";
import { readDeployment } from "@lake-travis/platform/chain";
import { type Actor, type ActorName, nodeFolder } from "./actors.ts";
import { type Child, startChild } from "./child-process.ts";
import { endLeftovers, openProcessNotes, type ProcessNotes } from "./leftovers.ts";
import { type LocalChain, startLocalChain } from "./local-chain.ts";
import { localTerms } from "./local-terms.ts";

/** The running processes; `stop` ends them in the opposite order of their start. */
export class LocalNetwork {
  readonly dataDir: string;
  readonly #notes: ProcessNotes;
  readonly #children: Child[] = [];
  readonly #onLost: (child: Child) => void;
  readonly #beforeStop: (() => void)[] = [];
  #stopping = false;

  private constructor(dataDir: string, onLost: (child: Child) => void) {
    this.dataDir = dataDir;
    this.#onLost = onLost;
    this.#notes = openProcessNotes(notesPath(dataDir));
  }

  /** Ends what a killed run left behind; `onLost` hears of a process that ends by itself. */
  static async open(dataDir: string, onLost: (child: Child) => void): Promise<LocalNetwork> {
    await endLeftovers(notesPath(dataDir));
    return new LocalNetwork(dataDir, onLost);
  }

  get deploymentPath(): string {
    return join(this.dataDir, "deployment.json");
  }

  get logsFolder(): string {
    return join(this.dataDir, "logs");
  }

  /** Something else to end with the network, before its processes. */
  beforeStop(action: () => void): void {
    this.#beforeStop.push(action);
  }

  async startChain(): Promise<LocalChain> {
    const chain = await startLocalChain(this.dataDir, (pid) => this.#notes.note("chain", pid));
    this.#keep(chain.child);
    return chain;
  }

  /** Writes into the file that every node joins the network by what is known by now. */
  noteDeployment(known: Partial<Deployment>): void {
    this.writeDeployment({ ...readDeployment(this.deploymentPath), ...known });
  }

  /** Writes the file that every node joins the network by. */
  writeDeployment(deployment: Deployment): void {
    const path = this.deploymentPath;
    writeFileSync(`${path}.new`, `${JSON.stringify(deployment, null, 2)}\n`, { flush: true });
    renameSync(`${path}.new`, path);
  }

  startBuilder(builder: Actor): Promise<Child> {
    return this.#startNode("builder", "devnet/src/builder-main.ts", [
      ...["--wallet-key-file", builder.keyFile],
      ...["--source", modelFile("lake-travis-tiny-q8_0.gguf"), modelFile("digits.onnx")],
      ...["--model", localTerms.model, localTerms.classifier],
      ...["--wei-per-second", localTerms.builderWeiPerSecond.toString()],
    ]);
  }

  startRouter(router: Actor, poster: Actor): Promise<Child> {
    return this.#startNode("router", "router/src/main.ts", [
      ...["--account", router.account, "--poster-key-file", poster.keyFile],
      ...["--host", "127.0.0.1", "--port", "0"],
    ]);
  }

  startProvider(
    provider: Actor,
    terms: {
      readonly models: readonly { readonly model: string; readonly weiPerSecond: bigint }[];
      readonly routerUrl: string;
      readonly holder: string;
    },
  ): Promise<Child> {
    return this.#startNode(provider.name, "provider/src/main.ts", [
      ...["--account", provider.account, "--router", terms.routerUrl],
      ...["--host", "127.0.0.1", "--port", "0", "--holder", terms.holder],
      ...terms.models.flatMap(({ model, weiPerSecond }) => [
        ...["--model", model, "--wei-per-second", weiPerSecond.toString()],
      ]),
      ...["--min-seconds", String(localTerms.minSeconds), "--slots", String(localTerms.slots)],
    ]);
  }

  startClient(user: Actor, routerUrl: string, port: number): Promise<Child> {
    return this.#startNode("client", "client/src/main.ts", [
      ...["--wallet-key-file", user.keyFile, "up", "--router", routerUrl],
      ...["--port", String(port), "--idle", String(localTerms.idleSeconds)],
    ]);
  }

  async stop(): Promise<void> {
    this.#stopping = true;
    for (const action of this.#beforeStop.splice(0)) action();
    for (const child of this.#children.splice(0).reverse()) await child.stop();
    this.#notes.forget();
  }

  async #startNode(
    name: ActorName | "client",
    entry: string,
    args: readonly string[],
  ): Promise<Child> {
    const child = await startChild({
      name,
      command: process.execPath,
      args: [
        ...["--disable-warning=ExperimentalWarning", join(root, entry)],
        ...["--deployment", this.deploymentPath, "--data-dir", nodeFolder(this.dataDir, name)],
        ...args,
      ],
      logFile: join(this.logsFolder, `${name}.log`),
      readyMsMax: 60_000,
      onSpawn: (pid) => this.#notes.note(name, pid),
    });
    return this.#keep(child);
  }

  #keep(child: Child): Child {
    this.#children.push(child);
    void child.ended.then(() => {
      if (!this.#stopping) this.#onLost(child);
    });
    return child;
  }
}

const root = fileURLToPath(new URL("../..", import.meta.url));

/** A model that this repository carries. */
function modelFile(name: string): string {
  return join(root, "assets/models", name);
}

function notesPath(dataDir: string): string {
  return join(dataDir, "processes.json");
}
