//! The same commands where the configuration names a Cassandra cluster.

use super::{Desk, Ran, audited, line, lines, pin, ran, sorted};
use crate::support::cluster::{fresh, variables};
use holdfast_store::{CqlSettings, Store};
use serde_json::{Value, json};

const PINS: u64 = 2_500;

/// A folder whose configuration names a keyspace of its own.
struct Place {
    desk: Desk,
    settings: CqlSettings,
}

impl Place {
    async fn new() -> Self {
        Self {
            desk: Desk::new(),
            settings: fresh().await,
        }
    }

    fn state(&self, arguments: &[&str]) -> Ran {
        let mut command = self.desk.command(arguments);
        ran(command.envs(variables(&self.settings)))
    }

    fn told(&self, arguments: &[&str], code: i32) -> Value {
        serde_json::from_str(&self.state(arguments).with(code)).unwrap()
    }

    /// What the chain has of it, verb by verb.
    async fn audited(&self) -> Vec<String> {
        let store = Store::cql(self.settings.clone()).await.unwrap();
        let entries = audited(store).await;
        let note = |entry: &Value| entry["note"].as_str().unwrap_or_default().to_owned();
        entries.iter().map(note).collect()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn pins_go_into_cassandra_and_come_out() {
    let place = Place::new().await;
    place.desk.write("pins.json", lines(0..PINS) + "bad\n");
    let counts = place.told(&["import", "pins.json", "--json"], 1);
    let told = ["imported", "kept", "rejected"].map(|key| counts[key].as_u64().unwrap());
    assert_eq!(told, [PINS, 0, 1]);
    place.desk.write("again.json", lines(0..PINS + 1));
    let counts = place.told(&["import", "again.json", "--keep", "--json"], 0);
    let told = ["imported", "kept", "rejected"].map(|key| counts[key].as_u64().unwrap());
    assert_eq!(told, [1, PINS, 0]);

    place.state(&["export", "out.json"]).with(0);
    let (out, expected) = (place.desk.read("out.json"), lines(0..PINS + 1));
    assert_eq!(sorted(&out), sorted(&expected));
    place
        .state(&["export", "--format", "snapshot", "out.snapshot"])
        .with(0);
    let said = place.state(&["check", "--against", "out.snapshot"]).with(0);
    assert!(said.contains("have the same 2,501 pins"), "{said}");
    let said = place.state(&["check"]).with(0);
    assert!(said.contains("agrees with itself"), "{said}");

    let mut renamed = pin(7);
    renamed.options.name = "another".to_owned();
    let other = lines(0..7) + &line(&renamed) + &lines(8..PINS) + &lines(5_000..5_001);
    place.desk.write("other.json", other);
    let report = place.told(&["check", "--against", "other.json", "--json"], 1);
    let keys = ["only_first", "only_second", "different"];
    assert_eq!(keys.map(|key| report[key].as_u64().unwrap()), [1, 1, 1]);

    let audited = place.audited().await;
    let imports = audited.iter().filter(|note| note.contains("state import"));
    // Each is told of before and after.
    assert_eq!(imports.count(), 4, "{audited:?}");
}

/// What the cluster unpins between two runs goes here too, but nothing of anybody else's.
#[tokio::test(flavor = "multi_thread")]
async fn a_cluster_moves_into_cassandra() {
    let place = Place::new().await;
    let migrate = ["migrate", "--from", "theirs.json", "--pause", "0", "--json"];
    place.desk.write("ours.json", lines(5_000..5_001));
    place.state(&["import", "ours.json"]).with(0);

    place.desk.write("theirs.json", lines(0..PINS));
    let dry = place.told(&[&migrate[..], &["--dry-run"]].concat(), 0);
    assert_eq!(dry["pins"], json!([PINS, 1]));
    let report = place.told(&migrate, 1);
    assert_eq!(report["pins"], json!([PINS, PINS + 1]));
    assert_eq!(
        (&report["only_first"], &report["different"]),
        (&json!(0), &json!(0))
    );

    place.desk.write("theirs.json", lines(100..PINS + 10));
    let report = place.told(&migrate, 1);
    assert_eq!(report["pins"], json!([PINS - 90, PINS - 89]));
    assert_eq!(report["differences"][0]["cid"], pin(5_000).cid.to_string());
    let audited = place.audited().await;
    let migrations = audited.iter().filter(|note| note.contains("state migrate"));
    assert_eq!(migrations.count(), 4, "{audited:?}");
}
