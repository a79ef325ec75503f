//! Vectors for authorizers: a call's facts, and the decision.

use super::decimal::Decimal;
use super::{Output, Vectored, read, write};
use crate::authorize::{self, CALL};
use crate::bindings::authorizer::Authorizer;
use crate::bindings::authorizer::exports::holdfast::plugin::authorization::{
    Cause, Decision, Reason,
};
use crate::call::OwnedCall;
use crate::error::Fault;
use crate::guest::Guest;
use holdfast_model::{AccountId, Action, Cid, PrincipalId, Role, Roles, UnixMillis};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::collections::BTreeMap;
use wasmtime::Store;
use wasmtime::component::Resource;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct CallWritten {
    action: ActionWritten,
    #[serde(default = "somebody")]
    principal: String,
    #[serde(default)]
    roles: Vec<Role>,
    #[serde(default = "some_account")]
    account: String,
    /// It follows from the account; written or not, it must be the account's.
    tenant: Option<String>,
    #[serde(default)]
    attributes: BTreeMap<String, String>,
    cid: Option<String>,
    #[serde(default)]
    meta: BTreeMap<String, String>,
    #[serde(default)]
    request_count: u64,
    #[serde(default)]
    pinned_bytes: Decimal,
    dag_size: Option<u64>,
    #[serde(default)]
    time: u64,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum ActionWritten {
    Name(String),
    Other { other: String },
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
enum DecisionWritten {
    Allow,
    Deny {
        cause: CauseWritten,
        message: String,
    },
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum CauseWritten {
    Exhausted,
    Forbidden,
    Other(String),
}

/// A call's facts.
pub(crate) struct Asked {
    /// As the host has them.
    pub(crate) facts: OwnedCall,
    /// Any name: a vector's author knows no key's id.
    principal: String,
}

fn somebody() -> String {
    "key:test".into()
}

fn some_account() -> String {
    "acme/web".into()
}

impl Vectored for Authorizer {
    type Input = Asked;

    fn input(written: Value) -> Result<Asked, String> {
        let call: CallWritten = read(written)?;
        let account = AccountId::parse(&call.account).map_err(|e| format!("account: {e}"))?;
        if let Some(tenant) = call.tenant
            && tenant != account.tenant().as_str()
        {
            return Err(format!(
                "tenant: {tenant:?} is not the account's; write {:?} or leave it out",
                account.tenant().as_str()
            ));
        }
        let cid = call.cid.map(|cid| Cid::parse(&cid)).transpose();
        let facts = OwnedCall {
            action: call.action.action()?,
            principal: PrincipalId::of_worker("vector"),
            roles: call.roles.into_iter().collect::<Roles>(),
            account,
            attributes: call.attributes,
            cid: cid.map_err(|e| format!("cid: {e}"))?,
            meta: Some(call.meta),
            request_count: call.request_count,
            pinned_bytes: call.pinned_bytes.0,
            dag_size: call.dag_size,
            time: UnixMillis::new(call.time),
        };
        Ok(Asked {
            facts,
            principal: call.principal,
        })
    }

    fn output(written: Output) -> Result<Output, String> {
        match written {
            Output::Ok(decision) => Ok(Output::Ok(write(&read::<DecisionWritten>(decision)?))),
            Output::Error(_) => Err(
                "an authorizer answers no errors; write ok, or error with init where the settings must be refused"
                    .into(),
            ),
        }
    }

    fn ask(&self, store: &mut Store<Guest>, input: &Asked) -> Result<Output, Fault> {
        let facts = &mut store.data_mut().facts;
        facts.fill(&input.facts.borrowed());
        facts.name_principal(&input.principal);
        let said = self
            .holdfast_plugin_authorization()
            .call_authorize(store, Resource::new_borrow(CALL))?;
        let written = match &said {
            Decision::Allow => DecisionWritten::Allow,
            Decision::Deny(Reason { cause, message }) => DecisionWritten::Deny {
                cause: match cause {
                    Cause::Exhausted => CauseWritten::Exhausted,
                    Cause::Forbidden => CauseWritten::Forbidden,
                    Cause::Other(name) => CauseWritten::Other(name.clone()),
                },
                message: message.clone(),
            },
        };
        // The answer must also keep the contract that holds for every one.
        authorize::verdict("", said)?;
        Ok(Output::Ok(write(&written)))
    }
}

impl ActionWritten {
    /// By the name that policies use (`createRequest`) or that the contract has (`create_request`).
    fn action(self) -> Result<Action, String> {
        let name = match &self {
            Self::Name(name) => name.replace(['_', '-'], ""),
            Self::Other { other } => other.clone(),
        };
        let known = |action: &&Action| action.as_str().eq_ignore_ascii_case(&name);
        Action::ALL.iter().find(known).copied().ok_or_else(|| {
            format!("action: {name:?} is no action; write create_request, list_requests, read_request, replace_request, delete_request, read_usage or read_quote, or {{\"other\": \"…\"}} with the name that policies use")
        })
    }
}
