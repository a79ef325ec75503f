//! A pin put over the version that was seen. The store reads the row, writes the feed's entry ahead
//! of the change, and puts under a condition; so does the bare driver here.

use crate::bare::Bare;
use crate::pace::deed;
use crate::pins;
use crate::server::Bench;
use crate::table::Row;
use crate::{AT_ONCE_MAX, Plan};
use anyhow::{Context, Result, ensure};
use holdfast_model::StoredPin;
use holdfast_store::Expect;
use scylla::value::{CqlValue, Row as AnyRow};
use std::sync::Arc;
use tokio::sync::Mutex;
use uuid::Uuid;

pub(crate) fn rows(plan: &Plan) -> Result<Vec<Row>> {
    let bench = Bench::start()?;
    let put = pins::put(&bench.store, 2 * AT_ONCE_MAX as u64);
    let put = bench.runtime.block_on(put)?;
    let (ours, theirs) = put.split_at(AT_ONCE_MAX);

    let store = bench.store.clone();
    let own: Arc<[_]> = ours.iter().cloned().map(Mutex::new).collect();
    let ours = deed(move |who| {
        let (store, own) = (store.clone(), Arc::clone(&own));
        async move {
            let mut pin = own.get(who).context("no pin of its own")?.lock().await;
            let expect = Expect::Version(pin.version);
            *pin = store.put_pin(pin.pin.clone(), expect).await?;
            Ok(())
        }
    });
    let own: Arc<[_]> = theirs.iter().cloned().map(Mutex::new).collect();
    let bare = Arc::clone(&bench.bare);
    let theirs = deed(move |who| {
        let (bare, own) = (Arc::clone(&bare), Arc::clone(&own));
        async move {
            let pin = own.get(who).context("no pin of its own")?;
            put_if(&bare, &mut *pin.lock().await).await
        }
    });
    bench.compare("cql_put_if", plan, (&ours, &theirs))
}

async fn put_if(bare: &Bare, pin: &mut StoredPin) -> Result<()> {
    let (prefix, cid) = (bare.prefix(&pin.pin.cid), pin.pin.cid.to_bytes());
    let op = Uuid::now_v7();
    let row = pins::read_for_change(bare, (prefix, &cid), op).await?;
    let (old, trail) = row.context("a pin is not there")?;
    ensure!(
        old == pin.version.cast_signed(),
        "somebody else has written"
    );
    pins::announce(bare, &cid).await?;
    let (new, body) = (old + 1, pin.pin.to_proto());
    let values = (new, op, None::<i64>, body, trail, prefix, &cid, old);
    let answer = bare.send("pin_put", values).await?;
    let answer = answer.first_row::<AnyRow>()?;
    let applied = answer.columns.first().and_then(Option::as_ref);
    let applied = applied.and_then(CqlValue::as_boolean);
    ensure!(applied == Some(true), "the only writer was refused");
    pin.version = new.cast_unsigned();
    Ok(())
}
