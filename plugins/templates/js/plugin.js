// A price for storage by the gigabyte-month, and one for each new pin.
//
// Quantities and amounts are BigInt: JavaScript's own numbers are exact up to 2^53 only, and there
// are more byte-seconds than that in four gigabytes kept for a month. There is no clock, no
// randomness and no network.

// Bytes of a gigabyte times seconds of a month of 30 days.
const GB_MONTH = 1_000_000_000n * 30n * 24n * 60n * 60n;
const MICROS_MAX = 2n ** 63n - 1n;

// What the operator writes under [settings], in millionths of the currency's unit.
const DEFAULTS = { currency: "EUR", gb_month_micros: 20000, pin_micros: 100 };

// The prices that `init` was given; an instance has one set for its life.
let prices;

export function describe() {
  return {
    name: "plugin-name",
    version: "0.1.0",
    description: "a price per gigabyte-month and per pin",
  };
}

// What is thrown is shown to the operator, who wrote the settings.
export function init(settings) {
  let given;
  try {
    given = JSON.parse(settings);
  } catch (error) {
    throw `settings: ${error.message}`;
  }
  const stranger = Object.keys(given).find((key) => !(key in DEFAULTS));
  if (stranger !== undefined) {
    throw `settings: ${stranger} is not known; there are ${Object.keys(DEFAULTS).join(", ")}`;
  }
  const { currency, gb_month_micros, pin_micros } = { ...DEFAULTS, ...given };
  if (!/^[A-Z]{3}$/.test(currency)) {
    throw "currency: write three capital letters, such as EUR";
  }
  prices = {
    currency,
    gbMonth: whole("gb_month_micros", gb_month_micros),
    pin: whole("pin_micros", pin_micros),
  };
}

export const rating = {
  rate(usage) {
    const lines = usage.meters.flatMap(({ measure, quantity }) => {
      const amount = (quantity.high << 64n) | quantity.low;
      switch (measure.tag) {
        case "storage":
          return [line("storage", "byte-second", amount, prices.gbMonth, GB_MONTH)];
        case "pin":
          return [line("pins", "operation", amount, prices.pin, 1n)];
        default: // What has no price here is free.
          return [];
      }
    });
    const micros = lines.reduce((sum, { amount }) => sum + amount.micros, 0n);
    return { lines, total: money(fit("the total", micros)) };
  },
};

function line(item, unit, quantity, price, per) {
  return {
    kind: { tag: "charge" },
    item,
    explanation: `${quantity} ${unit}s at ${price} micros per ${per}, rounded up`,
    quantity: { high: quantity >> 64n, low: quantity & (2n ** 64n - 1n) },
    unit,
    amount: money(fit(item, cost(quantity, price, per))),
  };
}

// Rounded up, in whole numbers: prices are money, and floats are not.
export function cost(quantity, price, per) {
  return (quantity * price + per - 1n) / per;
}

function fit(item, micros) {
  if (micros > MICROS_MAX) {
    throw { tag: "overflow", val: `${item}: the amount does not fit` };
  }
  return micros;
}

function money(micros) {
  return { micros, currency: prices.currency };
}

function whole(name, value) {
  if (!Number.isSafeInteger(value) || value < 0) {
    throw `${name}: write a whole number, 0 or more`;
  }
  return BigInt(value);
}
