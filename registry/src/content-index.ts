import { mkdirSync } from "node:fs";
import { join } from "node:path";
import { DatabaseSync, type StatementSync } from "node:sqlite";
import { LakeError } from "@lake-travis/protocol";
import { limits } from "./limits.ts";

/** Where the bytes of a block are: in the index itself, or in a file that was added in place. */
export type BlockPlace =
  | { readonly kind: "bytes"; readonly bytes: Uint8Array }
  | {
      readonly kind: "file";
      readonly file: number;
      readonly path: string;
      readonly offset: number;
      readonly length: number;
      /** Size and time of the last change at which the blocks were computed. */
      readonly fileBytes: number;
      readonly changedMs: number;
    };

/** A file whose blocks are served from where it lies. */
export interface IndexedFile {
  readonly id: number;
  readonly path: string;
  readonly bytes: number;
  readonly changedMs: number;
  /** SHA-256 of the whole file. */
  readonly digest: Uint8Array;
  /** Text of the root CID. */
  readonly root: string;
  /** Ours may be deleted by `rm`; a file that the user published is only forgotten. */
  readonly owned: boolean;
  /** False while it is being pulled. */
  readonly whole: boolean;
}

/** A model that this node holds, or holds a part of. */
export interface HeldModel {
  readonly name: string;
  readonly tag: string;
  /** SHA-256 of the manifest. */
  readonly manifestDigest: Uint8Array;
  readonly origin: "published" | "pulled";
  readonly pinned: boolean;
  /** Unix milliseconds. */
  readonly addedAtMs: number;
  /** False while the pull has not ended. */
  readonly whole: boolean;
}

/** A block of a file, for {@link ContentIndex.addBlocks}. */
export interface IndexedBlock {
  readonly digest: Uint8Array;
  readonly offset: number;
  readonly length: number;
}

// Blocks have the file in their key, so that forgetting one copy of a file leaves the other's.
const schema = `
  CREATE TABLE IF NOT EXISTS files (
    id INTEGER PRIMARY KEY, path TEXT NOT NULL UNIQUE, bytes INTEGER NOT NULL,
    changedMs REAL NOT NULL, digest BLOB NOT NULL, root TEXT NOT NULL,
    owned INTEGER NOT NULL, whole INTEGER NOT NULL) STRICT;
  CREATE INDEX IF NOT EXISTS filesByDigest ON files (digest);
  CREATE TABLE IF NOT EXISTS blocks (
    digest BLOB NOT NULL, file INTEGER NOT NULL, offset INTEGER NOT NULL, length INTEGER NOT NULL,
    PRIMARY KEY (digest, file, offset)) STRICT, WITHOUT ROWID;
  CREATE INDEX IF NOT EXISTS blocksByFile ON blocks (file);
  CREATE TABLE IF NOT EXISTS nodes (digest BLOB PRIMARY KEY, bytes BLOB NOT NULL) STRICT;
  CREATE TABLE IF NOT EXISTS nodeUses (
    owner TEXT NOT NULL, digest BLOB NOT NULL,
    PRIMARY KEY (owner, digest)) STRICT, WITHOUT ROWID;
  CREATE INDEX IF NOT EXISTS nodeUsesByDigest ON nodeUses (digest);
  CREATE TABLE IF NOT EXISTS models (
    name TEXT NOT NULL, tag TEXT NOT NULL, manifestDigest BLOB NOT NULL, origin TEXT NOT NULL,
    pinned INTEGER NOT NULL, addedAtMs REAL NOT NULL, whole INTEGER NOT NULL,
    PRIMARY KEY (name, tag)) STRICT, WITHOUT ROWID;
  CREATE TABLE IF NOT EXISTS pulls (
    path TEXT PRIMARY KEY, process INTEGER NOT NULL) STRICT, WITHOUT ROWID;
  CREATE TABLE IF NOT EXISTS holds (
    process INTEGER NOT NULL, manifestDigest BLOB NOT NULL,
    PRIMARY KEY (process, manifestDigest)) STRICT, WITHOUT ROWID;
  PRAGMA user_version = 1;
`;

/**
 * What a node holds: which block lies where, which files and models there are.
 *
 * An SQLite file in WAL mode, so that `lake models ls` may read while a Provider serves, and so
 * that a killed process leaves a consistent index. It is a cache of what lies on the disk: a
 * block that it places wrongly fails its check when it is read, and is treated as not held.
 */
export class ContentIndex {
  readonly #database: DatabaseSync;
  readonly #statements = new Map<string, StatementSync>();

  /** Opens or creates the index in `folder`; throws `folder-unusable`. */
  constructor(folder: string) {
    try {
      mkdirSync(folder, { recursive: true });
      this.#database = new DatabaseSync(join(folder, "index.sqlite"));
      this.#database.exec("PRAGMA journal_mode = WAL; PRAGMA synchronous = NORMAL;");
      this.#database.exec("PRAGMA busy_timeout = 5000;");
      this.#database.exec(schema);
    } catch (cause) {
      throw new LakeError("folder-unusable", `The index in ${folder} cannot be opened.`, {
        cause,
        advice: "Check that the folder is writable, or name another data folder.",
      });
    }
  }

  /** Where a block lies, some copies at most, files that are whole first; empty if not held. */
  places(digest: Uint8Array): BlockPlace[] {
    const node = this.#get("SELECT bytes FROM nodes WHERE digest = ?", digest);
    if (node !== undefined) return [{ kind: "bytes", bytes: node["bytes"] as Uint8Array }];
    const blocks = this.#all(
      `SELECT f.id AS file, f.path, b.offset, b.length, f.bytes AS fileBytes, f.changedMs
       FROM blocks b JOIN files f ON f.id = b.file
       WHERE b.digest = ? ORDER BY f.whole DESC, f.id DESC LIMIT ?`,
      digest,
      limits.blockCopiesMax,
    );
    return blocks.map((block) => ({
      kind: "file",
      ...(block as Omit<BlockPlace & { kind: "file" }, "kind">),
    }));
  }

  /** Adds or replaces the entry of a file and returns its number. */
  addFile(file: Omit<IndexedFile, "id">): number {
    const row = this.#get(
      `INSERT INTO files (path, bytes, changedMs, digest, root, owned, whole)
       VALUES (?, ?, ?, ?, ?, ?, ?)
       ON CONFLICT (path) DO UPDATE SET bytes = excluded.bytes, changedMs = excluded.changedMs,
         digest = excluded.digest, root = excluded.root, owned = excluded.owned,
         whole = excluded.whole
       RETURNING id`,
      file.path,
      file.bytes,
      file.changedMs,
      file.digest,
      file.root,
      file.owned ? 1 : 0,
      file.whole ? 1 : 0,
    );
    return row?.["id"] as number;
  }

  /** Says that a pulled file is complete and checked. */
  setWhole(file: number, changedMs: number): void {
    this.#run("UPDATE files SET whole = 1, changedMs = ? WHERE id = ?", changedMs, file);
  }

  /** Adds blocks of a file; those already known are left as they are. */
  addBlocks(file: number, blocks: Iterable<IndexedBlock>): void {
    for (const { digest, offset, length } of blocks) {
      this.#run(
        "INSERT OR IGNORE INTO blocks (digest, file, offset, length) VALUES (?, ?, ?, ?)",
        digest,
        file,
        offset,
        length,
      );
    }
  }

  /** Keeps a small block's bytes for as long as `owner` (a manifest or file) is kept. */
  addNode(owner: string, node: { readonly digest: Uint8Array; readonly bytes: Uint8Array }): void {
    this.#run("INSERT OR IGNORE INTO nodes VALUES (?, ?)", node.digest, node.bytes);
    this.#run("INSERT OR IGNORE INTO nodeUses VALUES (?, ?)", owner, node.digest);
  }

  /** Forgets what `owner` kept, and the nodes that nobody keeps any more. */
  dropNodes(owner: string): void {
    this.transaction(() => {
      const used = this.#all("SELECT digest FROM nodeUses WHERE owner = ?", owner);
      this.#run("DELETE FROM nodeUses WHERE owner = ?", owner);
      for (const row of used) {
        this.#run(
          "DELETE FROM nodes WHERE digest = ? AND digest NOT IN (SELECT digest FROM nodeUses)",
          row["digest"] as Uint8Array,
        );
      }
    });
  }

  /** Digests of the manifests whose bytes are kept. */
  manifests(): `0x${string}`[] {
    const rows = this.#all("SELECT DISTINCT owner FROM nodeUses WHERE owner LIKE 'manifest:%'");
    return rows.map((row) => (row["owner"] as string).slice("manifest:".length) as `0x${string}`);
  }

  /** Forgets a file with its blocks; deletes nothing from the disk. */
  dropFile(file: IndexedFile): void {
    this.transaction(() => {
      this.#run("DELETE FROM blocks WHERE file = ?", file.id);
      this.#run("DELETE FROM files WHERE id = ?", file.id);
      this.dropNodes(`file:${file.id}`);
    });
  }

  /** The file at a path. */
  fileAt(path: string): IndexedFile | undefined {
    return toFile(this.#get("SELECT * FROM files WHERE path = ?", path));
  }

  /** Every file with this SHA-256, the whole ones first. */
  filesWith(digest: Uint8Array): IndexedFile[] {
    const rows = this.#all("SELECT * FROM files WHERE digest = ? ORDER BY whole DESC, id", digest);
    return rows.flatMap((row) => toFile(row) ?? []);
  }

  /** Every file. */
  files(): IndexedFile[] {
    return this.#all("SELECT * FROM files ORDER BY id").flatMap((row) => toFile(row) ?? []);
  }

  /** Adds or replaces a model; its pin stays. */
  addModel(model: Omit<HeldModel, "pinned">): void {
    this.#run(
      `INSERT INTO models VALUES (?, ?, ?, ?, 0, ?, ?)
       ON CONFLICT (name, tag) DO UPDATE SET manifestDigest = excluded.manifestDigest,
         origin = excluded.origin, addedAtMs = excluded.addedAtMs, whole = excluded.whole`,
      model.name,
      model.tag,
      model.manifestDigest,
      model.origin,
      model.addedAtMs,
      model.whole ? 1 : 0,
    );
  }

  /** Every model, by name and tag. */
  models(): HeldModel[] {
    return this.#all("SELECT * FROM models ORDER BY name, tag").map((row) => ({
      name: row["name"] as string,
      tag: row["tag"] as string,
      manifestDigest: row["manifestDigest"] as Uint8Array,
      origin: row["origin"] as "published" | "pulled",
      pinned: row["pinned"] === 1,
      addedAtMs: row["addedAtMs"] as number,
      whole: row["whole"] === 1,
    }));
  }

  /** Pins or unpins a model; returns whether there is one. */
  pinModel(name: string, tag: string, pinned: boolean): boolean {
    return (
      this.#run(
        "UPDATE models SET pinned = ? WHERE name = ? AND tag = ?",
        pinned ? 1 : 0,
        name,
        tag,
      ) > 0
    );
  }

  /** Forgets a model's entry. */
  dropModel(name: string, tag: string): void {
    this.#run("DELETE FROM models WHERE name = ? AND tag = ?", name, tag);
  }

  /**
   * Says that a process writes the file at `path`. Returns the living process that does so
   * already, as `isAlive` tells, or undefined: then it is this one's.
   */
  beginPull(
    path: string,
    process: number,
    isAlive: (process: number) => boolean,
  ): number | undefined {
    return this.transaction(() => {
      const row = this.#get("SELECT process FROM pulls WHERE path = ?", path);
      const other = row?.["process"] as number | undefined;
      if (other !== undefined && other !== process && isAlive(other)) return other;
      this.#run("INSERT OR REPLACE INTO pulls VALUES (?, ?)", path, process);
      return undefined;
    });
  }

  /** Ends what {@link beginPull} began. */
  endPull(path: string): void {
    this.#run("DELETE FROM pulls WHERE path = ?", path);
  }

  /** Says that this process serves a manifest, so that no other one removes it. */
  hold(process: number, manifestDigest: Uint8Array): void {
    this.#run("INSERT OR IGNORE INTO holds VALUES (?, ?)", process, manifestDigest);
  }

  /** Ends what {@link hold} began: for one manifest, or for all of a process. */
  release(process: number, manifestDigest?: Uint8Array): void {
    if (manifestDigest === undefined) this.#run("DELETE FROM holds WHERE process = ?", process);
    else {
      this.#run(
        "DELETE FROM holds WHERE process = ? AND manifestDigest = ?",
        process,
        manifestDigest,
      );
    }
  }

  /** Who holds what. */
  holds(): { process: number; manifestDigest: Uint8Array }[] {
    return this.#all("SELECT * FROM holds").map((row) => ({
      process: row["process"] as number,
      manifestDigest: row["manifestDigest"] as Uint8Array,
    }));
  }

  /** Runs `work` in one transaction, or inside the one that runs already. */
  transaction<Result>(work: () => Result): Result {
    if (this.#database.isTransaction) return work();
    this.#database.exec("BEGIN IMMEDIATE");
    try {
      const result = work();
      this.#database.exec("COMMIT");
      return result;
    } catch (error) {
      this.#database.exec("ROLLBACK");
      throw error;
    }
  }

  /** Closes the file; the index cannot be used afterwards. */
  close(): void {
    this.#statements.clear();
    this.#database.close();
  }

  #prepare(sql: string): StatementSync {
    let statement = this.#statements.get(sql);
    if (statement === undefined) {
      statement = this.#database.prepare(sql);
      this.#statements.set(sql, statement);
    }
    return statement;
  }

  #get(sql: string, ...values: (string | number | Uint8Array)[]): Row | undefined {
    return this.#prepare(sql).get(...values);
  }

  #all(sql: string, ...values: (string | number | Uint8Array)[]): Row[] {
    return this.#prepare(sql).all(...values);
  }

  #run(sql: string, ...values: (string | number | Uint8Array)[]): number {
    return Number(this.#prepare(sql).run(...values).changes);
  }
}

type Row = Record<string, unknown>;

function toFile(row: Row | undefined): IndexedFile | undefined {
  if (row === undefined) return undefined;
  return {
    id: row["id"] as number,
    path: row["path"] as string,
    bytes: row["bytes"] as number,
    changedMs: row["changedMs"] as number,
    digest: row["digest"] as Uint8Array,
    root: row["root"] as string,
    owned: row["owned"] === 1,
    whole: row["whole"] === 1,
  };
}
