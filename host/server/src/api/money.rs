//! What was used and what it costs, under `/v1`.
//!
//! Byte-seconds outgrow 64 bits (a pebibyte for a day does), so they are decimal text; amounts are
//! whole micro-units beside text for people.

use crate::api::context::Call;
use crate::api::problem::Problem;
use crate::api::reply::Reply;
use crate::billing::{self, Metered};
use axum::http::StatusCode;
use holdfast_model::action::{ReadQuote, ReadUsage};
use holdfast_model::usage::Operations;
use holdfast_model::{AccountId, Currency, Invalid, Money, Period, UnixMillis};
use holdfast_runtime::{Quote, QuoteLine};
use serde::Serialize;
use utoipa::{IntoParams, ToSchema};

const KNOWN: &[&str] = &["period", "from", "to", "account"];

/// The parameters, for the document only.
#[derive(IntoParams)]
#[into_params(parameter_in = Query)]
#[expect(dead_code, reason = "describes what `asked` takes apart")]
struct Parameters {
    /// `2026-11`, `2026-11-20`, `START..END` in RFC 3339, or `current` (default): the month so far.
    period: Option<String>,
    /// Instead of `period`: its first instant, RFC 3339. Goes with `to`.
    from: Option<String>,
    /// Instead of `period`: the first instant after it.
    to: Option<String>,
    /// `tenant/account`; the caller's own when it is missing.
    account: Option<String>,
}

/// What an account used.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Usage)]
pub(crate) struct UsageView {
    #[schema(value_type = String)]
    account: AccountId,
    period: PeriodView,
    /// Storage, exact: the integral of pinned bytes over time.
    #[schema(value_type = String)]
    byte_seconds: String,
    /// Bytes pinned at `measured_until`.
    pinned_bytes: String,
    operations: OperationsView,
}

/// A stretch of time, and how much of it has passed.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Period)]
struct PeriodView {
    #[schema(value_type = String, format = "date-time")]
    start: UnixMillis,
    /// The first instant that is not in it.
    #[schema(value_type = String, format = "date-time")]
    end: UnixMillis,
    /// Nothing is measured ahead: `end`, or now if that is earlier.
    #[schema(value_type = String, format = "date-time")]
    measured_until: UnixMillis,
}

/// How many of each operation.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Operations)]
struct OperationsView {
    pin: u64,
    replace: u64,
    unpin: u64,
}

/// What an account's usage costs.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Quote)]
pub(crate) struct QuoteView {
    usage: UsageView,
    lines: Vec<LineView>,
    total: MoneyView,
    rated_by: RatedBy,
}

/// One line, with how it came about.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = QuoteLine)]
struct LineView {
    item: String,
    explanation: String,
    quantity: String,
    unit: String,
    amount: MoneyView,
}

/// An amount.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Money)]
struct MoneyView {
    /// Millionths of a unit; negative for a credit.
    micros: i64,
    #[schema(value_type = String)]
    currency: Currency,
    /// For people: `12.345678 EUR`.
    display: String,
}

/// The component that rated it.
#[derive(Debug, Serialize, ToSchema)]
struct RatedBy {
    plugin: String,
    /// SHA-256 of the component.
    digest: String,
}

/// What an account used in a period.
#[utoipa::path(
    get, path = "/v1/usage", tag = "billing", operation_id = "readUsage", params(Parameters),
    responses((status = 200, description = "Usage", body = UsageView))
)]
pub(crate) async fn usage(call: &mut Call) -> Result<Reply, Problem> {
    let (account, period) = asked(call)?;
    let permit = call.permit::<ReadUsage>(account)?;
    let metered = billing::usage(call.app(), &permit, period?).await?;
    Reply::json(StatusCode::OK, &UsageView::of(permit.on(), &metered))
}

/// What an account's usage in a period costs, each line explained.
#[utoipa::path(
    get, path = "/v1/quote", tag = "billing", operation_id = "readQuote", params(Parameters),
    responses((status = 200, description = "The price", body = QuoteView),
        (status = 502, description = "The pricing component failed"),
        (status = 503, description = "No pricing component is loaded"))
)]
pub(crate) async fn quote(call: &mut Call) -> Result<Reply, Problem> {
    let (account, period) = asked(call)?;
    let permit = call.permit::<ReadQuote>(account)?;
    let (metered, quote) = billing::quote(call.app(), &permit, period?).await?;
    let usage = UsageView::of(permit.on(), &metered);
    Reply::json(StatusCode::OK, &QuoteView::of(usage, quote))
}

/// Whose usage, and when. A wrong period is told only to who may ask about the account.
fn asked(call: &Call) -> Result<(AccountId, Result<Period, Invalid>), Problem> {
    let query = call.query(KNOWN)?;
    let account = match query.one("account")? {
        Some(text) => AccountId::parse(text)?,
        None => call.principal()?.account.clone(),
    };
    let now = call.app().clock.now();
    let period = match (query.one("period")?, query.one("from")?, query.one("to")?) {
        (None, None, None) => billing::parse("current", now),
        (Some(text), None, None) => billing::parse(text, now),
        (None, Some(start), Some(end)) => billing::between(start, end),
        (Some(_), ..) => Err(Invalid::new(
            "period",
            "excludes from and to; send one of both",
        )),
        (None, ..) => Err(Invalid::new("from", "and to go together; send both")),
    };
    Ok((account, period))
}

impl UsageView {
    fn of(account: &AccountId, metered: &Metered) -> Self {
        let usage = &metered.usage;
        let Operations {
            pin,
            replace,
            unpin,
        } = usage.operations;
        Self {
            account: account.clone(),
            period: PeriodView {
                start: metered.period.start,
                end: metered.period.end,
                measured_until: usage.period.end,
            },
            byte_seconds: usage.byte_seconds().to_string(),
            pinned_bytes: usage.level_bytes.to_string(),
            operations: OperationsView {
                pin,
                replace,
                unpin,
            },
        }
    }
}

impl QuoteView {
    fn of(usage: UsageView, quote: Quote) -> Self {
        Self {
            usage,
            lines: quote.lines.into_iter().map(LineView::of).collect(),
            total: MoneyView::of(quote.total),
            rated_by: RatedBy {
                plugin: quote.plugin,
                digest: quote.digest,
            },
        }
    }
}

impl LineView {
    fn of(line: QuoteLine) -> Self {
        Self {
            item: line.item,
            explanation: line.explanation,
            quantity: line.quantity.to_string(),
            unit: line.unit,
            amount: MoneyView::of(line.amount),
        }
    }
}

impl MoneyView {
    fn of(money: Money) -> Self {
        Self {
            micros: money.micros,
            currency: money.currency,
            display: money.to_string(),
        }
    }
}
