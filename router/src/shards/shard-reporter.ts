/*
 * What a shard other than 0 does in place of settling: once an epoch is over and all its Sessions
 * have their Records, hands them to shard 0, forgets them when they are on its disk, and hears
 * what its verdicts mean for the Users here. After a crash on either side the same parts come
 * again, and shard 0 knows which it has.
 */
import { LakeError } from "@lake-travis/protocol";
import { createHttpClient, type Logger } from "@lake-travis/platform";
import { isClosed } from "../core/settling.ts";
import type { Ledger } from "../core/state.ts";
import type { DurableMachine } from "../durable-machine.ts";
import { endedToText } from "../ended-text.ts";
import { routerLimits } from "../limits.ts";
import { endedInOrder } from "../public-file.ts";
import type { RecordArchive } from "../record-archive.ts";
import { type ShardNews, shardPaths, type ShardReport } from "./shard-desk.ts";
import { type ShardPlace, shardSecretHeader } from "./shard-place.ts";

/** What a {@link ShardReporter} works with. */
export interface ReporterParts {
  readonly machine: DurableMachine;
  readonly archive: RecordArchive;
  readonly place: ShardPlace;
  readonly logger: Logger;
}

/** See the head of this file. */
export class ShardReporter {
  readonly #parts: ReporterParts;
  readonly #http = createHttpClient({ unreachable: "router-unreachable" });
  /** The news as they were last taken in. */
  #heard = "";

  constructor(parts: ReporterParts) {
    this.#parts = parts;
  }

  /** Does what is due now. Never rejects. */
  async run(): Promise<void> {
    try {
      await this.#report();
      await this.#listen();
    } catch (error) {
      const code = error instanceof LakeError ? error.code : "internal";
      const message = error instanceof Error ? error.message : String(error);
      this.#parts.logger.warn({ code, message }, "HandOverDelayed");
    }
  }

  async stop(): Promise<void> {
    await this.#http.close();
  }

  async #report(): Promise<void> {
    const { machine, archive, logger } = this.#parts;
    const { state } = machine;
    const last = state.openEpoch - 1;
    if (last < 0 || last <= state.sealedEpoch || !isClosed(state, last)) return;
    const ledgers = [...state.ledgers]
      .filter(([epoch]) => epoch <= last && epoch > state.sealedEpoch)
      .sort(([a], [b]) => a - b);
    for (const [epoch, ledger] of ledgers) await this.#reportEpoch(epoch, ledger);
    // An epoch without Sessions is over too; and it ends all before it.
    const from = state.ledgers.get(last)?.records.length ?? 0;
    const spilled = state.ledgers.get(last)?.spilled.count ?? 0;
    await this.#send({ ...ofEpoch(last, from + spilled), isLast: true });
    await machine.submit({ type: "shard-sealed", epoch: last });
    await archive.forget(last);
    logger.info({ epoch: last }, "EpochHandedOver");
  }

  async #reportEpoch(epoch: number, ledger: Ledger): Promise<void> {
    const { archive } = this.#parts;
    const { demand } = ledger;
    let part: string[] = [];
    let from = 0;
    for await (const ended of endedInOrder(archive, epoch, ledger)) {
      part.push(endedToText(ended));
      if (part.length < routerLimits.shardReportRecordsMax) continue;
      await this.#send({ ...ofEpoch(epoch, from), ended: part, demand });
      from += part.length;
      part = [];
    }
    await this.#send({ ...ofEpoch(epoch, from), ended: part, demand });
  }

  async #listen(): Promise<void> {
    const { machine, place } = this.#parts;
    const path = `${shardPaths.news}?shard=${place.options.index}`;
    const news = (await this.#call("GET", path)) as ShardNews;
    const text = JSON.stringify(news);
    if (text === this.#heard) return;
    const refunded = news.refunded.map(([number, wei]) => [number, BigInt(wei)] as const);
    const priceCaps = news.priceCaps.map(([name, wei, quietEpochs]) => {
      return [name, { weiPerSecond: BigInt(wei), quietEpochs }] as const;
    });
    await machine.submit({ type: "verdicts-heard", ...news, refunded, priceCaps });
    this.#heard = text;
  }

  async #send(report: Omit<ShardReport, "shard">): Promise<void> {
    const { index: shard } = this.#parts.place.options;
    await this.#call("POST", shardPaths.reports, { shard, ...report });
  }

  async #call(method: "GET" | "POST", path: string, body?: unknown): Promise<unknown> {
    const { place } = this.#parts;
    const url = (await place.urlOf(0)) + path;
    const headers = { [shardSecretHeader]: place.proof };
    return await this.#http.json(method, url, body, { headers });
  }
}

function ofEpoch(epoch: number, from: number): Omit<ShardReport, "shard"> {
  return { epoch, from, ended: [], demand: [], isLast: false };
}
