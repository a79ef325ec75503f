//! Reading one pin request.

use crate::app::App;
use crate::pins::PinError;
use holdfast_model::action::{ReadRequest, RequestRef};
use holdfast_model::{Cid, PinRequest, RequestId};
use holdfast_policy::Permit;
use holdfast_store::StoreError;

/// A request that was found and may not be looked at yet: it tells whose it is, so that the
/// policies can be asked, and nothing else until they have allowed it.
#[derive(Debug)]
pub struct Sealed(PinRequest);

/// Finds a request by its id, whoever owns it.
///
/// # Errors
/// The store fails.
pub async fn find(app: &App, id: RequestId) -> Result<Option<Sealed>, PinError> {
    Ok(app.store.request(id).await?.map(Sealed))
}

impl Sealed {
    /// What to ask the policies about.
    #[must_use]
    pub fn reference(&self) -> RequestRef {
        RequestRef {
            account: self.0.account.clone(),
            id: self.0.id,
        }
    }

    /// What it pins: for the policies, which may look at it.
    #[must_use]
    pub fn cid(&self) -> Cid {
        self.0.asked.cid
    }

    /// The request itself.
    ///
    /// # Errors
    /// `NotFound` if the permit is for another one.
    pub fn open(self, permit: &Permit<ReadRequest>) -> Result<PinRequest, PinError> {
        let on = permit.on();
        if on.id == self.0.id && on.account == self.0.account {
            Ok(self.0)
        } else {
            Err(StoreError::NotFound("pin request").into())
        }
    }
}
