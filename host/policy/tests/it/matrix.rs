//! `policies/matrix.txt`: who may do what to whose, as a table that a review can read.
//!
//! `UPDATE_GOLDEN=1 cargo test -p holdfast-policy matrix` writes it anew.

use crate::people::{holder, policies_dir, thing};
use holdfast_model::action::Resource;
use holdfast_model::{Action, Principal, Role};
use holdfast_policy::{Context, Gate, system_principal};
use std::fmt::Write;

const HEAD: &str = "\
Who may do what, to whose. Written by a test from the policies beside it
(UPDATE_GOLDEN=1 cargo test -p holdfast-policy matrix). Everybody is of account acme/web.

  yes     allowed
  no      denied, answered 403
  hidden  denied, answered 404: the caller may not know that it exists
";

fn everybody() -> Vec<(&'static str, Principal)> {
    let outside = Role::ALL.into_iter().filter(|role| *role != Role::System);
    let mut all: Vec<_> = outside
        .map(|role| (role.as_str(), holder("acme/web", [role])))
        .collect();
    let first = [Role::Operator, Role::TenantAdmin, Role::TenantUser];
    all.push(("first-admin", holder("acme/web", first)));
    all.push(("worker", Principal::clone(&system_principal("kubo"))));
    all.push(("no-role", holder("acme/web", [])));
    all
}

fn table() -> String {
    let gate = Gate::open(None).unwrap();
    let everybody = everybody();
    let mut text = String::from(HEAD);
    let parts = [
        ("own account", "acme/web"),
        ("another account of the same tenant", "acme/app"),
        ("another tenant", "umbra/web"),
    ];
    let host = |action: &Action| thing(*action, "acme/web") == Resource::Host;
    for (title, of) in parts {
        part(&mut text, &gate, &everybody, title, of, &|action| {
            !host(action)
        });
    }
    part(&mut text, &gate, &everybody, "the host", "acme/web", &host);
    text
}

fn part(
    text: &mut String,
    gate: &Gate,
    everybody: &[(&str, Principal)],
    title: &str,
    of: &str,
    wanted: &dyn Fn(&Action) -> bool,
) {
    write!(text, "\n{title:<36}").unwrap();
    for (name, _) in everybody {
        write!(text, "{name:<14}").unwrap();
    }
    text.push('\n');
    for action in Action::ALL.iter().filter(|action| wanted(action)) {
        write!(text, "  {:<34}", action.as_str()).unwrap();
        for (_, principal) in everybody {
            let context = Context::default();
            let word = match gate.decide(principal, *action, &thing(*action, of), &context) {
                Ok(_) => "yes",
                Err(denial) if denial.hidden => "hidden",
                Err(_) => "no",
            };
            write!(text, "{word:<14}").unwrap();
        }
        text.push('\n');
    }
    let trimmed: Vec<&str> = text.lines().map(str::trim_end).collect();
    *text = trimmed.join("\n") + "\n";
}

#[test]
fn the_matrix_is_as_it_was_agreed() {
    let path = policies_dir().join("matrix.txt");
    let table = table();
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
