// The price plan of plugins/pricing-tiered in JavaScript: the same settings, the same lines to the
// byte. There is no clock, no randomness and no network.
//
// Quantities and amounts are BigInt. JavaScript's own numbers are exact up to 2^53 only, which four
// gigabytes kept for a month exceed in byte-seconds.

const MONTH_SECONDS = 30n * 24n * 60n * 60n;
const TIERS_MAX = 100;
const MICROS_MAX = 2n ** 63n - 1n;
const U64_MAX = 2n ** 64n - 1n;

// What a gigabyte is, in bytes.
const GIGABYTES = { GB: 10n ** 9n, GiB: 2n ** 30n };

// Millionths of the currency's unit.
const DEFAULT_PLAN = {
  currency: "EUR",
  gigabyte: "GB",
  free_gb_months: 1,
  tiers: [
    { up_to_gb_months: 1000, price_micros: 20000 },
    { up_to_gb_months: 50000, price_micros: 15000 },
    { price_micros: 10000 },
  ],
  operations: { pin_micros: 100, replace_micros: 100, unpin_micros: 0 },
};

// The plan that `init` was given; an instance has one for its life.
let plan;

export function describe() {
  return {
    name: "pricing-js",
    version: "0.1.0",
    description: "storage per GB-month in graduated tiers, operations, free allowance",
  };
}

export function init(settings) {
  plan = parsePlan(settings);
}

export const rating = {
  rate(usage) {
    const lines = rateAll(quantities(usage));
    const micros = lines.reduce((sum, line) => sum + line.amount.micros, 0n);
    if (micros > MICROS_MAX) {
      throw overflow("the sum of the lines does not fit 64 bits");
    }
    return { lines, total: { micros, currency: plan.currency } };
  },
};

// --- usage -------------------------------------------------------------------------------------

// What this plan has no price for is free.
const MEASURES = ["storage", "pin", "replace", "unpin"];

function quantities(usage) {
  const used = {};
  for (const { measure, quantity } of usage.meters) {
    if (!MEASURES.includes(measure.tag)) {
      continue;
    }
    if (measure.tag in used) {
      throw { tag: "invalid-usage", val: `${measure.tag} is there twice` };
    }
    used[measure.tag] = (quantity.high << 64n) | quantity.low;
  }
  return used;
}

// --- arithmetic: whole numbers, one division and one rounding per line --------------------------

function rateAll(used) {
  const lines = rateStorage(used.storage ?? 0n);
  const prices = plan.operations;
  for (const [item, count, price] of [
    ["pin requests", used.pin, prices.pin],
    ["replacements", used.replace, prices.replace],
    ["removals", used.unpin, prices.unpin],
  ]) {
    if (count) {
      const micros = fit(count * price, () => `${item}: the price of ${count} does not fit`);
      lines.push(line(item, `${count} at ${money(price)} each`, count, "operation", micros));
    }
  }
  return lines;
}

function rateStorage(byteSeconds) {
  const lines = [];
  const free = least(plan.freeGbMonths * plan.gbMonth, byteSeconds);
  if (free > 0n) {
    const explanation =
      `${gbMonths(free)} of the ${plan.freeGbMonths} ${plan.gigabyte}-months that cost nothing`;
    lines.push(line("storage, included", explanation, free, "byte-second", 0n));
  }
  const charged = byteSeconds - free;
  let from = 0n;
  for (const [index, tier] of plan.tiers.entries()) {
    const end = tier.upToGbMonths === undefined ? charged : tier.upToGbMonths * plan.gbMonth;
    const within = least(charged, end) - from;
    if (within <= 0n) {
      break;
    }
    lines.push(tierLine(tier, index + 1, within));
    from = end;
  }
  return lines;
}

function tierLine(tier, number, quantity) {
  const micros = fit(
    divideRounded(quantity * tier.price, plan.gbMonth),
    () => `storage tier ${number}: the price of ${quantity} byte-seconds does not fit`,
  );
  const reach =
    tier.upToGbMonths === undefined
      ? "beyond the tiers before"
      : `up to ${tier.upToGbMonths} ${plan.gigabyte}-months`;
  const explanation =
    `${gbMonths(quantity)} (${quantity} byte-seconds) ${reach}, at ${money(tier.price)} per ` +
    `${plan.gigabyte}-month of 30 days, rounded once, half away from zero`;
  return line(`storage, tier ${number}`, explanation, quantity, "byte-second", micros);
}

// Of numbers that are not negative; half is rounded up.
function divideRounded(number, by) {
  return number / by + (number % by >= (by + 1n) / 2n ? 1n : 0n);
}

function fit(micros, why) {
  if (micros > MICROS_MAX) {
    throw overflow(why());
  }
  return micros;
}

function overflow(why) {
  return { tag: "overflow", val: why };
}

function least(a, b) {
  return a < b ? a : b;
}

// --- lines ---------------------------------------------------------------------------------------

function line(item, explanation, quantity, unit, micros) {
  return {
    kind: { tag: "charge" },
    item,
    explanation,
    quantity: { high: quantity >> 64n, low: BigInt.asUintN(64, quantity) },
    unit,
    amount: { micros, currency: plan.currency },
  };
}

// `12.345678 GB-months`, cut after six digits: it is for reading, the exact number stands beside.
function gbMonths(byteSeconds) {
  const millionths = ((byteSeconds % plan.gbMonth) * 1_000_000n) / plan.gbMonth;
  return `${byteSeconds / plan.gbMonth}.${digits(millionths)} ${plan.gigabyte}-months`;
}

function money(micros) {
  return `${micros / 1_000_000n}.${digits(micros % 1_000_000n)} ${plan.currency}`;
}

function digits(millionths) {
  return String(millionths).padStart(6, "0");
}

// --- settings ------------------------------------------------------------------------------------

function parsePlan(text) {
  let given;
  try {
    given = JSON.parse(quoted(text));
  } catch (error) {
    throw `settings: ${error.message}`;
  }
  known("settings", given, Object.keys(DEFAULT_PLAN));
  const { currency, gigabyte, free_gb_months, tiers, operations } = { ...DEFAULT_PLAN, ...given };
  if (typeof currency !== "string" || !/^[A-Z]{3}$/.test(currency)) {
    throw `currency: ${JSON.stringify(currency)} is none; write a code such as EUR`;
  }
  if (!Object.hasOwn(GIGABYTES, gigabyte)) {
    throw `gigabyte: ${JSON.stringify(gigabyte)} is none; write "GB" or "GiB"`;
  }
  known("operations", operations, Object.keys(DEFAULT_PLAN.operations));
  const price = (name) => whole(`operations.${name}`, operations[name] ?? 0);
  return {
    currency,
    gigabyte,
    gbMonth: GIGABYTES[gigabyte] * MONTH_SECONDS,
    freeGbMonths: whole("free_gb_months", free_gb_months),
    tiers: parseTiers(tiers),
    operations: {
      pin: price("pin_micros"),
      replace: price("replace_micros"),
      unpin: price("unpin_micros"),
    },
  };
}

function parseTiers(tiers) {
  if (!Array.isArray(tiers) || tiers.length === 0 || tiers.length > TIERS_MAX) {
    throw `tiers: write 1 to ${TIERS_MAX} of them`;
  }
  let reached = 0n;
  return tiers.map((tier, index) => {
    const name = `tiers[${index}]`;
    known(name, tier, ["up_to_gb_months", "price_micros"]);
    const price = whole(`${name}.price_micros`, tier.price_micros);
    const isLast = index + 1 === tiers.length;
    const isBounded = (tier.up_to_gb_months ?? undefined) !== undefined;
    if (isLast && isBounded) {
      throw `${name}: the last must have no up_to_gb_months, or storage beyond it had no price`;
    }
    if (!isLast && !isBounded) {
      throw `${name}: only the last has no up_to_gb_months`;
    }
    if (isLast) {
      return { price };
    }
    const upToGbMonths = whole(`${name}.up_to_gb_months`, tier.up_to_gb_months);
    if (upToGbMonths <= reached) {
      throw `${name}.up_to_gb_months: ${upToGbMonths} is not above ${reached}, where the tier before ends`;
    }
    reached = upToGbMonths;
    return { price, upToGbMonths };
  });
}

function known(name, table, keys) {
  if (typeof table !== "object" || table === null || Array.isArray(table)) {
    throw `${name}: write a table`;
  }
  for (const key of Object.keys(table)) {
    if (!keys.includes(key)) {
      throw `${name}: ${key} is not known; there are ${keys.join(", ")}`;
    }
  }
}

// JSON.parse makes JavaScript's numbers of JSON's, and would round what is beyond 2^53. So whole
// numbers are handed to it as tables with their digits; texts are passed over.
function quoted(text) {
  return text.replace(
    /"(?:[^"\\]|\\.)*"|-?\d+(?:\.\d+)?(?:[eE][-+]?\d+)?/g,
    (token) => (/^\d+$/.test(token) ? `{"digits":"${token}"}` : token),
  );
}

// A whole number of the settings, or of the default plan.
function whole(name, value) {
  const isWhole = Number.isSafeInteger(value) || typeof value?.digits === "string";
  const number = isWhole ? BigInt(value.digits ?? value) : -1n;
  if (number < 0n || number > U64_MAX) {
    throw `${name}: ${JSON.stringify(value)} is out of bounds; write a whole number of 64 bits`;
  }
  return number;
}
