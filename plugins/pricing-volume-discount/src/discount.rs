//! A quote in the making: charges, and credits that never take off more than is left.

use crate::plan::BASIS_POINTS;
use holdfast_plugin::money::{amount, price_text};
use holdfast_plugin::pricing::{Line, Money, Quote, RatingError};

/// The lines so far, and what is left to pay.
pub(crate) struct Bill {
    currency: String,
    lines: Vec<Line>,
    left: i64,
}

/// A charge of `quantity` at `price` for each `per`, not yet explained.
pub(crate) fn amount_line(
    item: &str,
    (quantity, price, per): (u128, u64, u128),
    currency: &str,
) -> Result<Line, RatingError> {
    let micros = amount(quantity, price, per).ok_or_else(|| {
        RatingError::Overflow(format!("{item}: the price of {quantity} does not fit"))
    })?;
    Ok(Line::charge(item, Money::new(micros, currency)))
}

impl Bill {
    /// An empty one.
    pub(crate) fn new(currency: &str) -> Self {
        Self {
            currency: currency.into(),
            lines: Vec::new(),
            left: 0,
        }
    }

    /// What is left to pay.
    pub(crate) const fn left(&self) -> i64 {
        self.left
    }

    /// Adds a charge.
    pub(crate) fn charge(&mut self, line: Line) -> Result<(), RatingError> {
        self.left = self
            .left
            .checked_add(line.amount.micros)
            .ok_or_else(|| RatingError::Overflow("the sum of the charges does not fit".into()))?;
        self.lines.push(line);
        Ok(())
    }

    /// Takes a share of an amount off, at most the cap.
    pub(crate) fn percentage(
        &mut self,
        item: &str,
        of: i64,
        (basis_points, cap): (u64, Option<u64>),
        why: &str,
    ) -> Result<(), RatingError> {
        let base = u64::try_from(of).unwrap_or_default();
        let share = amount(base.into(), basis_points, BASIS_POINTS.into())
            .and_then(|micros| u64::try_from(micros).ok())
            .unwrap_or_default();
        let capped = cap.map_or(share, |cap| share.min(cap));
        let mut explanation = format!(
            "{}.{:02} percent of {}, rounded once, half away from zero",
            basis_points / 100,
            basis_points % 100,
            price_text(base, &self.currency),
        );
        if let Some(cap) = cap.filter(|cap| share > *cap) {
            explanation += &format!(", cut to {}", price_text(cap, &self.currency));
        }
        self.credit(item, capped, format!("{explanation}; {why}"))
    }

    /// Takes an amount off, as far as there is something left.
    pub(crate) fn credit(
        &mut self,
        item: &str,
        micros: u64,
        explanation: String,
    ) -> Result<(), RatingError> {
        let left = u64::try_from(self.left).unwrap_or_default();
        let given = micros.min(left);
        let explanation = match given < micros {
            true => format!(
                "{explanation}; only {} were left",
                price_text(left, &self.currency)
            ),
            false => explanation,
        };
        let given = i64::try_from(given)
            .map_err(|_| RatingError::Overflow(format!("{item}: does not fit")))?;
        self.left = self.left.saturating_sub(given);
        let amount = Money::new(given.saturating_neg(), &self.currency);
        let line = Line::credit(item, amount).because(explanation);
        self.lines.push(line.of(1, "credit"));
        Ok(())
    }

    /// The quote.
    pub(crate) fn into_quote(self) -> Result<Quote, RatingError> {
        Quote::of(&self.currency, self.lines)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bill(micros: i64) -> Bill {
        let mut bill = Bill::new("EUR");
        let line = Line::charge("storage", Money::new(micros, "EUR"));
        bill.charge(line).unwrap();
        bill
    }

    #[test]
    fn shares_are_rounded_capped_and_never_more_than_is_left() {
        for (charge, basis_points, cap, left) in [
            (1_000, 1_000, None, 900),
            (5, 1_000, None, 4),
            (4, 1_000, None, 4),
            (1_000, 10_000, None, 0),
            (1_000, 5_000, Some(100), 900),
            (1_000, 5_000, Some(500), 500),
            (i64::MAX, 10_000, None, 0),
        ] {
            let mut bill = bill(charge);
            bill.percentage("x", charge, (basis_points, cap), "so")
                .unwrap();
            assert_eq!(bill.left(), left, "{basis_points} of {charge}");
        }
        let mut bill = bill(10);
        bill.credit("x", 11, "gift".into()).unwrap();
        bill.credit("y", u64::MAX, "gift".into()).unwrap();
        let quote = bill.into_quote().unwrap();
        assert_eq!(quote.total.micros, 0);
        assert!(
            quote.lines[1]
                .explanation
                .contains("only 0.000010 EUR were left")
        );
    }
}
