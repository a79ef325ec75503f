//! A pin put over the version that was seen. The store reads the row, writes the feed's entry ahead
//! of the change, and puts under a condition; so does the bare driver here.

use crate::bare::Bare;
use crate::pace::deed;
use crate::pins::{self, Key};
use crate::server::Bench;
use crate::table::Row;
use crate::{AT_ONCE_MAX, Plan};
use anyhow::{Context, Result, ensure};
use holdfast_store::Expect;
use scylla::value::{CqlValue, Row as AnyRow};
use std::collections::HashSet;
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
    let own: HashSet<_> = theirs.iter().map(|pin| pin.pin.cid.to_bytes()).collect();
    let keys = bench.runtime.block_on(pins::keys(&bench.bare))?;
    let keys = keys.into_iter().filter(|key| own.contains(&key.cid));
    let keys: Arc<[_]> = keys.map(Mutex::new).collect();
    let bare = Arc::clone(&bench.bare);
    let theirs = deed(move |who| {
        let (bare, keys) = (Arc::clone(&bare), Arc::clone(&keys));
        async move {
            let key = keys.get(who).context("no pin of its own")?;
            put_if(&bare, &mut *key.lock().await).await
        }
    });
    bench.compare("cql_put_if", plan, (&ours, &theirs))
}

async fn put_if(bare: &Bare, key: &mut Key) -> Result<()> {
    let row = pins::read(bare, key.prefix, &key.cid).await?;
    let (.., body) = row.context("a pin is not there")?;
    pins::announce(bare, &key.cid).await?;
    let (old, new) = (key.version, key.version + 1);
    let op = Uuid::now_v7();
    let values = (new, op, None::<i64>, body, key.prefix, &key.cid, old);
    let answer = bare.send("pin_put", values).await?;
    let answer = answer.first_row::<AnyRow>()?;
    let applied = answer.columns.first().and_then(Option::as_ref);
    let applied = applied.and_then(CqlValue::as_boolean);
    ensure!(applied == Some(true), "the only writer was refused");
    key.version = new;
    Ok(())
}
