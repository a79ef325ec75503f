//! What plugins are asked to see how they answer: one made-up question of each kind. Nothing of it
//! is about anybody.

use crate::call::{AuthorizeCall, QuoteCall, QuoteLine};
use crate::job::{Invoice, Progress};
use holdfast_model::usage::Operations;
use holdfast_model::{
    AccountId, Action, Currency, Money, Period, PrincipalId, Role, Roles, UnixMillis, Usage,
};
use std::collections::BTreeMap;

/// The period that everything is about.
const PERIOD: Period = Period {
    start: UnixMillis::EPOCH,
    end: UnixMillis::new(86_400_000),
};

fn account() -> Result<AccountId, String> {
    AccountId::parse("acme/web").map_err(|e| e.to_string())
}

/// May this request be made?
pub(crate) fn authorizer<T>(
    ask: impl FnOnce(&AuthorizeCall<'_>) -> Result<T, String>,
) -> Result<T, String> {
    let account = account()?;
    ask(&AuthorizeCall {
        action: Action::CreateRequest,
        principal: &PrincipalId::of_worker("attack"),
        roles: Roles::NONE.with(Role::TenantUser),
        account: &account,
        attributes: &BTreeMap::new(),
        cid: None,
        meta: None,
        request_count: 0,
        pinned_bytes: 0,
        dag_size: None,
        time: UnixMillis::EPOCH,
    })
}

/// What does this usage cost?
pub(crate) fn pricing<T>(
    ask: impl FnOnce(&QuoteCall<'_>) -> Result<T, String>,
) -> Result<T, String> {
    let account = account()?;
    let usage = Usage {
        period: PERIOD,
        byte_millis: 1,
        level_bytes: 1,
        operations: Operations::default(),
    };
    ask(&QuoteCall {
        account: &account,
        tenant: account.tenant(),
        attributes: &BTreeMap::new(),
        usage: &usage,
    })
}

/// Collect this invoice.
pub(crate) fn payment() -> Result<(Invoice, Progress), String> {
    let total = Money {
        micros: 12,
        currency: Currency::parse("EUR").map_err(|e| e.to_string())?,
    };
    let invoice = Invoice {
        id: "attack-1".into(),
        account: account()?,
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
    Ok((invoice, progress))
}
