//! A pin put over the version that was seen. The store reads the row, writes the feed's entry ahead
//! of the change, and puts under a condition; so does the bare driver here.

use crate::bare::Bare;
use crate::pace::deed;
use crate::pins::{self, Key};
use crate::server::Bench;
use crate::table::Row;
use crate::{AT_ONCE, Plan};
use holdfast_store::Expect;
use scylla::value::{CqlValue, Row as AnyRow};
use std::collections::HashSet;
use std::sync::Arc;
use tokio::sync::Mutex;
use uuid::Uuid;

pub(crate) fn rows(plan: &Plan) -> Vec<Row> {
    let bench = Bench::start();
    let most = AT_ONCE.into_iter().max().unwrap();
    let put = pins::put(&bench.store, 2 * most as u64);
    let put = bench.runtime.block_on(put);
    let (ours, theirs) = put.split_at(most);

    let store = bench.store.clone();
    let own: Arc<[_]> = ours.iter().cloned().map(Mutex::new).collect();
    let ours = deed(move |who| {
        let (store, own) = (store.clone(), Arc::clone(&own));
        async move {
            let mut pin = own[who].lock().await;
            let expect = Expect::Version(pin.version);
            *pin = store.put_pin(pin.pin.clone(), expect).await.unwrap();
        }
    });
    let own: HashSet<_> = theirs.iter().map(|pin| pin.pin.cid.to_bytes()).collect();
    let keys = bench.runtime.block_on(pins::keys(&bench.bare));
    let keys = keys.into_iter().filter(|key| own.contains(&key.cid));
    let keys: Arc<[_]> = keys.map(Mutex::new).collect();
    let bare = Arc::clone(&bench.bare);
    let theirs = deed(move |who| {
        let (bare, keys) = (Arc::clone(&bare), Arc::clone(&keys));
        async move { put_if(&bare, &mut *keys[who].lock().await).await }
    });
    bench.compare("cql_put_if", plan, (&ours, &theirs))
}

async fn put_if(bare: &Bare, key: &mut Key) {
    let (.., body) = pins::read(bare, key.prefix, &key.cid).await.unwrap();
    pins::announce(bare, &key.cid).await;
    let (old, new) = (key.version, key.version + 1);
    let op = Uuid::now_v7();
    let values = (new, op, None::<i64>, body, key.prefix, &key.cid, old);
    let answer = bare.send("pin_put", values).await;
    let answer = answer.first_row::<AnyRow>().unwrap();
    let applied = answer.columns[0].as_ref().and_then(CqlValue::as_boolean);
    assert_eq!(applied, Some(true), "the only writer was refused");
    key.version = new;
}
