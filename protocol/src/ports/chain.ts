import type { Address, Hex } from "../hex.ts";
import type { Signed } from "../message.ts";
import type { Delegation, Settlement } from "../messages.ts";
import type { Signal } from "./clock.ts";

/** A fact that one of our contracts wrote to the chain. Amounts are wei of MOR. */
export type ChainEvent =
  | {
      readonly type: "mor-transferred";
      readonly from: Address;
      readonly to: Address;
      readonly wei: bigint;
    }
  | {
      readonly type: "deposit-changed";
      readonly number: bigint;
      readonly owner: Address;
      /** Put in less taken out; debits are not taken off. */
      readonly balance: bigint;
      /** What the hatch paid a Session's payees just now; absent where another thing happened. */
      readonly paidByHatch?: bigint;
    }
  | {
      readonly type: "deposit-collected";
      readonly number: bigint;
      /** Debits booked against the deposit since the beginning. */
      readonly collected: bigint;
    }
  | { readonly type: "withdrawal-announced"; readonly number: bigint; readonly wei: bigint }
  /** The owner asks to see its leaf in the pending settlement of this hash, or was shown it. */
  | {
      readonly type: "deposit-demanded" | "demand-answered";
      readonly number: bigint;
      readonly hash: Hex;
    }
  | {
      readonly type: "node-registered";
      readonly account: Address;
      readonly kind: "router" | "provider";
      readonly signingKey: Address;
      readonly stake: bigint;
    }
  | { readonly type: "node-left"; readonly account: Address }
  | {
      readonly type: "signing-key-rotated";
      readonly account: Address;
      readonly signingKey: Address;
    }
  | {
      readonly type: "model-published";
      /** `builder/name`. */
      readonly name: string;
      readonly manifestDigest: Hex;
      readonly kind: "model" | "agent";
      readonly builder: Address;
      /** Zero for a model. */
      readonly baseDigest: Hex;
    }
  | {
      readonly type: "tag-moved";
      readonly name: string;
      readonly tag: string;
      readonly manifestDigest: Hex;
    }
  | { readonly type: "builder-changed"; readonly name: string; readonly builder: Address }
  | {
      readonly type: "builder-price-changed";
      readonly name: string;
      readonly weiPerSecond: bigint;
      readonly fromEpoch: number;
    }
  | { readonly type: "delegations-revoked"; readonly user: Address; readonly below: number }
  | {
      readonly type: "settlement-posted";
      readonly epoch: number;
      readonly hash: Hex;
      readonly creditRoot: Hex;
    }
  | { readonly type: "settlement-final"; readonly epoch: number; readonly hash: Hex }
  | { readonly type: "settlement-void"; readonly epoch: number; readonly hash: Hex };

/** One block and what our contracts did in it, in order. */
export interface ChainBlock {
  readonly number: number;
  readonly hash: Hex;
  readonly timestampMs: number;
  readonly events: readonly ChainEvent[];
}

/** What a Router needs of the chain. Everything throws `chain-unreachable` where it is away. */
export interface RouterChain {
  /**
   * Calls `onBlocks` with every block from `fromBlock` on, in order and in batches (blocks without
   * events may be left out, but never the first block of an epoch nor the newest), until the
   * signal fires.
   */
  follow(options: {
    readonly fromBlock: number;
    readonly onBlocks: (blocks: readonly ChainBlock[]) => Promise<void>;
    readonly signal: Signal;
  }): Promise<void>;
  /** The budget of an epoch in wei, as the Compute Contract computes it. */
  budgetOf(epoch: number): Promise<bigint>;
  /** What the Compute Contract holds of settlements now. */
  settlementState(): Promise<SettlementState>;
  /** Posts a Settlement; resolves once it is mined. Throws `chain-refused` with the reason. */
  settle(
    settlement: Settlement,
    signatures: readonly { readonly router: Address; readonly signature: Hex }[],
  ): Promise<ChainReceipt>;
  /**
   * Books a deposit's final debit, so that credits paid from it can be claimed. Throws
   * `chain-refused` with the reason.
   */
  collect(number: number, leaf: DebitLeaf): Promise<ChainReceipt>;
  /**
   * Answers a demand with the deposit's leaf in the pending debit tree, and a Delegation of its
   * owner that covers it. Throws `chain-refused` with the reason.
   */
  answerDemand(
    number: number,
    leaf: DebitLeaf,
    delegation: Signed<Delegation>,
  ): Promise<ChainReceipt>;
  /**
   * Answers a demand with a leaf that is no higher than the final one; `null` is enough where the
   * leaf is zero. Throws `chain-refused` with the reason.
   */
  answerUnchanged(
    number: number,
    leaf: DebitLeaf,
    finalLeaf: DebitLeaf | null,
  ): Promise<ChainReceipt>;
}

/** A leaf of a debit tree with its proof. */
export interface DebitLeaf {
  readonly cumulativeDebit: bigint;
  readonly salt: Hex;
  readonly proof: readonly Hex[];
}

/** The newest settlements on the chain. Times are unix milliseconds; null: there is none yet. */
export interface SettlementState {
  readonly final: { readonly epoch: number; readonly hash: Hex; readonly creditRoot: Hex } | null;
  readonly pending: {
    readonly epoch: number;
    readonly hash: Hex;
    readonly creditRoot: Hex;
    readonly postedInEpoch: number;
    readonly finalAt: number;
  } | null;
}

/** A mined transaction. */
export interface ChainReceipt {
  readonly transaction: Hex;
  readonly block: number;
  readonly gasUsed: number;
}

/** Who is registered under an account of the Node Registry. */
export interface NodeDirectory {
  /** The key that signs for a node now; undefined where no such node is registered. */
  signingKeyOf(account: Address): Promise<Address | undefined>;
}
