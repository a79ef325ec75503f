//! Putting a pin request in the place of another.

use crate::app::App;
use crate::pins::{PinError, hooks};
use holdfast_model::action::ReplaceRequest;
use holdfast_model::{Action, NewRequest, PinRequest, RequestId};
use holdfast_policy::Permit;
use holdfast_store::RequestDraft;

/// Makes a pin request under a fresh id and gives up the old one, both or neither.
///
/// # Errors
/// The old one is gone, an authorizer objects or fails, or the store does.
pub async fn replace(
    app: &App,
    permit: &Permit<ReplaceRequest>,
    id: RequestId,
    asked: NewRequest,
) -> Result<PinRequest, PinError> {
    let old = permit.on();
    let change = hooks::Change {
        action: Action::ReplaceRequest,
        principal: permit.principal(),
        account: &old.account,
        asked: Some(&asked),
        decision: permit.decision(),
    };
    hooks::authorize(app, change).await?;
    let draft = RequestDraft {
        id,
        account: old.account.clone(),
        asked,
    };
    let now = app.clock.now();
    Ok(app.store.replace_request(old.id, draft, now).await?)
}
