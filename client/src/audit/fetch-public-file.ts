import { mkdtempSync, rmSync } from "node:fs";
import { open, readFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { LakeError, routerPaths, type Settlement, zeroBytes32 } from "@lake-travis/protocol";
import { contentIdToHex, IpfsNode } from "@lake-travis/registry";

/** Where public files are asked for; nobody is trusted, the content must have the settled CID. */
export interface FileSources {
  /** IPFS gateways, `http://host:port`. */
  readonly gateways: readonly string[];
  /** Routers, which also hand their own files out. */
  readonly routers: readonly string[];
}

/** Fetches public files by the CID of their settlement. */
export class PublicFiles {
  readonly #sources: FileSources;
  readonly #folder = mkdtempSync(join(tmpdir(), "lake-audit-"));
  readonly #node: IpfsNode;
  #fetched = 0;

  constructor(sources: FileSources) {
    this.#sources = sources;
    this.#node = new IpfsNode({ dataDir: this.#folder, peers: sources.gateways });
  }

  /** The file of a settlement; empty where it has none. Throws `content-missing`, `holder-none`. */
  async fetch({ recordCid, epoch }: Settlement): Promise<Uint8Array> {
    if (recordCid === zeroBytes32) return new Uint8Array(0);
    const failures: string[] = [];
    for (const router of this.#sources.routers) {
      const path = await this.#fromRouter(router, epoch).catch((error: unknown) => {
        failures.push(`${router}: ${error instanceof Error ? error.message : String(error)}`);
        return undefined;
      });
      if (path === undefined) continue;
      const { root } = await this.#node.addFile(path);
      if (contentIdToHex(root) === recordCid) return await readFile(path);
      failures.push(`${router}: sends something else than was settled`);
    }
    if (this.#sources.gateways.length > 0) return await this.#node.readFile(recordCid);
    throw new LakeError("content-missing", `The public file of epoch ${epoch} was not found.`, {
      advice: `Name an IPFS gateway with --gateway. ${failures.join("; ")}`,
    });
  }

  /** The CIDv1 that a report has on IPFS, as text. */
  async cidOf(page: string): Promise<string> {
    return (await this.#node.putRecord(Buffer.from(page))).root.toString();
  }

  /** Removes what was kept meanwhile. */
  async close(): Promise<void> {
    await this.#node.stop();
    rmSync(this.#folder, { recursive: true, force: true });
  }

  /** Fetches to a file, because an epoch's Records are more than is kept in memory twice. */
  async #fromRouter(router: string, epoch: number): Promise<string> {
    const url = `${router.replace(/\/+$/, "")}${routerPaths.epochs}/${epoch}/records`;
    const response = await fetch(url, { signal: AbortSignal.timeout(fetchMsMax) });
    if (!response.ok || response.body === null) throw new Error(`HTTP status ${response.status}`);
    this.#fetched += 1;
    const path = join(this.#folder, `fetched-${this.#fetched}.jsonl`);
    const file = await open(path, "wx", 0o600);
    try {
      let length = 0;
      for await (const chunk of response.body as unknown as AsyncIterable<Uint8Array>) {
        length += chunk.length;
        if (length > fileBytesMax) throw new Error("the file is too large");
        await file.appendFile(chunk);
      }
    } finally {
      await file.close();
    }
    return path;
  }
}

const fetchMsMax = 600_000;
/** A million Sessions of 2 kB each; larger epochs are audited from IPFS on a larger machine. */
const fileBytesMax = 2 ** 31 - 1;
