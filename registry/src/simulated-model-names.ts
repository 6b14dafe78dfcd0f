import {
  LakeError,
  zeroBytes32,
  type Address,
  type Hex,
  type ModelNames,
  type ModelVersion,
  type TagMove,
  type VersionToPublish,
} from "@lake-travis/protocol";

interface NameState {
  readonly builder: Address;
  weiPerSecond: bigint;
  readonly versions: Map<Hex, Omit<ModelVersion, "weiPerSecond">>;
  readonly moves: TagMove[];
}

/**
 * The Model Registry in memory, for tests and benchmarks without a chain. Accounts share one
 * state: {@link SimulatedModelNames.as} gives the same names to another account.
 */
export class SimulatedModelNames implements ModelNames {
  readonly account: Address | undefined;
  readonly #names: Map<string, NameState>;
  #transactions = 0;

  constructor(account: Address | undefined, names = new Map<string, NameState>()) {
    this.account = account;
    this.#names = names;
  }

  /** The same names, written to by another account. */
  as(account: Address | undefined): SimulatedModelNames {
    return new SimulatedModelNames(account, this.#names);
  }

  async resolve(wanted: { name: string; tag: string }): Promise<ModelVersion | undefined> {
    const move = this.#names.get(wanted.name)?.moves.findLast(({ tag }) => tag === wanted.tag);
    if (move === undefined) return undefined;
    return await this.version({ name: wanted.name, manifestDigest: move.manifestDigest });
  }

  version(wanted: { name: string; manifestDigest: Hex }): Promise<ModelVersion | undefined> {
    const state = this.#names.get(wanted.name);
    const version = state?.versions.get(wanted.manifestDigest);
    return Promise.resolve(
      state === undefined || version === undefined
        ? undefined
        : { ...version, weiPerSecond: state.weiPerSecond },
    );
  }

  builderOf(name: string): Promise<Address | undefined> {
    return Promise.resolve(this.#names.get(name)?.builder);
  }

  tags(name: string): Promise<readonly TagMove[]> {
    const newest = new Map(this.#names.get(name)?.moves.map((move) => [move.tag, move]));
    return Promise.resolve([...newest.values()].sort((a, b) => (a.tag < b.tag ? -1 : 1)));
  }

  tagHistory(wanted: { name: string; tag: string }): Promise<readonly TagMove[]> {
    const moves = this.#names.get(wanted.name)?.moves ?? [];
    return Promise.resolve(moves.filter(({ tag }) => tag === wanted.tag));
  }

  claim(name: string): Promise<void> {
    const { account } = this;
    if (account === undefined) return Promise.reject(readOnly());
    const builder = this.#names.get(name)?.builder ?? account;
    if (builder !== account) return Promise.reject(taken(name));
    if (!this.#names.has(name)) {
      this.#names.set(name, { builder, weiPerSecond: 0n, versions: new Map(), moves: [] });
    }
    return Promise.resolve();
  }

  publish(version: VersionToPublish): Promise<Hex> {
    return this.#write(version.name, (state) => {
      if (state.versions.has(version.manifestDigest)) throw refused("version exists");
      const { name, manifestDigest, manifestCid, kind } = version;
      const publishedAtSeconds = this.#seconds();
      const { builder } = state;
      const baseDigest = version.baseDigest ?? zeroBytes32;
      state.versions.set(manifestDigest, {
        name,
        manifestDigest,
        manifestCid,
        kind,
        baseDigest,
        builder,
        generation: 1,
        publishedAtSeconds,
      });
      state.moves.push({ tag: version.tag, manifestDigest, movedAtSeconds: publishedAtSeconds });
    });
  }

  moveTag(move: { name: string; tag: string; manifestDigest: Hex }): Promise<Hex> {
    return this.#write(move.name, (state) => {
      if (!state.versions.has(move.manifestDigest)) throw refused("unknown version");
      const { tag, manifestDigest } = move;
      state.moves.push({ tag, manifestDigest, movedAtSeconds: this.#seconds() });
    });
  }

  setPrice(price: { name: string; weiPerSecond: bigint }): Promise<Hex> {
    return this.#write(price.name, (state) => {
      state.weiPerSecond = price.weiPerSecond;
    });
  }

  async #write(name: string, change: (state: NameState) => void): Promise<Hex> {
    const state = this.#names.get(name);
    if (this.account === undefined) throw readOnly();
    if (state === undefined) throw refused("unknown name");
    if (state.builder !== this.account) throw taken(name);
    change(state);
    this.#transactions += 1;
    const hash: Hex = `0x${this.#transactions.toString(16).padStart(64, "0")}`;
    return await Promise.resolve(hash);
  }

  #seconds(): number {
    return 1_700_000_000 + this.#transactions;
  }
}

function taken(name: string): LakeError {
  return new LakeError("name-taken", `The name ${name} belongs to somebody else.`);
}

function refused(reason: string): LakeError {
  return new LakeError("chain-refused", `The Model Registry refused: ${reason}.`);
}

function readOnly(): LakeError {
  return new LakeError("argument-invalid", "Writing names needs an account.");
}
