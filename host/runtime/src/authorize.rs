//! Asking an authorizer, and checking what it says.

use crate::bindings::authorizer::Authorizer;
use crate::bindings::authorizer::exports::holdfast::plugin::authorization::{
    Cause, Decision, Reason,
};
use crate::call::{AuthorizeCall, Verdict};
use crate::error::Fault;
use crate::limits::MESSAGE_BYTES_MAX;
use crate::plugin::Plugin;
use wasmtime::component::Resource;

/// The call's handle. An instance sees one call at a time, so one number is enough.
pub(crate) const CALL: u32 = 0;

impl Plugin<Authorizer> {
    /// Asks whether a call may go on.
    pub(crate) fn authorize(&self, call: &AuthorizeCall<'_>) -> Result<Verdict, Fault> {
        self.call(|exports, store| {
            store.data_mut().facts.fill(call);
            let decision = exports
                .holdfast_plugin_authorization()
                .call_authorize(store, Resource::new_borrow(CALL))?;
            verdict(&self.load.candidate.name, decision)
        })
    }
}

/// What a decision means, if it keeps the contract.
pub(crate) fn verdict(plugin: &str, decision: Decision) -> Result<Verdict, Fault> {
    match decision {
        Decision::Allow => Ok(Verdict::Allow),
        Decision::Deny(reason) => deny(plugin, reason),
    }
}

fn deny(plugin: &str, reason: Reason) -> Result<Verdict, Fault> {
    let message = reason.message;
    if message.is_empty() || message.len() > MESSAGE_BYTES_MAX {
        return Err(Fault::Nonsense(format!(
            "a refusal's message has {} bytes; write 1 to {MESSAGE_BYTES_MAX}",
            message.len()
        )));
    }
    if message.chars().any(char::is_control) {
        return Err(Fault::Nonsense(
            "a refusal's message has control characters; write one plain line".into(),
        ));
    }
    Ok(Verdict::Deny {
        plugin: plugin.to_owned(),
        exhausted: matches!(reason.cause, Cause::Exhausted),
        message,
    })
}
