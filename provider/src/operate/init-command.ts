import { existsSync, writeFileSync } from "node:fs";
import { homedir } from "node:os";
import { dirname, join, relative, resolve } from "node:path";
import { Command, Option } from "commander";
import {
  type Deployment,
  formatMorShort,
  LakeError,
  type ModelVersion,
  parseHandle,
} from "@lake-travis/protocol";
import { folderError, systemRandom } from "@lake-travis/platform";
import {
  type ChainClient,
  connectChain,
  createModelNames,
  readDeployment,
  requireContracts,
} from "@lake-travis/platform/chain";
import { resolveVersion } from "@lake-travis/registry";
import { askRouter } from "./find-router.ts";
import { chooseWallet, type ChosenWallet, type WalletFlags } from "./choose-wallet.ts";
import { parseConfig, weiOfPrice } from "./provider-config.ts";
import { readStanding } from "./register-node.ts";
import { createTerminal, type Terminal } from "./terminal.ts";
import { describePrice, writeConfig } from "./write-config.ts";

interface InitOptions extends WalletFlags {
  readonly config: string;
  readonly deployment?: string;
  readonly router: readonly string[];
  readonly model: readonly string[];
  readonly price?: string;
  readonly floor?: string;
  readonly pricing?: string;
  readonly share?: string;
  readonly minSeconds?: string;
  readonly slots?: string;
  readonly engineUrl?: string;
  readonly engineKeyFile?: string;
  readonly engineModel?: string;
  readonly enginePackage?: string;
  readonly dataDir?: string;
  readonly listen?: string;
  readonly publicUrl?: string;
  readonly storage?: string;
  readonly metrics?: string;
  readonly force: boolean;
  readonly json: boolean;
}

const examples = `
Examples:
  lake provider init
  lake provider init --model lake/travis-tiny --price 0.36 --passphrase-file pass.txt \\
    --public-url https://203.0.113.7:8790
  lake provider init --account 0x5c… --model alice/llama:8b --price 1.2 \\
    --engine-url http://127.0.0.1:8000/v1

What is not given is asked; without a terminal it has to be given.`;

const localDeployment = join(homedir(), ".lake-travis", "devnet", "deployment.json");

/** `lake provider init`. */
export function createInitCommand(): Command {
  const command = new Command("init")
    .description("write provider.yaml and, unless you name one, a new wallet")
    .addOption(new Option("--config <file>", "the file to write").default("provider.yaml"))
    .option("--deployment <file>", "the network's deployment file")
    .option("--router <url>", "a Router; may be repeated, best first", collect, [])
    .option("--account <address>", "payout address whose wallet is elsewhere")
    .option("--keystore <file>", "wallet as a V3 keystore; a new one is made where there is none")
    .option("--wallet-key-file <file>", "private key to put into a new keystore")
    .option("--passphrase-file <file>", "the keystore's passphrase, for starts without a terminal")
    .option("--model <handle>", "a model to serve; may be repeated", collect, [])
    .option("--price <MOR>", "what to ask in MOR an hour")
    .option("--floor <MOR>", "with --pricing auto: never less than this an hour")
    .option("--pricing <mode>", "fixed or auto")
    .option("--share <percent>", "with --pricing auto: share of the Sessions to win")
    .option("--min-seconds <seconds>", "seconds owed at least")
    .option("--slots <count>", "Sessions at the same time");
  return addPlaces(command)
    .option("--force", "overwrite an existing configuration", false)
    .option("--json", "print what was made as JSON", false)
    .addHelpText("after", examples)
    .action(init);
}

function addPlaces(command: Command): Command {
  return command
    .option("--engine-url <url>", "an OpenAI-compatible server that computes")
    .option("--engine-key-file <file>", "that server's API key")
    .option("--engine-model <name>", "that server's name for the model")
    .option("--engine-package <name>", "an npm package that computes")
    .option("--data-dir <folder>", "this Provider's own folder")
    .option("--listen <host:port>", "where to listen for Users")
    .option("--public-url <url>", "where Users reach that, https://host:port")
    .option("--storage <host:port>", "where to share models' blocks")
    .option("--metrics <host:port>", "where to serve Prometheus");
}

function collect(value: string, before: readonly string[]): readonly string[] {
  return [...before, value];
}

async function init(options: InitOptions): Promise<void> {
  const terminal = createTerminal({ json: options.json });
  const path = resolve(options.config);
  if (existsSync(path) && !options.force) {
    throw new LakeError("argument-invalid", `${path} exists already.`, {
      advice: "Edit it, name another file with --config, or overwrite it with --force.",
    });
  }
  const deploymentPath = await chooseDeployment(options, terminal);
  const deployment = readDeployment(deploymentPath);
  const chain = connectChain(deployment);
  try {
    await requireContracts(chain);
    const routers = await chooseRouters(options, deployment, terminal);
    const models = await chooseModels(options, chain, terminal);
    const publicUrl = await choosePublicUrl(options, terminal);
    // Last, so that a mistake before leaves no wallet behind that nobody needs.
    const wallet = await chooseWallet(options, terminal, dirname(path));
    const text = textOf({ options, deploymentPath, routers, models, publicUrl, wallet, path });
    parseConfig(text, path);
    save(path, text, options.force);
    await tellNext({ options, terminal, chain, wallet, path });
  } finally {
    chain.close();
  }
}

async function chooseDeployment(options: InitOptions, terminal: Terminal): Promise<string> {
  if (options.deployment !== undefined) return resolve(options.deployment);
  if (!terminal.isInteractive) return localDeployment;
  return resolve(await terminal.ask("The network's deployment file", localDeployment));
}

async function chooseRouters(
  options: InitOptions,
  deployment: Deployment,
  terminal: Terminal,
): Promise<readonly string[]> {
  const known = options.router.length > 0 ? options.router : (deployment.routers ?? []);
  const named = known.length > 0 ? known : [await terminal.ask("URL of a Router")];
  for (const url of named) {
    const { failure } = await askRouter(url.replace(/\/+$/, ""), deployment);
    if (failure?.code === "chain-wrong") throw failure;
    if (failure !== undefined) terminal.say(`Warning: ${failure.message}`);
  }
  return named;
}

interface ChosenModel {
  readonly model: string;
  readonly price: string;
}

async function chooseModels(
  options: InitOptions,
  chain: ChainClient,
  terminal: Terminal,
): Promise<readonly ChosenModel[]> {
  const listed = options.model.flatMap((text) => text.split(","));
  const asked =
    listed.length > 0 ? listed : (await terminal.ask("Models to serve (builder/name)")).split(",");
  const handles = asked.map((text) => text.trim()).filter((text) => text !== "");
  const names = createModelNames(chain, systemRandom);
  const chosen: ChosenModel[] = [];
  for (const model of handles) {
    const version = await resolveVersion(names, parseHandle(model));
    const price = options.price ?? (await terminal.ask(`MOR an hour for ${model}`));
    describeTerms(terminal, model, price, version);
    chosen.push({ model, price });
  }
  return chosen;
}

function describeTerms(
  terminal: Terminal,
  model: string,
  price: string,
  version: ModelVersion,
): void {
  const own = weiOfPrice(price);
  const whole = formatMorShort((own + version.weiPerSecond) * 3_600n);
  terminal.say(
    `${model}: you ask ${describePrice(own)}; with its Builder's share a User pays ${whole} MOR/h.`,
  );
}

async function choosePublicUrl(
  options: InitOptions,
  terminal: Terminal,
): Promise<string | undefined> {
  if (options.publicUrl !== undefined || !terminal.isInteractive) return options.publicUrl;
  const listen = options.listen ?? "0.0.0.0:8790";
  const answer = await terminal.ask(
    `Where Users reach ${listen} from outside, https://host:port (empty: this machine's address)`,
  );
  return answer === "" ? undefined : answer;
}

function textOf(parts: {
  readonly options: InitOptions;
  readonly deploymentPath: string;
  readonly routers: readonly string[];
  readonly models: readonly ChosenModel[];
  readonly publicUrl: string | undefined;
  readonly wallet: ChosenWallet;
  readonly path: string;
}): string {
  const { options, deploymentPath, routers, models, publicUrl, wallet, path } = parts;
  const near = (file: string | undefined): string | undefined => {
    if (file === undefined) return undefined;
    const from = relative(dirname(path), resolve(file));
    return from.startsWith("..") ? resolve(file) : from;
  };
  return writeConfig({
    top: {
      deployment: deploymentPath,
      routers,
      account: wallet.account,
      keystore: near(wallet.keystore),
      passphraseFile: near(options.passphraseFile),
      dataDir: options.dataDir === undefined ? undefined : near(options.dataDir),
      listen: options.listen,
      publicUrl,
      storage: options.storage,
      metrics: options.metrics,
    },
    models: models.map(({ model, price }) => ({
      model,
      price,
      floor: options.floor,
      minSeconds: options.minSeconds,
      slots: options.slots,
      engineUrl: options.engineUrl,
      engineKeyFile: near(options.engineKeyFile),
      engineModel: options.engineModel,
      enginePackage: options.enginePackage,
    })),
    pricing: { mode: options.pricing, share: options.share },
    demand: {},
  });
}

function save(path: string, text: string, isForced: boolean): void {
  try {
    writeFileSync(path, text, { mode: 0o600, flag: isForced ? "w" : "wx", flush: true });
  } catch (cause) {
    throw folderError(path, cause);
  }
}

async function tellNext(parts: {
  readonly options: InitOptions;
  readonly terminal: Terminal;
  readonly chain: ChainClient;
  readonly wallet: ChosenWallet;
  readonly path: string;
}): Promise<void> {
  const { options, terminal, chain, wallet, path } = parts;
  const { account } = wallet;
  const { minimumStake, mor, stake } = await readStanding(chain, account);
  if (options.json) {
    const facts = { config: path, account, keystore: wallet.keystore ?? null };
    const stakes = { stakeWei: minimumStake.toString(), morWei: mor.toString() };
    process.stdout.write(`${JSON.stringify({ ...facts, ...stakes })}\n`);
    return;
  }
  terminal.say(`Wrote ${path}.`);
  const isReady = stake > 0n || mor >= minimumStake;
  if (!isReady) {
    terminal.say(
      `Next: send ${formatMorShort(minimumStake - mor)} MOR for the stake, and some of the ` +
        `chain's coin for gas, to ${account}.`,
    );
  }
  const flag = path === resolve("provider.yaml") ? "" : ` --config ${path}`;
  terminal.say(`${isReady ? "Next" : "Then"}: lake provider up${flag}`);
}
