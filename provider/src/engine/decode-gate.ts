/** Lets something be done to the context while no sequence is being decoded. */
export interface DecodeGate {
  /** Undefined while decoding may go on; else resolves when it may again. */
  readonly closed: Promise<void> | undefined;
  /** Closes the gate, acts once decoding has come to rest, and opens it again. */
  alone(action: () => Promise<void>): Promise<void>;
}

/**
 * Makes a gate that every generation passes before it asks for its next token.
 *
 * Without it a sequence that is to be cleared would wait until all others are idle: node-llama-cpp
 * holds the context's lock for as long as any sequence has a token queued, and busy ones always do.
 */
export function createDecodeGate(): DecodeGate {
  let closed: Promise<void> | undefined;
  return {
    get closed() {
      return closed;
    },
    alone(action) {
      const turn = (closed ?? Promise.resolve()).then(action);
      // A failed action is its caller's to hear of; the gate opens whatever came of it.
      const settled = turn.catch(() => undefined);
      const opened = settled.then(() => {
        if (closed === opened) closed = undefined;
      });
      closed = opened;
      return turn;
    },
  };
}
