import { type Hex, LakeError, routerPaths, type SessionState } from "@lake-travis/protocol";
import { createHttpClient, type HttpClient } from "@lake-travis/platform";
import type { LedgerSession, LedgerStore } from "./ledger-store.ts";

/** Sessions asked about in one go; those that are left are asked about the next time. */
const sessionsMax = 500;
/** An epoch's Records are looked through up to this size for a Session that the Router forgot. */
const recordsBytesMax = 256 * 1024 * 1024;
/** A Record's line is below 3 kB; the baseline's, behind the Records, is the longest. */
const lineBytesMax = 16 * 1024 * 1024;
/** Epochs after its own in which a verdict may still take back what a Session cost. */
const verdictEpochsMax = 3;

/** What became of the Sessions whose charge was not known. */
export interface LedgerSettled {
  /** Still open, not known to the Router yet, or not judged. */
  readonly open: number;
  /** Charged beyond what this ledger knows to be signed; an honest Router never does that. */
  readonly disputed: readonly Hex[];
}

/**
 * Replaces what was signed by what the Router charged, for every Session that has ended since.
 * Sessions that continued one across an epoch's end, and that a killed client never heard of, are
 * found by their predecessors. Throws `router-unreachable`.
 */
export async function settleLedger(store: LedgerStore, routerUrl: string): Promise<LedgerSettled> {
  const base = routerUrl.replace(/\/+$/, "");
  const http = createHttpClient({ unreachable: "router-unreachable" });
  try {
    const queue = [...store.unsettled(sessionsMax)];
    const disputed: Hex[] = [];
    let open = 0;
    for (let session = queue.shift(); session !== undefined; session = queue.shift()) {
      const known = await askRouter(http, base, session);
      if (!known.isFinal) open += 1;
      if (known.charged !== undefined) {
        if (isDisputed(session, known.charged)) disputed.push(session.sessionId);
        store.settle(session.sessionId, known.charged, known.isFinal);
      }
      const next = known.successor;
      if (next !== null && !store.has(next.sessionId)) {
        const successor = successorOf(session, next);
        store.addSession(successor, session.day);
        queue.push(successor);
      }
    }
    return { open, disputed };
  } finally {
    await http.close();
  }
}

interface Known {
  /** undefined: not decided yet. */
  readonly charged: number | undefined;
  readonly isFinal: boolean;
  readonly successor: SessionState | null;
}

async function askRouter(http: HttpClient, base: string, session: LedgerSession): Promise<Known> {
  try {
    const state = await stateOf(http, base, session.sessionId);
    const successor = state.successor === null ? null : await stateOf(http, base, state.successor);
    const isCharged = state.state === "ended" && state.charge !== null;
    const charged = isCharged ? (state.chargedSeconds ?? 0) : undefined;
    return { charged, isFinal: isCharged && state.isFinal !== false, successor };
  } catch (error) {
    if (!(error instanceof LakeError) || error.code !== "session-unknown") throw error;
    // A Router remembers only the newest Sessions; the older ones are in the public Records.
    const charged = await chargeInRecords(http, base, session);
    return { charged, isFinal: charged !== undefined, successor: null };
  }
}

async function stateOf(http: HttpClient, base: string, id: Hex): Promise<SessionState> {
  return (await http.json("GET", `${base}${routerPaths.sessions}/${id}`)) as SessionState;
}

/** A line of the public file that is about a Session: its Record, or what a verdict did to it. */
interface SessionLine {
  readonly kind?: string;
  readonly seconds?: number;
  readonly outcome?: string;
}

async function chargeInRecords(
  http: HttpClient,
  base: string,
  session: LedgerSession,
): Promise<number | undefined> {
  const lines = await linesAbout(http, base, session);
  if (lines === undefined) return undefined;
  const record = lines.find(({ kind }) => kind === undefined);
  // Settled without it: it was never connected, and cost nothing.
  if (record === undefined) return 0;
  for (let later = 1; later <= verdictEpochsMax; later += 1) {
    const after = { ...session, epoch: session.epoch + later };
    const told = (await linesAbout(http, base, after)) ?? [];
    if (told.some(({ kind, outcome }) => kind === "outcome" && outcome === "upheld")) return 0;
  }
  return record.seconds;
}

/** Lines that name the Session in the file of its epoch; undefined where there is no such file. */
async function linesAbout(
  http: HttpClient,
  base: string,
  { epoch, sessionId }: LedgerSession,
): Promise<readonly SessionLine[] | undefined> {
  const url = `${base}${routerPaths.epochs}/${epoch}/records`;
  const answer = await http.stream("GET", url, undefined);
  const found: SessionLine[] = [];
  let rest = "";
  let bytes = 0;
  for await (const chunk of answer.body) {
    if (answer.status !== 200) continue;
    bytes += chunk.length;
    const lines = (rest + Buffer.from(chunk).toString("latin1")).split("\n");
    rest = lines.pop() ?? "";
    if (bytes > recordsBytesMax || rest.length > lineBytesMax) return undefined;
    for (const line of lines) {
      if (line.includes(sessionId)) found.push(JSON.parse(line) as SessionLine);
    }
  }
  return answer.status === 200 ? found : undefined;
}

/** A Session that this client heard of has all its Ticks' seconds here. */
function isDisputed(session: LedgerSession, chargedSeconds: number): boolean {
  const isOurs = session.closedAt !== null || session.signedSeconds > 0;
  return isOurs && chargedSeconds > session.signedSeconds;
}

function successorOf(session: LedgerSession, state: SessionState): LedgerSession {
  return {
    ...session,
    sessionId: state.sessionId,
    previous: session.sessionId,
    epoch: state.epoch,
    minSeconds: 0,
    signedSeconds: 0,
    closedAt: null,
    chargedSeconds: null,
    isFinal: false,
  };
}
