import { after, before, describe } from "node:test";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { complyAsProjection } from "../test-support/projection-compliance.ts";
import {
  postgresMissing,
  type ScratchPostgres,
  startScratchPostgres,
} from "../test-support/scratch-postgres.ts";
import { Projection } from "./projection.ts";

describe("on SQLite", () => {
  const folder = mkdtempSync(join(tmpdir(), "lake-projection-"));
  after(() => {
    rmSync(folder, { recursive: true });
  });
  complyAsProjection("sqlite", (shard) =>
    Projection.open(`sqlite:${join(folder, "deep", "projection.db")}`, shard),
  );
});

describe("on PostgreSQL", { skip: postgresMissing() ?? false }, () => {
  let server: ScratchPostgres;
  before(async () => {
    server = await startScratchPostgres();
  });
  after(() => {
    server.stop();
  });
  complyAsProjection("postgres", (shard) => Projection.open(server.url, shard));
});
