//! Every route, by every role, about another tenant's things: `schema/routes-across-tenants.txt`.

use super::documents::must_be;
use super::{path, table};
use crate::support::host::Host;
use holdfast_model::Role;
use std::fmt::Write;

const HEAD: &str = "\
What every route answers to every role of another tenant, about things of account acme/web. Written
by a test (UPDATE_GOLDEN=1 cargo test -p holdfast --test it across). Where a call can only be about
the caller's own account, it says what it answers about that.

";

#[tokio::test]
async fn every_route_answers_every_role_of_another_tenant_as_agreed() {
    let host = Host::start().await;
    let outside = Role::ALL.into_iter().filter(|role| *role != Role::System);
    let roles: Vec<Role> = outside.collect();
    let mut keys = Vec::new();
    for role in &roles {
        keys.push(host.key("rival/web", &[*role]).await);
    }
    let mut text = String::from(HEAD);
    write!(text, "{:<44}", "").unwrap();
    for role in &roles {
        write!(text, "{:<14}", role.as_str()).unwrap();
    }
    text.push('\n');
    for row in table() {
        let name = format!("{} {}", row.method, row.route);
        write!(text, "{name:<44}").unwrap();
        for key in &keys {
            // Made anew for each, for some of them change it.
            let path = path(&host, &row).await;
            let answer = host
                .call(row.method, &path, Some(key), row.body.clone())
                .await;
            let status = answer.status.as_u16();
            assert!(status < 500 || row.route == "/v1/quote", "{name}: {status}");
            write!(text, "{status:<14}").unwrap();
        }
        text.push('\n');
    }
    let lines: Vec<&str> = text.lines().map(str::trim_end).collect();
    must_be("routes-across-tenants.txt", &(lines.join("\n") + "\n"));
}
