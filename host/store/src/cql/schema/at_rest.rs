//! Whether tables are encrypted on disk.
//!
//! ScyllaDB encrypts a table's files if the table says so (`scylla_encryption_options`), which
//! stands among the table's extensions in `system_schema.tables`. Cassandra has nothing of the
//! kind: there it is for the disks and their file systems.

use super::door::Door;
use super::flavour::Flavour;
use super::script::encryption;
use super::wanted::AtRest;
use super::{CqlSettings, SchemaError};
use std::collections::BTreeMap;

/// The extension by which a table says that it is encrypted.
const EXTENSION: &str = "scylla_encryption_options";

/// A table, and its extensions as the server keeps them.
type Extended = (String, Option<BTreeMap<String, Vec<u8>>>);

/// Refuses what can never be, before anything is made.
pub(super) fn can_be(settings: &CqlSettings, flavour: Flavour) -> Result<(), SchemaError> {
    match (&settings.schema.at_rest, flavour) {
        (AtRest::Required(_), Flavour::Cassandra) => Err(SchemaError::AtRest {
            why: "Apache Cassandra has no encryption of its own; encrypt the nodes' disks (LUKS, \
                  or the cloud's volumes) and write `off`, or use ScyllaDB"
                .to_owned(),
        }),
        _ => Ok(()),
    }
}

/// Refuses tables that are not encrypted although they must be.
pub(super) async fn verify(door: &Door<'_>, settings: &CqlSettings) -> Result<(), SchemaError> {
    let AtRest::Required(with) = &settings.schema.at_rest else {
        return Ok(());
    };
    let tables = door.own::<Extended>(
        "read which tables are encrypted",
        "SELECT table_name, extensions FROM system_schema.tables WHERE keyspace_name = ?",
        (&settings.keyspace,),
    );
    match complaint(&settings.keyspace, with, &tables.await?) {
        Some(why) => Err(SchemaError::AtRest { why }),
        None => Ok(()),
    }
}

/// Names the tables that are not encrypted, and the mend.
fn complaint(
    keyspace: &str,
    with: &BTreeMap<String, String>,
    tables: &[Extended],
) -> Option<String> {
    let is_plain = |(name, extensions): &Extended| {
        // ScyllaDB keeps a table of its own beside each that has conditional writes.
        let is_ours = !name.contains('$');
        let says = extensions.as_ref().and_then(|all| all.get(EXTENSION));
        is_ours && says.is_none_or(Vec::is_empty)
    };
    let plain = tables.iter().filter(|table| is_plain(table));
    let plain: Vec<_> = plain.map(|(name, _)| name.as_str()).collect();
    let first = plain.first()?;
    Some(format!(
        "these tables of {keyspace} are not encrypted: {}; run `ALTER TABLE {keyspace}.{first} WITH \
         {}` and so on for each, and then `nodetool upgradesstables {keyspace}` on every node",
        plain.join(", "),
        encryption(with)
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table(name: &str, extension: Option<&[u8]>) -> Extended {
        let all = extension.map(|bytes| BTreeMap::from([(EXTENSION.to_owned(), bytes.to_vec())]));
        (name.to_owned(), all)
    }

    #[test]
    fn encrypted_tables_are_fine() {
        let tables = [
            table("pins", Some(b"\x01\0\0\0")),
            table("pins$paxos", None),
        ];
        assert_eq!(complaint("k", &BTreeMap::new(), &tables), None);
    }

    #[test]
    fn plain_tables_are_named_with_the_mend() {
        let none = BTreeMap::new();
        let with = BTreeMap::from([("cipher_algorithm".to_owned(), "AES".to_owned())]);
        let tables = [
            table("accounts", None),
            ("keys".to_owned(), Some(none)),
            table("pins", Some(b"\x01\0\0\0")),
        ];
        let told = complaint("k", &with, &tables).unwrap();
        assert!(
            told.starts_with("these tables of k are not encrypted: accounts, keys; "),
            "{told}"
        );
        let alter = "ALTER TABLE k.accounts WITH scylla_encryption_options = {'cipher_algorithm': \
                     'AES', 'key_provider': 'LocalFileSystemKeyProviderFactory'}";
        assert!(told.contains(alter), "{told}");
    }
}
