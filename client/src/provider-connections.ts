import type { Clock, Hex, Offer } from "@lake-travis/protocol";
import { createHttpClient, type HttpClient } from "@lake-travis/platform";
import { clientLimits } from "./limits.ts";

/** Where a Provider is reached, and by which certificate it is known. */
export type Reach = Pick<Offer, "endpoint" | "tlsFingerprint">;

/** Connections to one Provider, as long as somebody holds them. */
export interface HeldConnections {
  readonly http: HttpClient;
  release(): void;
}

/** Connections to Providers, shared by all Sessions at the same one and kept for the next. */
export interface ProviderConnections {
  hold(reach: Reach): HeldConnections;
  /** Shakes hands with a Provider that is likely to be asked next. */
  warm(reach: Reach): void;
  close(): Promise<void>;
}

interface Entry {
  readonly http: HttpClient;
  holders: number;
  cancelIdle: () => void;
}

/** Makes an empty store of connections. */
export function createProviderConnections(clock: Clock): ProviderConnections {
  const entries = new Map<string, Entry>();
  const keyOf = ({ endpoint, tlsFingerprint }: Reach): string => `${endpoint} ${tlsFingerprint}`;
  const forget = (key: string, entry: Entry): Promise<void> => {
    entry.cancelIdle();
    if (entries.get(key) === entry) entries.delete(key);
    return entry.http.close();
  };
  const letGo = (key: string, entry: Entry): void => {
    entry.cancelIdle();
    entry.cancelIdle = clock.after(clientLimits.connectionIdleMs, () => void forget(key, entry));
  };
  const find = (reach: Reach): Entry => {
    const key = keyOf(reach);
    const known = entries.get(key);
    if (known !== undefined) return known;
    if (entries.size >= clientLimits.connectionsMax) {
      const unused = [...entries].find(([, entry]) => entry.holders === 0);
      if (unused !== undefined) void forget(...unused);
    }
    const entry = { http: pinnedClient(reach.tlsFingerprint), holders: 0, cancelIdle: () => {} };
    entries.set(key, entry);
    return entry;
  };
  return {
    hold(reach) {
      const entry = find(reach);
      entry.cancelIdle();
      entry.holders += 1;
      let released = false;
      return {
        http: entry.http,
        release: () => {
          if (released) return;
          released = true;
          entry.holders -= 1;
          if (entry.holders === 0) letGo(keyOf(reach), entry);
        },
      };
    },
    warm(reach) {
      const entry = find(reach);
      if (entry.holders > 0) return;
      entry.http.warm(reach.endpoint);
      letGo(keyOf(reach), entry);
    },
    async close() {
      await Promise.all([...entries].map(([key, entry]) => forget(key, entry)));
    },
  };
}

function pinnedClient(pinnedFingerprint: Hex): HttpClient {
  return createHttpClient({ unreachable: "provider-unreachable", pinnedFingerprint });
}
