"""The price plan of plugins/pricing-tiered in Python: the same settings, the same lines.

Python's whole numbers have no bound, so what must fit 64 bits is asked at the end. There is no
clock, no randomness and no network; the modules that `wit_world` brings are made from wit/.
"""

import json

import wit_world
from componentize_py_types import Err
from wit_world import exports
from wit_world.imports.types import U128, Line, LineKind_Charge, Metadata, Money

rating = exports.rating

MONTH_SECONDS = 30 * 24 * 60 * 60
TIERS_MAX = 100
MICROS_MAX = 2**63 - 1
U64_MAX = 2**64 - 1

# What a gigabyte is, in bytes.
GIGABYTES = {"GB": 10**9, "GiB": 2**30}

# Millionths of the currency's unit.
DEFAULT_PLAN = {
    "currency": "EUR",
    "gigabyte": "GB",
    "free_gb_months": 1,
    "tiers": [
        {"up_to_gb_months": 1_000, "price_micros": 20_000},
        {"up_to_gb_months": 50_000, "price_micros": 15_000},
        {"price_micros": 10_000},
    ],
    "operations": {"pin_micros": 100, "replace_micros": 100, "unpin_micros": 0},
}


class WitWorld(wit_world.WitWorld):
    """What every plugin exports."""

    # The plan that `init` was given; an instance has one for its life.
    plan = None

    def describe(self):
        return Metadata(
            name="pricing-python",
            version="0.1.0",
            description="storage per GB-month in graduated tiers, operations, free allowance",
        )

    def init(self, settings):
        WitWorld.plan = Plan(settings)


class Rating(exports.Rating):
    """What a pricing plugin exports."""

    def rate(self, usage):
        plan = WitWorld.plan
        lines = plan.rate(quantities(usage))
        micros = sum(line.amount.micros for line in lines)
        if micros > MICROS_MAX:
            raise overflow("the sum of the lines does not fit 64 bits")
        return rating.Quote(lines, Money(micros, plan.currency))


# What this plan has no price for is free.
MEASURES = {
    rating.Measure_Storage: "Storage",
    rating.Measure_Pin: "Pin",
    rating.Measure_Replace: "Replace",
    rating.Measure_Unpin: "Unpin",
}


def quantities(usage):
    used = {}
    for meter in usage.meters:
        name = MEASURES.get(type(meter.measure))
        if name is None:
            continue
        if name in used:
            raise Err(rating.RatingError_InvalidUsage(f"{name.lower()} is there twice"))
        used[name] = meter.quantity.high << 64 | meter.quantity.low
    return used


class Plan:
    """A plan, checked, and its arithmetic: one division and one rounding per line."""

    def __init__(self, text):
        try:
            given = json.loads(text)
        except ValueError as error:
            raise Err(f"settings: {error}") from error
        known("settings", given, DEFAULT_PLAN)
        settings = {**DEFAULT_PLAN, **given}
        self.currency = settings["currency"]
        if not is_currency(self.currency):
            raise Err(f"currency: {json.dumps(self.currency)} is none; write a code such as EUR")
        self.gigabyte = settings["gigabyte"]
        if not isinstance(self.gigabyte, str) or self.gigabyte not in GIGABYTES:
            raise Err(f'gigabyte: {json.dumps(self.gigabyte)} is none; write "GB" or "GiB"')
        self.gb_month = GIGABYTES[self.gigabyte] * MONTH_SECONDS
        self.free_gb_months = whole("free_gb_months", settings["free_gb_months"])
        self.tiers = tiers(settings["tiers"])
        operations = settings["operations"]
        known("operations", operations, DEFAULT_PLAN["operations"])
        self.prices = {
            key: whole(f"operations.{key}", operations.get(key, 0))
            for key in DEFAULT_PLAN["operations"]
        }

    def rate(self, used):
        lines = self.storage(used.get("Storage", 0))
        for item, count, price in [
            ("pin requests", used.get("Pin"), self.prices["pin_micros"]),
            ("replacements", used.get("Replace"), self.prices["replace_micros"]),
            ("removals", used.get("Unpin"), self.prices["unpin_micros"]),
        ]:
            if count:
                micros = fit(count * price, f"{item}: the price of {count} does not fit")
                explanation = f"{count} at {self.money(price)} each"
                lines.append(self.line(item, explanation, count, "operation", micros))
        return lines

    def storage(self, byte_seconds):
        lines = []
        free = min(self.free_gb_months * self.gb_month, byte_seconds)
        if free > 0:
            explanation = (
                f"{self.gb_months(free)} of the {self.free_gb_months} {self.gigabyte}-months "
                "that cost nothing"
            )
            lines.append(self.line("storage, included", explanation, free, "byte-second", 0))
        charged = byte_seconds - free
        start = 0
        for number, (up_to, price) in enumerate(self.tiers, 1):
            end = charged if up_to is None else up_to * self.gb_month
            within = min(charged, end) - start
            if within <= 0:
                break
            lines.append(self.tier_line(number, up_to, price, within))
            start = end
        return lines

    def tier_line(self, number, up_to, price, quantity):
        micros = fit(
            divide_rounded(quantity * price, self.gb_month),
            f"storage tier {number}: the price of {quantity} byte-seconds does not fit",
        )
        reach = "beyond the tiers before"
        if up_to is not None:
            reach = f"up to {up_to} {self.gigabyte}-months"
        explanation = (
            f"{self.gb_months(quantity)} ({quantity} byte-seconds) {reach}, "
            f"at {self.money(price)} per {self.gigabyte}-month of 30 days, "
            "rounded once, half away from zero"
        )
        return self.line(f"storage, tier {number}", explanation, quantity, "byte-second", micros)

    def line(self, item, explanation, quantity, unit, micros):
        return Line(
            kind=LineKind_Charge(),
            item=item,
            explanation=explanation,
            quantity=U128(high=quantity >> 64, low=quantity & U64_MAX),
            unit=unit,
            amount=Money(micros, self.currency),
        )

    def gb_months(self, byte_seconds):
        """`12.345678 GB-months`, cut after six digits: the exact number stands beside."""
        millionths = byte_seconds % self.gb_month * 1_000_000 // self.gb_month
        return f"{byte_seconds // self.gb_month}.{millionths:06} {self.gigabyte}-months"

    def money(self, micros):
        return f"{micros // 1_000_000}.{micros % 1_000_000:06} {self.currency}"


def divide_rounded(number, by):
    """Of numbers that are not negative; half is rounded up."""
    return number // by + (number % by >= (by + 1) // 2)


def fit(micros, why):
    if micros > MICROS_MAX:
        raise overflow(why)
    return micros


def overflow(why):
    return Err(rating.RatingError_Overflow(why))


def is_currency(value):
    return isinstance(value, str) and len(value) == 3 and all("A" <= c <= "Z" for c in value)


def tiers(given):
    if not isinstance(given, list) or not 1 <= len(given) <= TIERS_MAX:
        raise Err(f"tiers: write 1 to {TIERS_MAX} of them")
    checked = []
    reached = 0
    for index, tier in enumerate(given):
        name = f"tiers[{index}]"
        known(name, tier, ["up_to_gb_months", "price_micros"])
        price = whole(f"{name}.price_micros", tier.get("price_micros"))
        up_to = tier.get("up_to_gb_months")
        is_last = index + 1 == len(given)
        if is_last and up_to is not None:
            raise Err(
                f"{name}: the last must have no up_to_gb_months, or storage beyond it had no price"
            )
        if not is_last:
            if up_to is None:
                raise Err(f"{name}: only the last has no up_to_gb_months")
            up_to = whole(f"{name}.up_to_gb_months", up_to)
            if up_to <= reached:
                raise Err(
                    f"{name}.up_to_gb_months: {up_to} is not above {reached}, "
                    "where the tier before ends"
                )
            reached = up_to
        checked.append((up_to, price))
    return checked


def known(name, table, keys):
    if not isinstance(table, dict):
        raise Err(f"{name}: write a table")
    for key in table:
        if key not in keys:
            raise Err(f"{name}: {key} is not known; there are {', '.join(keys)}")


def whole(name, value):
    # A boolean is a number to Python.
    if type(value) is not int or not 0 <= value <= U64_MAX:
        raise Err(f"{name}: {json.dumps(value)} is out of bounds; write 0 to {U64_MAX}")
    return value
