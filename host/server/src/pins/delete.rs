//! Giving up a pin request.

use crate::app::App;
use crate::pins::{PinError, hooks};
use holdfast_model::Action;
use holdfast_model::action::DeleteRequest;
use holdfast_policy::Permit;

/// Gives up a pin request; its pin goes when nobody wants it any more.
///
/// # Errors
/// It is gone already, an authorizer objects or fails, or the store does.
pub async fn delete(app: &App, permit: &Permit<DeleteRequest>) -> Result<(), PinError> {
    let request = permit.on();
    let change = hooks::Change {
        action: Action::DeleteRequest,
        principal: permit.principal(),
        account: &request.account,
        asked: None,
        decision: permit.decision(),
    };
    hooks::authorize(app, change).await?;
    let now = app.clock.now();
    Ok(app
        .store
        .delete_request(&request.account, request.id, now)
        .await?)
}
