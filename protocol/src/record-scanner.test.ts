import assert from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";
import { readJudgedRecord } from "./read-record.ts";
import { recordLine, type SessionRecord } from "./record.ts";
import { RecordScanner } from "./record-scanner.ts";
import { anyRecord } from "./test-support/any-record.ts";
import { fillRaw, RawRecord } from "./verdicts/features.ts";

const bytesOf = (text: string): Uint8Array => new TextEncoder().encode(`${text}\n  `);

function checkScanned(scanner: RecordScanner, record: SessionRecord): void {
  const expected = new RawRecord();
  fillRaw(expected, record);
  assert.deepEqual(scanner.raw, expected);
  assert.equal(scanner.epoch, record.epoch);
  assert.equal(scanner.openedAt, record.openedAt);
  assert.equal(scanner.providers.nameOf(scanner.ids.provider), record.provider);
  assert.equal(scanner.models.nameOf(scanner.ids.model), record.manifestDigest);
  assert.equal(scanner.hardware.nameOf(scanner.ids.hardware), record.hardwareClass);
  assert.equal(scanner.users.nameOf(scanner.ids.user), record.user);
}

describe("the scanner", () => {
  const styles: Readonly<Record<string, (record: SessionRecord) => string>> = {
    canonical: recordLine,
    unsorted: (record) => JSON.stringify(record),
    spaced: (record) => JSON.stringify(record, null, 1).replaceAll(/\n */g, " "),
  };
  for (const [name, write] of Object.entries(styles)) {
    it(`reads ${name} lines as JSON.parse does`, () => {
      fc.assert(
        fc.property(anyRecord, anyRecord, (first, second) => {
          const scanner = new RecordScanner();
          scanner.learn(write(first));
          for (const record of [first, second]) {
            const bytes = bytesOf(write(record));
            assert.ok(scanner.scan(bytes, 0, bytes.length - 3), write(record));
            checkScanned(scanner, record);
            scanner.take(readJudgedRecord(record));
            checkScanned(scanner, record);
          }
        }),
      );
    });
  }

  it("never takes a line for right that the slow way refuses", () => {
    const byte = fc.nat({ max: 255 });
    fc.assert(
      fc.property(anyRecord, fc.nat(), byte, (record, at, changed) => {
        const scanner = new RecordScanner();
        const line = recordLine(record);
        scanner.learn(line);
        const bytes = bytesOf(line);
        bytes[at % line.length] = changed;
        if (!scanner.scan(bytes, 0, line.length)) return;
        const text = new TextDecoder("latin1").decode(bytes.subarray(0, line.length));
        const { payees: _, signatures: __, ...rest } = JSON.parse(text) as SessionRecord;
        fillRaw(new RawRecord(), readJudgedRecord(rest));
        const expected = new RawRecord();
        fillRaw(expected, readJudgedRecord(rest));
        assert.deepEqual(scanner.raw, expected);
      }),
      { numRuns: 2_000 },
    );
  });

  it("leaves cut and extended lines to the slow way", () => {
    fc.assert(
      fc.property(anyRecord, fc.nat(), (record, cut) => {
        const scanner = new RecordScanner();
        const line = recordLine(record);
        scanner.learn(line);
        const bytes = bytesOf(line);
        assert.equal(scanner.scan(bytes, 0, cut % line.length), false);
        assert.equal(scanner.scan(bytes, 0, line.length + 1), false);
      }),
    );
  });
});
