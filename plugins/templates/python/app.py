"""A price for storage by the gigabyte-month, and one for each new pin.

What stands here is the plugin's face to the host; the rules are in rate.py. The modules of
`wit_world` are made from wit/. There is no clock, no randomness and no network.
"""

import rate
import wit_world
from componentize_py_types import Err
from wit_world import exports
from wit_world.imports.types import U128, LineKind_Charge, Line, Metadata, Money

rating = exports.rating


class WitWorld(wit_world.WitWorld):
    """What every plugin exports."""

    # The prices that `init` was given; an instance has one set for its life.
    prices = None

    def describe(self):
        return Metadata(
            name="plugin-name",
            version="0.1.0",
            description="a price per gigabyte-month and per pin",
        )

    def init(self, settings):
        try:
            WitWorld.prices = rate.Prices(settings)
        except ValueError as error:
            # Shown to the operator, who wrote the settings.
            raise Err(str(error)) from error


class Rating(exports.Rating):
    """What a pricing plugin exports."""

    def rate(self, usage):
        prices = WitWorld.prices
        try:
            lines = [line for meter in usage.meters for line in rated(prices, meter)]
            micros = rate.fit("the total", sum(line.amount.micros for line in lines))
        except OverflowError as error:
            raise Err(rating.RatingError_Overflow(str(error))) from error
        return rating.Quote(lines, Money(micros, prices.currency))


def rated(prices, meter):
    """The meter's line; none for what has no price here, which is free."""
    quantity = meter.quantity.high << 64 | meter.quantity.low
    if isinstance(meter.measure, rating.Measure_Storage):
        item, unit, price, per = "storage", "byte-second", prices.gb_month_micros, rate.GB_MONTH
    elif isinstance(meter.measure, rating.Measure_Pin):
        item, unit, price, per = "pins", "operation", prices.pin_micros, 1
    else:
        return []
    micros = rate.fit(item, rate.cost(quantity, price, per))
    return [
        Line(
            kind=LineKind_Charge(),
            item=item,
            explanation=f"{quantity} {unit}s at {price} micros per {per}, rounded up",
            quantity=U128(high=quantity >> 64, low=quantity & (2**64 - 1)),
            unit=unit,
            amount=Money(micros, prices.currency),
        )
    ]
