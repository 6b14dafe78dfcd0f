import {
  type Address,
  type Domain,
  type Fields,
  type Hex,
  type MessageType,
  type Signed,
  type Signer,
  domainSeparatorOf,
  signMessage,
  type ValuesOf,
} from "@lake-travis/protocol";

/** A transaction as a wallet is asked for it: to a contract of this network, with its call. */
export interface WalletTransaction {
  readonly chainId: number;
  readonly to: Address;
  readonly data: Hex;
}

/** The User's wallet wherever its key lives: in a file, in another program, in a browser. */
export interface UserWallet {
  readonly address: Address;
  /** Signs one of our messages; throws `wallet-refused` where its owner said no. */
  sign<F extends Fields>(
    type: MessageType<F>,
    message: ValuesOf<F>,
    domain: Domain,
  ): Promise<Signed<ValuesOf<F>>>;
  /** Sends a transaction and answers its hash at once; undefined where this wallet only signs. */
  readonly send?: (transaction: WalletTransaction) => Promise<Hex>;
  /** Ends what was opened to reach the wallet. */
  close(): Promise<void>;
}

/** A wallet whose key this process holds. */
export function walletOfSigner(signer: Signer): UserWallet {
  return {
    address: signer.address,
    sign: async (type, message, domain) =>
      signMessage(domainSeparatorOf(domain), type, message, signer),
    close: async () => undefined,
  };
}
