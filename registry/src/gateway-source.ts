import type { CID } from "multiformats/cid";
import { LakeError } from "@lake-travis/protocol";
import type { BlockSource } from "./block-source.ts";
import { HttpConnection, type HttpAnswer } from "./http-connection.ts";
import { limits } from "./limits.ts";
import { readBody } from "./read-body.ts";

/** A holder's trustless gateway: raw blocks over HTTP, the fastest way to pull from IPFS. */
export class GatewaySource implements BlockSource {
  readonly name: string;
  readonly parallel = limits.connectionsPerHolder;
  readonly #url: URL;
  readonly #idle: HttpConnection[] = [];
  readonly #open = new Set<HttpConnection>();

  /** @param url Base URL of the gateway, `http://host:port` or `https://host`. */
  constructor(url: string) {
    const parsed = URL.parse(url);
    if (parsed === null || (parsed.protocol !== "http:" && parsed.protocol !== "https:")) {
      throw new LakeError("argument-invalid", `"${url}" is not the URL of a gateway.`, {
        advice: "Write http://host:port of a node that answers /ipfs/<cid>?format=raw.",
      });
    }
    this.#url = parsed;
    this.name = parsed.origin;
  }

  async fetch(cid: CID, target: Uint8Array, signal: AbortSignal): Promise<number> {
    const path = `${this.#url.pathname.replace(/\/$/, "")}/ipfs/${cid}?format=raw`;
    const { status, length } =
      this.#url.protocol === "http:"
        ? await this.#get(path, target, signal)
        : await getWithTls(new URL(path, this.#url), target, signal);
    if (status === 200) return length;
    if (status === 404 || status === 410) {
      throw new LakeError("content-missing", `${this.name} does not hold ${cid}.`);
    }
    throw new LakeError("holder-none", `${this.name} answered with status ${status}.`, {
      data: { status },
    });
  }

  close(): Promise<void> {
    for (const connection of this.#open) connection.close();
    this.#open.clear();
    this.#idle.length = 0;
    return Promise.resolve();
  }

  async #get(path: string, target: Uint8Array, signal: AbortSignal): Promise<HttpAnswer> {
    let connection = this.#idle.pop();
    while (connection !== undefined && !connection.usable) {
      this.#open.delete(connection);
      connection = this.#idle.pop();
    }
    connection ??= new HttpConnection(this.#url);
    this.#open.add(connection);
    try {
      return await connection.get(path, target, signal);
    } finally {
      if (connection.usable) this.#idle.push(connection);
      else this.#open.delete(connection);
    }
  }
}

/** The same over TLS, where `fetch` does what the plain socket of {@link HttpConnection} cannot. */
async function getWithTls(url: URL, target: Uint8Array, signal: AbortSignal): Promise<HttpAnswer> {
  const response = await fetch(url, {
    signal,
    redirect: "error",
    headers: { Accept: "application/vnd.ipld.raw" },
  });
  let length = 0;
  for await (const chunk of readBody(response)) {
    if (length + chunk.length > target.length) {
      throw new LakeError("block-invalid", `${url.origin} sends too many bytes.`);
    }
    target.set(chunk, length);
    length += chunk.length;
  }
  return { status: response.status, length };
}
