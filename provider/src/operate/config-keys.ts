/*
 * Every key of provider.yaml, once: the written file's comments, the JSON schema in docs/ and the
 * checks of what is read all come from this table.
 */

/** What a key's value must be. Amounts are MOR, prices MOR an hour, both as decimal text. */
export type KeyForm =
  | { readonly form: "text" }
  | { readonly form: "path" }
  | { readonly form: "url" }
  | { readonly form: "address" }
  | { readonly form: "handle" }
  | { readonly form: "price" }
  | { readonly form: "listen" }
  | { readonly form: "whole"; readonly min: number; readonly max: number }
  | { readonly form: "choice"; readonly of: readonly string[] };

/** One key. */
export type ConfigKey = KeyForm & {
  readonly key: string;
  /** One or two sentences for the owner. */
  readonly says: string;
  readonly isRequired?: boolean;
  readonly isList?: boolean;
  /** What holds where the key is not written, as it would be written. */
  readonly fallback?: string;
  /** Shown in the written file where there is no value. */
  readonly example?: string;
};

/** Keys at the top level. */
export const topKeys: readonly ConfigKey[] = [
  {
    key: "deployment",
    form: "path",
    isRequired: true,
    says: "The network's deployment file: its chain and its contracts.",
  },
  {
    key: "routers",
    form: "url",
    isList: true,
    isRequired: true,
    says: "Routers, best first. The first one that answers at the start gets the Offers.",
  },
  {
    key: "account",
    form: "address",
    isRequired: true,
    says:
      "The payout address: the wallet that stakes, whose name every Offer bears and to which " +
      "the Compute Contract pays.",
  },
  {
    key: "keystore",
    form: "path",
    says:
      "That wallet as a V3 keystore, read only to stake, to name a signing key or to claim. " +
      "Leave it out where the wallet is elsewhere: 'up' then prints what the wallet must send.",
    example: "wallet.json",
  },
  {
    key: "passphraseFile",
    form: "path",
    says:
      "A file with the keystore's passphrase, for starts without a terminal. " +
      "LAKE_PASSPHRASE_FILE names it too; without either, the terminal asks.",
    example: "/run/credentials/passphrase",
  },
  {
    key: "dataDir",
    form: "path",
    fallback: "provider-data",
    says: "This Provider's own folder: models, Sessions, earnings, signing key, certificate.",
  },
  {
    key: "listen",
    form: "listen",
    fallback: "0.0.0.0:8790",
    says: "Address and port for Users' TLS connections. Port 0 takes a free one.",
  },
  {
    key: "publicUrl",
    form: "url",
    says:
      "Where Users reach that port from outside, https://host:port. Without it the listening " +
      "address itself is offered, which only this machine can reach if it is 127.0.0.1.",
    example: "https://203.0.113.7:8790",
  },
  {
    key: "storage",
    form: "listen",
    fallback: "127.0.0.1:0",
    says:
      "Address and port of the IPFS gateway that shares the pulled models' blocks. Name a public " +
      "one to let others pull from here.",
  },
  {
    key: "holders",
    form: "url",
    isList: true,
    says: "Gateways to pull models from, beside those that the deployment file names.",
    example: "http://203.0.113.9:4001",
  },
  {
    key: "metrics",
    form: "listen",
    says: "Address and port for Prometheus: /metrics and /healthz. Without it there is none.",
    example: "127.0.0.1:9464",
  },
  {
    key: "gpu",
    form: "choice",
    of: ["auto", "off"],
    fallback: "auto",
    says: "Whether llama.cpp may use a GPU that it finds.",
  },
  {
    key: "logFile",
    form: "path",
    says: "JSON log lines go there instead of to standard error. Never a prompt, never an answer.",
    example: "provider.log",
  },
  {
    key: "logLevel",
    form: "choice",
    of: ["debug", "info", "warn", "error"],
    fallback: "info",
    says: "The least severe line that is logged.",
  },
];

/** Keys of each entry of `models`. */
export const modelKeys: readonly ConfigKey[] = [
  {
    key: "model",
    form: "handle",
    isRequired: true,
    says: "builder/name, builder/name:tag, or builder/name:tag@sha256:<digest> to pin a version.",
  },
  {
    key: "price",
    form: "price",
    isRequired: true,
    says: "What your machine asks in MOR an hour; the Builder's price comes on top.",
  },
  {
    key: "floor",
    form: "price",
    says: "With 'pricing: mode: auto': never ask less than this many MOR an hour.",
    example: "0.2",
  },
  {
    key: "minSeconds",
    form: "whole",
    min: 0,
    max: 3_600,
    fallback: "1",
    says: "Seconds that a User owes at least once it had an answer.",
  },
  {
    key: "slots",
    form: "whole",
    min: 1,
    max: 256,
    fallback: "4",
    says: "Sessions at the same time. Each takes memory for a whole context.",
  },
  {
    key: "engineUrl",
    form: "url",
    says:
      "An OpenAI-compatible server (vLLM, llama-server, Ollama, TGI, SGLang) that computes " +
      "instead of llama.cpp in here.",
    example: "http://127.0.0.1:8000/v1",
  },
  {
    key: "engineKeyFile",
    form: "path",
    says: "A file with that server's API key.",
    example: "engine.key",
  },
  {
    key: "engineModel",
    form: "text",
    says: "That server's own name for the model.",
    example: "meta-llama/Llama-3.1-8B-Instruct",
  },
  {
    key: "enginePackage",
    form: "text",
    says:
      "An npm package that computes instead, installed with 'npm install --prefix <dataDir>'. " +
      "It runs with this process's rights, so install only what you trust.",
    example: "lake-engine-example",
  },
];

/** Keys of `pricing`. */
export const pricingKeys: readonly ConfigKey[] = [
  {
    key: "mode",
    form: "choice",
    of: ["fixed", "auto"],
    fallback: "fixed",
    says: "fixed: ask 'price'. auto: follow the price that would win 'share' percent of Sessions.",
  },
  {
    key: "share",
    form: "whole",
    min: 1,
    max: 100,
    fallback: "50",
    says: "The share of a model's Sessions, in percent, that 'auto' tries to win.",
  },
];

/** Keys of `demand`, for `lake provider up --auto`. */
export const demandKeys: readonly ConfigKey[] = [
  {
    key: "modelsMax",
    form: "whole",
    min: 1,
    max: 64,
    fallback: "4",
    says: "Models served at the same time at most, those under 'models' included.",
  },
  {
    key: "diskGb",
    form: "whole",
    min: 1,
    max: 1_000_000,
    fallback: "50",
    says: "What pulled models may take on the disk, in GB.",
  },
  {
    key: "memoryGb",
    form: "whole",
    min: 1,
    max: 100_000,
    says: "What loaded models may take in memory, in GB. Three quarters of the machine's without.",
    example: "24",
  },
  {
    key: "price",
    form: "price",
    says:
      "What to ask in MOR an hour for a model that nobody sells yet, and the floor for all that " +
      "are chosen by demand.",
    example: "0.2",
  },
  {
    key: "slots",
    form: "whole",
    min: 1,
    max: 256,
    fallback: "4",
    says: "Sessions at the same time for each model that is chosen by demand.",
  },
];
