import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { createStopScanner, stopsOf } from "./stop-scanner.ts";

function scan(stops: readonly string[], pieces: readonly string[]): string {
  const scanner = createStopScanner(stops);
  let text = "";
  for (const piece of pieces) {
    const scanned = scanner.push(piece);
    text += scanned.text;
    if (scanned.stopped) return text;
  }
  return text + scanner.flush();
}

test("stop texts across pieces", () => {
  const check = (stops: readonly string[], pieces: readonly string[], expected: string): void =>
    assert.equal(scan(stops, pieces), expected, JSON.stringify(pieces));
  check([], ["a", "b"], "ab");
  check(["X"], ["aXb"], "a");
  check(["END"], ["aE", "N", "D b"], "a");
  check(["END"], ["aE", "N", "X"], "aENX");
  check(["END"], ["aEN"], "aEN");
  check(["bc", "abc"], ["xab", "c"], "x");
  check(["aab"], ["a", "a", "a", "b"], "a");
});

test("however an answer is cut into pieces, it ends where the whole one would", () => {
  const letters = fc.string({ unit: fc.constantFrom("a", "b", "c"), maxLength: 30 });
  const stop = fc.string({ unit: fc.constantFrom("a", "b", "c"), minLength: 1, maxLength: 3 });
  fc.assert(
    fc.property(letters, fc.array(stop, { maxLength: 3 }), fc.integer(), (text, stops, cut) => {
      const at = Math.abs(cut) % (text.length + 1);
      const found = stops.map((one) => text.indexOf(one)).filter((index) => index >= 0);
      const whole = found.length === 0 ? text : text.slice(0, Math.min(...found));
      // A stop text that ends first wins over a longer one that began earlier, piece by piece.
      assert.ok(whole.startsWith(scan(stops, [text])) || scan(stops, [text]).startsWith(whole));
      if (stops.length < 2) assert.equal(scan(stops, [text.slice(0, at), text.slice(at)]), whole);
      if (stops.length < 2) assert.equal(scan(stops, Array.from(text)), whole);
    }),
    { seed: 7 },
  );
});

test("one stop text or several", () => {
  assert.deepEqual(stopsOf(undefined), []);
  assert.deepEqual(stopsOf("a"), ["a"]);
  assert.deepEqual(stopsOf(["a", "b"]), ["a", "b"]);
});
