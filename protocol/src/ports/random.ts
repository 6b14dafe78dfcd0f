/** Unpredictable bytes, injected so that a simulation can seed them. */
export interface Random {
  /** `length` fresh bytes. */
  bytes(length: number): Uint8Array;
}
