/*
 * Where a User's things are: data folder, network, Router, wallet. What the command line says comes
 * before the configuration, that before what a running `lake up` says, that before the defaults.
 * With none of them, a local network that runs on this machine is used.
 */
import { existsSync } from "node:fs";
import { dirname, join } from "node:path";
import { type Deployment, LakeError } from "@lake-travis/protocol";
import { readDeployment } from "@lake-travis/platform/chain";
import type { WalletPlace } from "../wallet/open-wallet.ts";
import { type ClientConfig, readConfig } from "./client-config.ts";
import type { LakeOptions } from "./lake-context.ts";
import { findEndpoint, type RunningEndpoint } from "./running-endpoint.ts";

/** See the head of this file. */
export interface UserPlace {
  readonly dataDir: string;
  readonly configPath: string;
  readonly config: ClientConfig;
  readonly running: RunningEndpoint | undefined;
  readonly deploymentPath: string;
  readonly ledgerPath: string;
  /** Throws `argument-invalid` where the deployment file is missing or broken. */
  deployment(): Deployment;
  /** Throws `argument-invalid` where no Router is known. */
  routerUrl(): string;
  /** Throws `wallet-missing` where there is none yet. */
  wallet(): WalletPlace;
}

/** Holds the key where `lake` runs on a server, and nothing else is set. */
const walletVariable = "LAKE_WALLET_KEY";

/** Finds a User's things. Throws `config-invalid`. */
export function findUserPlace(options: LakeOptions): UserPlace {
  const dataDir = findDataDir(options);
  const configPath = options.config ?? join(dataDir, "config.yaml");
  const config = readConfig(configPath);
  const running = findEndpoint(dataDir);
  const deploymentPath =
    options.deployment ??
    config.deployment ??
    running?.deployment ??
    process.env["LAKE_DEPLOYMENT"] ??
    join(options.home, "devnet", "deployment.json");
  const deployment = (): Deployment => {
    if (existsSync(deploymentPath)) return readDeployment(deploymentPath);
    throw new LakeError("argument-invalid", `There is no deployment file ${deploymentPath}.`, {
      advice: "Start the local network with npm start, or name a network with --deployment.",
    });
  };
  return {
    dataDir,
    configPath,
    config,
    running,
    deploymentPath,
    ledgerPath: join(dataDir, "ledger.sqlite"),
    deployment,
    routerUrl() {
      const known = options.router ?? config.router ?? running?.router ?? deployment().routers?.[0];
      if (known !== undefined) return known;
      throw new LakeError("argument-invalid", "No Router of this network is known.", {
        advice: "Name one with --router, or set it with lake config set router <url>.",
      });
    },
    wallet: () => findWallet(options, { config, dataDir, running }),
  };
}

/** The keystore that `lake wallet new` makes unless it is told otherwise. */
export function keystorePath(dataDir: string): string {
  return join(dataDir, "wallet.json");
}

function findDataDir(options: LakeOptions): string {
  const named = options.dataDir ?? process.env["LAKE_DATA_DIR"];
  if (named !== undefined) return named;
  const own = join(options.home, "node");
  const isOwn = ["config.yaml", "wallet.json", "delegation.json", "endpoint.json"].some((file) =>
    existsSync(join(own, file)),
  );
  // Who has set up nothing yet plays the local network's User while that runs.
  const local = join(dirname(join(options.home, "devnet", "deployment.json")), "client");
  return !isOwn && findEndpoint(local) !== undefined ? local : own;
}

function findWallet(
  options: LakeOptions,
  parts: Pick<UserPlace, "config" | "dataDir" | "running">,
): WalletPlace {
  if (options.walletKeyFile !== undefined) return { kind: "key-file", file: options.walletKeyFile };
  if (parts.config.wallet !== undefined) return withPassphrase(parts.config.wallet, options);
  const file = keystorePath(parts.dataDir);
  if (existsSync(file)) return withPassphrase({ kind: "keystore", file }, options);
  const variable = walletVariable;
  if (process.env[variable] !== undefined) return { kind: "environment", variable };
  if (parts.running?.wallet != null) return parts.running.wallet;
  throw new LakeError("wallet-missing", "There is no wallet yet.", {
    advice: "Make one with lake wallet new, or bring one with lake wallet import.",
  });
}

function withPassphrase(place: WalletPlace, { passphraseFile }: LakeOptions): WalletPlace {
  if (place.kind !== "keystore" || passphraseFile === undefined) return place;
  return { ...place, passphraseFile };
}
