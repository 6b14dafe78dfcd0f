import type { ModelNames } from "@lake-travis/protocol";

/** What the commands need of the program that mounts them; read when a command runs. */
export interface CommandContext {
  /** Folder of this node. */
  readonly dataDir: string;
  /** Whether to print one JSON object instead of text for people. */
  readonly json: boolean;
  readonly stdout: NodeJS.WritableStream & { readonly isTTY?: boolean };
  /** Opens the Model Registry; with `write`, for the account that signs. */
  names(options: { readonly write: boolean }): Promise<ModelNames>;
  /** Gateways of Providers that offer a version, as far as a Router tells. */
  holders?(manifestDigest: string | undefined): Promise<readonly string[]>;
}
