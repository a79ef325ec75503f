//! The vectors of payment plugins, written as the types in `wit/` are.

use super::JobVectored;
use crate::bindings::authorizer::holdfast::plugin::types::{
    Line as WitLine, LineKind, Money as WitMoney, Period as WitPeriod, U128,
};
use crate::bindings::payment::Payment;
use crate::bindings::payment::exports::holdfast::plugin::collection::{
    CollectError, Invoice as WitInvoice, Progress as WitProgress, Step,
};
use crate::error::Fault;
use crate::facts::halves;
use crate::job::collect::checked;
use crate::job::guest::JobGuest;
use crate::job::mould::Asking;
use holdfast_model::{Currency, Money as Total};
use serde::Deserialize;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use wasmtime::Store;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Input {
    invoice: Invoice,
    progress: Progress,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Invoice {
    id: String,
    account: String,
    tenant: String,
    #[serde(default)]
    attributes: BTreeMap<String, String>,
    period: Period,
    lines: Vec<Line>,
    total: Money,
    due: u64,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Period {
    start: u64,
    end: u64,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Line {
    kind: Kind,
    item: String,
    explanation: String,
    quantity: String,
    unit: String,
    amount: Money,
}

#[derive(Deserialize)]
#[serde(rename_all = "snake_case")]
enum Kind {
    Charge,
    Credit,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Money {
    micros: i64,
    currency: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Progress {
    attempt: u32,
    idempotency_key: String,
    memo: String,
    time: u64,
}

impl JobVectored for Payment {
    type Input = (WitInvoice, WitProgress);

    fn input(written: Value) -> Result<Self::Input, String> {
        let Input { invoice, progress } =
            serde_json::from_value(written).map_err(|e| e.to_string())?;
        let lines = invoice.lines.into_iter().map(line);
        let invoice = WitInvoice {
            id: invoice.id,
            account: invoice.account,
            tenant: invoice.tenant,
            attributes: invoice.attributes.into_iter().collect(),
            period: WitPeriod {
                start: invoice.period.start,
                end: invoice.period.end,
            },
            lines: lines.collect::<Result<_, _>>()?,
            total: money(invoice.total),
            due: invoice.due,
        };
        let progress = WitProgress {
            attempt: progress.attempt,
            idempotency_key: progress.idempotency_key,
            memo: progress.memo,
            time: progress.time,
        };
        Ok((invoice, progress))
    }

    fn put<'a>(
        &'a self,
        store: &'a mut Store<JobGuest>,
        (invoice, progress): Self::Input,
    ) -> Asking<'a, Value> {
        Box::pin(async move {
            let collection = self.holdfast_plugin_collection();
            let answer = collection.call_collect(store, &invoice, &progress).await?;
            let written = written(&answer);
            // The answer must also keep the contract that holds for every one.
            let currency = Currency::parse(&invoice.total.currency);
            let currency = currency.map_err(|e| Fault::Nonsense(e.to_string()))?;
            let micros = invoice.total.micros;
            drop(checked(answer, Total { micros, currency })?);
            Ok(written)
        })
    }
}

fn line(line: Line) -> Result<WitLine, String> {
    let quantity: u128 = line.quantity.parse().map_err(|_| {
        format!(
            "quantity: {:?} is no number; write a decimal one",
            line.quantity
        )
    })?;
    let (high, low) = halves(quantity);
    Ok(WitLine {
        kind: match line.kind {
            Kind::Charge => LineKind::Charge,
            Kind::Credit => LineKind::Credit,
        },
        item: line.item,
        explanation: line.explanation,
        quantity: U128 { high, low },
        unit: line.unit,
        amount: money(line.amount),
    })
}

fn money(money: Money) -> WitMoney {
    WitMoney {
        micros: money.micros,
        currency: money.currency,
    }
}

fn written(answer: &Result<Step, CollectError>) -> Value {
    match answer {
        Ok(Step::Collected(receipt)) => json!({"ok": {"collected": {
            "reference": receipt.reference,
            "amount": {"micros": receipt.amount.micros, "currency": receipt.amount.currency},
        }}}),
        Ok(Step::Pending(pending)) => json!({"ok": {"pending": {
            "memo": pending.memo,
            "again_after_ms": pending.again_after_ms,
            "message": pending.message,
        }}}),
        Ok(Step::Declined(why)) => json!({"ok": {"declined": why}}),
        Ok(Step::Other(what)) => json!({"ok": {"other": what}}),
        Err(CollectError::Unavailable(after)) => json!({"error": {"unavailable": after}}),
        Err(CollectError::InvalidInvoice(why)) => json!({"error": {"invalid_invoice": why}}),
        Err(CollectError::Refused(why)) => json!({"error": {"refused": why}}),
        Err(CollectError::Other(why)) => json!({"error": {"other": why}}),
    }
}
