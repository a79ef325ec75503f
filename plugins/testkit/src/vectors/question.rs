//! What vectors ask, as JSON has it.

use crate::call::CallFacts;
use holdfast_plugin::authorizer::Action;
use holdfast_plugin::{config, payment, pricing};
use serde::Deserialize;
use std::collections::BTreeMap;

/// A call: what is not written is as [`CallFacts::new`] has it.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Call {
    action: String,
    principal: Option<String>,
    #[serde(default)]
    roles: Vec<String>,
    account: Option<String>,
    tenant: Option<String>,
    #[serde(default)]
    attributes: BTreeMap<String, String>,
    cid: Option<String>,
    #[serde(default)]
    meta: BTreeMap<String, String>,
    #[serde(default)]
    request_count: u64,
    pinned_bytes: Option<String>,
    dag_size: Option<u64>,
    #[serde(default)]
    time: u64,
}

impl Call {
    pub(super) fn into_facts(self) -> Result<CallFacts, String> {
        let (account, _) = account_and_tenant(self.account, self.tenant)?;
        let mut facts = CallFacts::new(action(self.action))
            .principal(self.principal.as_deref().unwrap_or("key:test"))
            .account(&account)
            .request_count(self.request_count)
            .time(self.time);
        for role in &self.roles {
            facts = facts.role(role);
        }
        for (name, value) in &self.attributes {
            facts = facts.attribute(name, value);
        }
        for (key, value) in &self.meta {
            facts = facts.meta(key, value);
        }
        if let Some(cid) = &self.cid {
            facts = facts.cid(cid);
        }
        if let Some(bytes) = &self.pinned_bytes {
            facts = facts.pinned_bytes(whole(bytes)?);
        }
        if let Some(bytes) = self.dag_size {
            facts = facts.dag_size(bytes);
        }
        Ok(facts)
    }
}

/// An action by the name that policies use.
fn action(name: String) -> Action {
    match name.as_str() {
        "createRequest" => Action::CreateRequest,
        "listRequests" => Action::ListRequests,
        "readRequest" => Action::ReadRequest,
        "replaceRequest" => Action::ReplaceRequest,
        "deleteRequest" => Action::DeleteRequest,
        "readUsage" => Action::ReadUsage,
        "readQuote" => Action::ReadQuote,
        _ => Action::Other(name),
    }
}

/// Usage.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Usage {
    account: Option<String>,
    tenant: Option<String>,
    #[serde(default)]
    attributes: BTreeMap<String, String>,
    #[serde(default)]
    period: Period,
    meters: Vec<Meter>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct Period {
    start: u64,
    end: u64,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Meter {
    measure: Measure,
    quantity: String,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Measure {
    Storage,
    Pin,
    Replace,
    Unpin,
    Other(String),
}

impl Usage {
    pub(super) fn into_usage(self) -> Result<pricing::Usage, String> {
        let meter = |meter: Meter| {
            Ok::<_, String>(pricing::Meter {
                measure: match meter.measure {
                    Measure::Storage => pricing::Measure::Storage,
                    Measure::Pin => pricing::Measure::Pin,
                    Measure::Replace => pricing::Measure::Replace,
                    Measure::Unpin => pricing::Measure::Unpin,
                    Measure::Other(name) => pricing::Measure::Other(name),
                },
                quantity: whole(&meter.quantity)?.into(),
            })
        };
        let (account, tenant) = account_and_tenant(self.account, self.tenant)?;
        Ok(pricing::Usage {
            account,
            tenant,
            attributes: self.attributes.into_iter().collect(),
            period: self.period.into(),
            meters: self
                .meters
                .into_iter()
                .map(meter)
                .collect::<Result<_, _>>()?,
        })
    }
}

impl From<Period> for pricing::Period {
    fn from(period: Period) -> Self {
        Self {
            start: period.start,
            end: period.end,
        }
    }
}

/// A step of collecting.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Collect {
    pub(super) invoice: Invoice,
    pub(super) progress: Progress,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Invoice {
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

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Line {
    kind: LineKind,
    item: String,
    explanation: String,
    quantity: String,
    unit: String,
    amount: Money,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "snake_case")]
enum LineKind {
    Charge,
    Credit,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Money {
    micros: i64,
    currency: String,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Progress {
    attempt: u32,
    idempotency_key: String,
    memo: String,
    time: u64,
}

impl Invoice {
    pub(super) fn into_invoice(self) -> Result<payment::Invoice, String> {
        let line = |line: Line| {
            Ok::<_, String>(payment::Line {
                kind: match line.kind {
                    LineKind::Charge => payment::LineKind::Charge,
                    LineKind::Credit => payment::LineKind::Credit,
                },
                item: line.item,
                explanation: line.explanation,
                quantity: whole(&line.quantity)?.into(),
                unit: line.unit,
                amount: line.amount.into(),
            })
        };
        Ok(payment::Invoice {
            id: self.id,
            account: self.account,
            tenant: self.tenant,
            attributes: self.attributes.into_iter().collect(),
            period: self.period.into(),
            lines: self.lines.into_iter().map(line).collect::<Result<_, _>>()?,
            total: self.total.into(),
            due: self.due,
        })
    }
}

impl From<Money> for payment::Money {
    fn from(money: Money) -> Self {
        Self::new(money.micros, &money.currency)
    }
}

impl From<Progress> for payment::Progress {
    fn from(progress: Progress) -> Self {
        Self {
            attempt: progress.attempt,
            idempotency_key: progress.idempotency_key,
            memo: progress.memo,
            time: progress.time,
        }
    }
}

/// One of the two things that a configuration plugin is asked.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub(super) enum Configure {
    Supply(Snapshot),
    Check {
        proposed: Snapshot,
        current: Option<Snapshot>,
    },
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Snapshot {
    revision: u64,
    values: Vec<Entry>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Entry {
    key: String,
    value: String,
}

impl From<Snapshot> for config::Snapshot {
    fn from(snapshot: Snapshot) -> Self {
        let entry = |entry: Entry| config::Entry {
            key: entry.key,
            value: entry.value,
        };
        Self {
            revision: snapshot.revision,
            values: snapshot.values.into_iter().map(entry).collect(),
        }
    }
}

/// The tenant is the account's first half; a vector may leave either out, not contradict itself.
fn account_and_tenant(
    account: Option<String>,
    tenant: Option<String>,
) -> Result<(String, String), String> {
    let account = account.unwrap_or_else(|| "acme/web".into());
    let of_account = account.split('/').next().unwrap_or_default().to_owned();
    match tenant {
        Some(tenant) if tenant != of_account => Err(format!(
            "input: the account {account} is not of tenant {tenant}"
        )),
        _ => Ok((account, of_account)),
    }
}

fn whole(text: &str) -> Result<u128, String> {
    text.parse()
        .map_err(|_| format!("input: {text:?} is no whole number of 128 bits"))
}
