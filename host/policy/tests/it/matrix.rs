//! `policies/matrix.txt`: who may do what to whose, as a table that a review can read.
//!
//! `UPDATE_GOLDEN=1 cargo test -p holdfast-policy matrix` writes it anew.

use crate::people::policies_dir;
use holdfast_policy::Gate;

#[test]
fn the_matrix_is_as_it_was_agreed() {
    let path = policies_dir().join("matrix.txt");
    let table = Gate::open(None).unwrap().matrix().unwrap();
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        std::fs::write(&path, &table).unwrap();
    }
    let golden = std::fs::read_to_string(&path).unwrap_or_default();
    assert_eq!(
        golden, table,
        "the policies allow something else than policies/matrix.txt says; if that is meant, write it \
         anew with UPDATE_GOLDEN=1"
    );
}
