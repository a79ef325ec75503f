"""The rules, in whole numbers: prices are money, and floats are not."""

import json
import re

# Bytes of a gigabyte times seconds of a month of 30 days.
GB_MONTH = 10**9 * 30 * 24 * 60 * 60
MICROS_MAX = 2**63 - 1

# What the operator writes under [settings], in millionths of the currency's unit.
DEFAULTS = {"currency": "EUR", "gb_month_micros": 20000, "pin_micros": 100}


class Prices:
    """The settings, checked; a ValueError says what is wrong with them."""

    def __init__(self, text):
        given = json.loads(text)
        for key in given:
            if key not in DEFAULTS:
                known = ", ".join(DEFAULTS)
                raise ValueError(f"settings: {key} is not known; there are {known}")
        settings = {**DEFAULTS, **given}
        self.currency = settings["currency"]
        if not isinstance(self.currency, str) or not re.fullmatch("[A-Z]{3}", self.currency):
            raise ValueError("currency: write three capital letters, such as EUR")
        self.gb_month_micros = whole("gb_month_micros", settings["gb_month_micros"])
        self.pin_micros = whole("pin_micros", settings["pin_micros"])


def whole(name, value):
    if type(value) is not int or value < 0:
        raise ValueError(f"{name}: write a whole number, 0 or more")
    return value


def cost(quantity, price, per):
    """Rounded up."""
    return -(-quantity * price // per)


def fit(item, micros):
    if micros > MICROS_MAX:
        raise OverflowError(f"{item}: the amount does not fit")
    return micros
