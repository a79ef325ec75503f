//! What tenants say for themselves: policies of their own, and grants.

use crate::people::{account, holder, thing};
use crate::refusal::copy;
use holdfast_model::action::Resource;
use holdfast_model::{Action, Principal, Role, TenantId, UnixMillis};
use holdfast_policy::{Context, Gate, GateSettings, Grant, Seal, TenantSet};
use std::fs;
use std::path::Path;
use std::sync::Arc;

fn gate(dir: Option<&Path>) -> Gate {
    let dir = dir.map(Into::into);
    Gate::open_with(GateSettings {
        dir,
        asks_tenants: true,
        ..GateSettings::default()
    })
    .unwrap()
}

fn set(policies: &str, grants: Vec<Grant>) -> Arc<TenantSet> {
    let acme = TenantId::parse("acme").unwrap();
    Arc::new(TenantSet::new(acme, policies.into(), grants))
}

fn grant(template: &str, principal: &Principal, on: &str) -> Grant {
    Grant {
        id: "g1".into(),
        template: template.into(),
        principal: principal.id.as_str().into(),
        on: on.into(),
        by: "key:admin".into(),
        created: UnixMillis::EPOCH,
    }
}

fn may(
    gate: &Gate,
    own: Option<&Arc<TenantSet>>,
    caller: &Principal,
    action: Action,
    on: &Resource,
) -> Result<Vec<String>, Vec<String>> {
    let context = Context {
        own: own.cloned(),
        ..Context::default()
    };
    match gate.decide(caller, action, on, &context) {
        Ok(decision) => Ok(decision.determined_by.to_vec()),
        Err(denial) => Err(denial.messages),
    }
}

const NO_READING: &str = r#"@id("closed") @deny_message("not today") @remediation("come tomorrow")
forbid (principal, action == Action::"listRequests", resource) unless { principal in Role::"tenant-admin" };"#;

#[test]
fn a_tenants_policies_hold_among_its_own_and_nowhere_else() {
    let gate = gate(None);
    let closed = set(NO_READING, Vec::new());
    gate.check_own(&closed).unwrap();
    let user = holder("acme/web", [Role::TenantUser]);
    let list = Action::ListRequests;
    let on = thing(list, "acme/web");
    let silent = set("", Vec::new());
    assert!(may(&gate, Some(&silent), &user, list, &on).is_ok());
    let told = may(&gate, Some(&closed), &user, list, &on).unwrap_err();
    assert_eq!(told, ["not today", "come tomorrow"]);
    let admin = holder("acme/web", [Role::TenantAdmin]);
    assert!(may(&gate, Some(&closed), &admin, list, &on).is_ok());
    // The set is of acme; somebody of umbra who comes with it is not believed.
    let other = holder("umbra/web", [Role::TenantUser]);
    assert!(
        may(
            &gate,
            Some(&closed),
            &other,
            list,
            &thing(list, "umbra/web")
        )
        .is_err()
    );
    // An operator of another tenant is bound by the platform's policies alone.
    let operator = holder("umbra/web", [Role::Operator]);
    let read = Action::ReadUsage;
    let shut = set(
        "@id(\"a\") forbid (principal, action, resource);",
        Vec::new(),
    );
    let acme = thing(read, "acme/web");
    let own = Arc::new(TenantSet::new(
        TenantId::parse("umbra").unwrap(),
        String::new(),
        Vec::new(),
    ));
    assert!(may(&gate, Some(&own), &operator, read, &acme).is_ok());
    assert!(may(&gate, Some(&shut), &admin, read, &acme).is_err());
    // And nobody locks themselves out of mending it.
    let tenant = thing(Action::WritePolicies, "acme/web");
    assert!(may(&gate, Some(&shut), &admin, Action::WritePolicies, &tenant).is_ok());
}

#[test]
fn a_tenant_gives_what_is_its_to_give() {
    let gate = gate(None);
    let own = set(
        "@id(\"all-read\") permit (principal in Tenant::\"acme\", action == Action::\"readUsage\", resource in Account::\"acme/web\");",
        Vec::new(),
    );
    gate.check_own(&own).unwrap();
    let node = holder("acme/app", [Role::ClusterNode]);
    let usage = thing(Action::ReadUsage, "acme/web");
    assert!(
        may(
            &gate,
            Some(&set("", Vec::new())),
            &node,
            Action::ReadUsage,
            &usage
        )
        .is_err()
    );
    let by = may(&gate, Some(&own), &node, Action::ReadUsage, &usage).unwrap();
    assert_eq!(by, ["acme:all-read"]);
    let context = Context {
        own: Some(Arc::clone(&own)),
        ..Context::default()
    };
    let decision = gate
        .decide(&node, Action::ReadUsage, &usage, &context)
        .unwrap();
    let revision = decision.revision.0.to_string();
    assert_eq!(
        revision,
        format!("{}+{}", gate.revision().0, own.revision().0)
    );
    let app = thing(Action::ReadUsage, "acme/app");
    assert!(may(&gate, Some(&own), &node, Action::ReadUsage, &app).is_err());
}

#[test]
fn what_a_tenant_may_not_say_is_refused_where_it_stands() {
    let gate = gate(None);
    let check = |text: &str, expected: &str| {
        let refused = gate
            .check_own(&set(text, Vec::new()))
            .unwrap_err()
            .to_string();
        assert!(
            refused.contains(expected),
            "{expected:?} is not in:\n{refused}"
        );
    };
    check(
        "@id(\"a\")\npermit (principal, action == Action::\"writeTenant\", resource);",
        "policies:1:1: writeTenant is not a tenant's to permit",
    );
    check(
        "@id(\"a\") permit (principal, action, resource);",
        "is not a tenant's to permit; name actions of Action::\"delegable\"",
    );
    check(
        "@id(\"a\") forbid (principal, action, resource in Tenant::\"umbra\");",
        "policies:1:1: Tenant::\"umbra\" is not this tenant's; speak of Tenant::\"acme\"",
    );
    check(
        "@id(\"a\") forbid (principal in Account::\"umbra/web\", action, resource);",
        "Account::\"umbra/web\" is not this tenant's",
    );
    check(
        "@id(\"a\") permit (principal == ?principal, action == Action::\"readUsage\", resource);",
        "a template, which only the platform's",
    );
    check("permit (principal", "policies:1:");
    check(
        "@id(\"a\") forbid (principal, action, resource) when { principal.prof == 1 };",
        "policies:1:",
    );
    check(
        "@id(\"a\") forbid (principal, action == Action::\"readUsage\", resource is Host);",
        "policies:1:",
    );
    let many: Vec<String> = (0..257)
        .map(|n| format!("@id(\"p{n}\") forbid (principal, action, resource);"))
        .collect();
    check(&many.join("\n"), "257 policies, 256 at most");
}

#[test]
fn a_grant_is_for_one_person_and_one_thing() {
    let gate = gate(None);
    let friend = holder("acme/app", []);
    let own = set("", vec![grant("reader", &friend, "acme/web")]);
    gate.check_own(&own).unwrap();
    let read = Action::ReadRequest;
    let by = may(&gate, Some(&own), &friend, read, &thing(read, "acme/web")).unwrap();
    assert_eq!(by, ["grant:g1"]);
    let delete = Action::DeleteRequest;
    assert!(
        may(
            &gate,
            Some(&own),
            &friend,
            delete,
            &thing(delete, "acme/web")
        )
        .is_err()
    );
    assert!(may(&gate, Some(&own), &friend, read, &thing(read, "acme/app")).is_err());
    let else_one = Principal {
        id: holdfast_model::PrincipalId::of_worker("other"),
        ..friend.clone()
    };
    assert!(may(&gate, Some(&own), &else_one, read, &thing(read, "acme/web")).is_err());
    let acme = account("acme/web").tenant().clone();
    let refused = |grant: Grant| gate.check_grant(&acme, &grant).unwrap_err();
    let foreign = refused(grant("reader", &friend, "umbra/web"));
    assert!(foreign.contains("write acme or acme/ACCOUNT"), "{foreign}");
    let unknown = refused(grant("owner", &friend, "acme"));
    assert!(
        unknown.contains("bookkeeper, key-keeper, pinner, reader"),
        "{unknown}"
    );
    // A name is data: what looks like Cedar in it stays a name.
    let sly = Principal {
        id: holdfast_model::PrincipalId::of_worker("\" || true || \""),
        ..friend
    };
    let own = set("", vec![grant("pinner", &sly, "acme")]);
    assert!(may(&gate, Some(&own), &sly, delete, &thing(delete, "acme/web")).is_ok());
    assert!(
        may(
            &gate,
            Some(&own),
            &else_one,
            delete,
            &thing(delete, "acme/web")
        )
        .is_err()
    );
}

#[test]
fn names_in_any_script_are_names() {
    let gate = gate(None);
    let snow = Principal {
        id: holdfast_model::PrincipalId::of_token("https://ид.example", "雪\u{202e}\"\\☃"),
        ..holder("acme/app", [])
    };
    let text =
        "@id(\"закрыто ☃\") forbid (principal, action == Action::\"listRequests\", resource);";
    let own = set(text, vec![grant("pinner", &snow, "acme/web")]);
    gate.check_own(&own).unwrap();
    let create = Action::CreateRequest;
    assert!(may(&gate, Some(&own), &snow, create, &thing(create, "acme/web")).is_ok());
    let list = Action::ListRequests;
    let context = Context {
        own: Some(Arc::clone(&own)),
        ..Context::default()
    };
    let denied = gate
        .decide(&snow, list, &thing(list, "acme/web"), &context)
        .unwrap_err();
    assert_eq!(
        &*denied.decision.determined_by,
        ["acme:закрыто ☃".to_owned()]
    );
}

#[test]
fn without_the_tenants_set_nothing_of_the_tenant_is_allowed() {
    let gate = gate(None);
    let admin = holder("acme/web", [Role::TenantAdmin, Role::Operator]);
    let list = Action::ListRequests;
    let told = may(&gate, None, &admin, list, &thing(list, "acme/web")).unwrap_err();
    assert!(told[0].contains("could not be evaluated"), "{told:?}");
    // What is no tenant's needs none.
    let plugins = Action::ListPlugins;
    assert!(may(&gate, None, &admin, plugins, &Resource::Host).is_ok());
}

#[test]
fn a_set_that_does_not_fit_the_platforms_new_policies_denies() {
    let dir = copy();
    let schema = dir.path().join("schema.cedarschema");
    let text = fs::read_to_string(&schema).unwrap();
    fs::write(&schema, format!("{text}action mine;\n")).unwrap();
    let gate = gate(Some(dir.path()));
    let friend = holder("acme/app", []);
    let mine = "@id(\"mine\") forbid (principal, action in [Action::\"mine\", Action::\"readUsage\"], resource);";
    let own = set(mine, vec![grant("pinner", &friend, "acme")]);
    gate.check_own(&own).unwrap();
    let delete = Action::DeleteRequest;
    let web = thing(delete, "acme/web");
    assert!(may(&gate, Some(&own), &friend, delete, &web).is_ok());
    // Without its template a grant gives nothing, and the rest holds.
    fs::remove_file(dir.path().join("grants.cedar")).unwrap();
    gate.reload().unwrap();
    assert!(may(&gate, Some(&own), &friend, delete, &web).is_err());
    let admin = holder("acme/web", [Role::TenantAdmin]);
    assert!(may(&gate, Some(&own), &admin, delete, &web).is_ok());
    // A schema under which the tenant's text says nothing any more.
    fs::write(&schema, text).unwrap();
    gate.reload().unwrap();
    assert!(may(&gate, Some(&own), &admin, delete, &web).is_err());
    let tenant = thing(Action::WritePolicies, "acme/web");
    assert!(may(&gate, Some(&own), &admin, Action::WritePolicies, &tenant).is_ok());
}

#[test]
fn a_folder_that_is_not_sealed_as_it_must_be_is_refused() {
    let dir = copy();
    let digest = Gate::digest(dir.path()).unwrap();
    let seal = move || {
        Seal::new(move |signature, found| match signature {
            Some("good") if *found == digest => Ok(()),
            Some(_) => Err("is not over these policies".into()),
            None => Err("is missing".into()),
        })
    };
    let open = || {
        Gate::open_with(GateSettings {
            dir: Some(dir.path().into()),
            seal: Some(seal()),
            ..GateSettings::default()
        })
    };
    let missing = open().unwrap_err().to_string();
    assert!(
        missing.starts_with("policies.sig: the signature is missing"),
        "{missing}"
    );
    fs::write(dir.path().join("policies.sig"), "good").unwrap();
    let gate = open().unwrap();
    let first = gate.revision();
    let more = "@id(\"more\") forbid (principal, action == Action::\"readAudit\", resource);";
    fs::write(dir.path().join("more.cedar"), more).unwrap();
    let changed = gate.reload().unwrap_err().to_string();
    assert!(
        changed.contains("policies.sig: the signature is not over"),
        "{changed}"
    );
    assert_eq!(gate.revision(), first);
}
