//! Asking for a pin.

use crate::app::App;
use crate::pins::{PinError, hooks};
use holdfast_model::action::CreateRequest;
use holdfast_model::{Action, NewRequest, PinRequest, RequestId};
use holdfast_policy::Permit;
use holdfast_store::RequestDraft;

/// Makes a pin request under a fresh id. The same content may be asked for any number of times;
/// each is a request of its own.
///
/// # Errors
/// An authorizer objects or fails, or the store does.
pub async fn create(
    app: &App,
    permit: &Permit<CreateRequest>,
    id: RequestId,
    asked: NewRequest,
) -> Result<PinRequest, PinError> {
    let change = hooks::Change {
        action: Action::CreateRequest,
        principal: permit.principal(),
        account: permit.on(),
        asked: Some(&asked),
        decision: permit.decision(),
    };
    hooks::authorize(app, change).await?;
    let draft = RequestDraft {
        id,
        account: permit.on().clone(),
        asked,
    };
    Ok(app.store.create_request(draft, app.clock.now()).await?)
}
