"""The rules, on this machine: `python3 -m unittest`."""

import unittest

import rate


class Rate(unittest.TestCase):
    def test_a_part_of_a_price_is_rounded_up(self):
        self.assertEqual(rate.cost(rate.GB_MONTH, 20_000, rate.GB_MONTH), 20_000)
        self.assertEqual(rate.cost(1, 20_000, rate.GB_MONTH), 1)
        self.assertEqual(rate.cost(0, 20_000, rate.GB_MONTH), 0)

    def test_wrong_settings_are_named(self):
        for settings, named in [
            ('{"pin": 1}', "pin"),
            ('{"currency": "euro"}', "currency"),
            ('{"pin_micros": 0.5}', "pin_micros"),
        ]:
            with self.assertRaisesRegex(ValueError, named):
                rate.Prices(settings)


if __name__ == "__main__":
    unittest.main()
