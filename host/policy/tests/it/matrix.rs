//! `policies/matrix.txt`: who may do what to whose, as a table that a review can read.
//!
//! `UPDATE_GOLDEN=1 cargo test -p holdfast-policy matrix` writes it anew.

use crate::people::policies_dir;
use holdfast_model::Action;
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

/// The speed table has Open Policy Agent decide by the same rules. An action that they do not know
/// would be denied there for nothing, and the comparison would be of two different things.
#[test]
fn the_rules_in_rego_know_every_action() {
    let path = policies_dir().join("../benches/opa/holdfast.rego");
    let rules = std::fs::read_to_string(&path).unwrap();
    let unknown: Vec<_> = Action::ALL
        .iter()
        .filter(|action| !rules.contains(&format!("\"{action}\"")))
        .collect();
    assert!(unknown.is_empty(), "write them into {path:?}: {unknown:?}");
}
