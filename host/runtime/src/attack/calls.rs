//! What the plugins in the arena are asked: one fair question of each kind.

use super::case::Target;
use crate::call::{AuthorizeCall, QuoteCall, QuoteLine, Verdict};
use crate::job::{Invoice, Progress, Snapshot};
use crate::plugins::Plugins;
use holdfast_model::usage::Operations;
use holdfast_model::{
    AccountId, Action, Currency, Money, Period, PrincipalId, Role, Roles, UnixMillis, Usage,
};
use std::collections::BTreeMap;

/// What the well-behaved pricing plugin asks for, in millionths of a euro.
pub(super) const FAIR_PRICE: i64 = 7;

/// The period that everything is about.
const PERIOD: Period = Period {
    start: UnixMillis::EPOCH,
    end: UnixMillis::new(86_400_000),
};

/// Asks a kind's question; of payment plugins, the one with this name. The error is what the caller
/// gets, or how the answer is not the fair one.
pub(super) fn ask(plugins: &Plugins, target: Target, name: &str) -> Result<(), String> {
    let account = AccountId::parse("acme/web").map_err(|e| e.to_string())?;
    match target {
        Target::Authorizer => authorize(plugins, &account),
        Target::Pricing => quote(plugins, &account),
        Target::Payment => collect(plugins, account, name),
        Target::Config => configure(plugins),
    }
}

fn authorize(plugins: &Plugins, account: &AccountId) -> Result<(), String> {
    let verdict = plugins.authorize(&AuthorizeCall {
        action: Action::CreateRequest,
        principal: &PrincipalId::of_worker("attack"),
        roles: Roles::NONE.with(Role::TenantUser),
        account,
        attributes: &BTreeMap::new(),
        cid: None,
        meta: None,
        request_count: 0,
        pinned_bytes: 0,
        dag_size: None,
        time: UnixMillis::EPOCH,
    });
    match verdict.map_err(|e| e.to_string())? {
        Verdict::Allow => Ok(()),
        Verdict::Deny { message, .. } => Err(format!("no: {message}")),
    }
}

fn quote(plugins: &Plugins, account: &AccountId) -> Result<(), String> {
    let usage = Usage {
        period: PERIOD,
        byte_millis: 1,
        level_bytes: 1,
        operations: Operations::default(),
    };
    let quote = plugins.quote(&QuoteCall {
        account,
        tenant: account.tenant(),
        attributes: &BTreeMap::new(),
        usage: &usage,
    });
    match quote.map_err(|e| e.to_string())?.total.micros {
        FAIR_PRICE => Ok(()),
        micros => Err(format!("the price is {micros}")),
    }
}

fn collect(plugins: &Plugins, account: AccountId, name: &str) -> Result<(), String> {
    let total = Money {
        micros: 12,
        currency: Currency::parse("EUR").map_err(|e| e.to_string())?,
    };
    let invoice = Invoice {
        id: "attack-1".into(),
        account,
        attributes: BTreeMap::new(),
        period: PERIOD,
        lines: vec![QuoteLine {
            item: "storage".into(),
            explanation: "as used".into(),
            quantity: 1,
            unit: "byte".into(),
            amount: total,
        }],
        total,
        due: PERIOD.end,
    };
    let progress = Progress {
        attempt: 1,
        idempotency_key: "attack-1".into(),
        memo: String::new(),
        time: PERIOD.end,
    };
    let step = plugins.collect_blocking(name, &invoice, &progress);
    step.map(drop).map_err(|e| e.to_string())
}

fn configure(plugins: &Plugins) -> Result<(), String> {
    let current = Snapshot::default();
    let supplied = plugins.supply(&current).map(drop);
    let checked = supplied.and_then(|()| plugins.check_configuration(&current, None));
    checked.map(drop).map_err(|e| e.to_string())
}
