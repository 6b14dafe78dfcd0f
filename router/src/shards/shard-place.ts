import { createHmac, timingSafeEqual } from "node:crypto";
import { readFile } from "node:fs/promises";
import { type Address, fromHex, type Hex, LakeError, toHex } from "@lake-travis/protocol";
import { shardOf } from "../core/shard-of.ts";

/** Which shard a process is, and where the others are. */
export interface ShardOptions {
  readonly index: number;
  readonly count: number;
  /** 32 bytes that the shards of one account share; epoch secrets are made of it. */
  readonly secret: Hex;
  /** JSON that the front keeps: `{"urls": [...]}`, by shard. */
  readonly mapFile: string;
}

/** The header by which shards know each other. */
export const shardSecretHeader = "lake-shard";

/** The header in which the front says for whom it asks. */
export const forwardedForHeader = "lake-forwarded-for";

/** One shard's view of all of them. */
export class ShardPlace {
  readonly options: ShardOptions;

  constructor(options: ShardOptions) {
    this.options = options;
  }

  /** What proves to another shard that one is a shard. */
  get proof(): string {
    return this.#derive("shard to shard").slice(2);
  }

  /** Where a shard is; throws `shutting-down` while the front has not said so. */
  async urlOf(index: number): Promise<string> {
    const text = await readFile(this.options.mapFile, "utf8").catch(() => "{}");
    const { urls } = JSON.parse(text) as { readonly urls?: readonly string[] };
    const url = urls?.[index];
    if (url !== undefined) return url;
    throw new LakeError("shutting-down", "The shards of this Router are not all there yet.", {
      advice: "Try again in a moment.",
    });
  }

  /** Throws `shard-wrong` with the `url` of the right one where a User is another shard's. */
  async requireOwn(user: Address): Promise<void> {
    const { index, count } = this.options;
    const shard = shardOf(user, count);
    if (shard === index) return;
    const url = await this.urlOf(shard);
    throw new LakeError("shard-wrong", "This User belongs to another shard of this Router.", {
      advice: `Send it to ${url}.`,
      data: { shard, url },
    });
  }

  /** One secret an epoch for all shards, so that one commitment holds for the whole Router. */
  epochSecret(epoch: number): Hex {
    return this.#derive(`epoch ${epoch}`);
  }

  /** The address that the front forwards a request for; undefined where it is not the front's. */
  addressBehind(request: Request): string | undefined {
    const address = request.headers.get(forwardedForHeader);
    return address !== null && this.#isShard(request) ? address : undefined;
  }

  /** Throws `signer-wrong` where a request is not another shard's. */
  requireShard(request: Request): void {
    if (this.#isShard(request)) return;
    throw new LakeError("signer-wrong", "Only the shards of this Router may ask this.");
  }

  #isShard(request: Request): boolean {
    const said = Buffer.from(request.headers.get(shardSecretHeader) ?? "");
    const right = Buffer.from(this.proof);
    return said.length === right.length && timingSafeEqual(said, right);
  }

  #derive(purpose: string): Hex {
    return toHex(createHmac("sha256", fromHex(this.options.secret)).update(purpose).digest());
  }
}
