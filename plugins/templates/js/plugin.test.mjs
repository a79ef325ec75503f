// The rules, on this machine: `node --test`.

import assert from "node:assert/strict";
import { test } from "node:test";
import { cost, init, rating } from "./plugin.js";

const meter = (tag, quantity) => ({ measure: { tag }, quantity: { high: 0n, low: quantity } });

test("a part of a price is rounded up", () => {
  assert.equal(cost(1n, 20_000n, 2_592_000_000_000_000n), 1n);
  assert.equal(cost(0n, 20_000n, 2_592_000_000_000_000n), 0n);
});

test("the total is the sum of the lines", () => {
  init("{}");
  const { lines, total } = rating.rate({ meters: [meter("storage", 1n), meter("pin", 3n)] });
  assert.equal(lines.length, 2);
  assert.deepEqual(total, { micros: 301n, currency: "EUR" });
});

test("wrong settings are named", () => {
  assert.throws(() => init('{"pin": 1}'), (why) => why.includes("pin"));
  assert.throws(() => init('{"currency": "euro"}'), (why) => why.includes("currency"));
});
