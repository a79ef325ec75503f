//! The door that guests send requests through, `wasi:http/outgoing-handler`: wasmtime's own, and
//! what that one leaves behind is cleared away.
//!
//! A guest hands the options of a request over for good. Wasmtime 48 copies them and leaves their
//! entry in the host's table, which nobody can name any more: a guest that sends often would be
//! stopped for handles that it does not hold.

use super::guest::JobGuest;
use wasmtime::StoreContextMut;
use wasmtime::component::{Linker, Resource, ResourceTable};
use wasmtime_wasi_http::WasiHttpView;
use wasmtime_wasi_http::p2::bindings::http::outgoing_handler::Host;
use wasmtime_wasi_http::p2::bindings::http::types::{ErrorCode, Host as Errors, RequestOptions};
use wasmtime_wasi_http::p2::types::{HostFutureIncomingResponse, HostOutgoingRequest};

/// The interface, in any release that is compatible with this one.
const INTERFACE: &str = "wasi:http/outgoing-handler@0.2.0";

/// What is handed over.
type Sent = (
    Resource<HostOutgoingRequest>,
    Option<Resource<RequestOptions>>,
);

/// What is given back: an answer to wait for, or why there will be none.
type Answer = Result<Resource<HostFutureIncomingResponse>, ErrorCode>;

/// Links the door.
pub(super) fn link(linker: &mut Linker<JobGuest>) -> wasmtime::Result<()> {
    let mut interface = linker.instance(INTERFACE)?;
    interface.func_wrap(
        "handle",
        |mut store: StoreContextMut<'_, JobGuest>, sent: Sent| {
            let answer = handle(store.data_mut(), sent)?;
            Ok((answer,))
        },
    )
}

fn handle(guest: &mut JobGuest, (request, options): Sent) -> wasmtime::Result<Answer> {
    guest.called();
    let number = options.as_ref().map(Resource::rep);
    let mut door = guest.http();
    let sent = door.handle(request, options);
    if let Some(number) = number {
        forget(door.table, number);
    }
    match sent {
        Ok(answer) => Ok(Ok(answer)),
        Err(error) => door.convert_error_code(error).map(Err),
    }
}

/// Takes options out of the table, if they are still there: a later wasmtime may do it itself.
fn forget(table: &mut ResourceTable, number: u32) {
    let _ = table.delete(Resource::<RequestOptions>::new_own(number));
}
