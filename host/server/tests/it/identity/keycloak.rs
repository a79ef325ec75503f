//! Tokens of a real Keycloak, with what its defaults get wrong.

use crate::support::keycloak::Keycloak;
use holdfast::clock::Clock;
use holdfast::identity::jwt::{
    Algorithm, ClaimMap, Issuer, Issuers, Keys, Remote, Source, TokenError, Verdict,
};
use holdfast::identity::{Web, install_crypto};
use holdfast_model::{Principal, Role, TenantId, UnixMillis};
use serde_json::Value;
use std::sync::Arc;

fn issuers(keycloak: &Keycloak) -> Issuers {
    install_crypto();
    let issuer = keycloak.issuer();
    let source = Source::Discovery {
        issuer: issuer.clone(),
    };
    Issuers::new(vec![Issuer {
        issuer,
        audience: vec!["https://pins.example".to_owned()],
        algorithms: vec![Algorithm::RS256, Algorithm::ES256],
        leeway_seconds: 30,
        keys: Keys::Remote(Arc::new(Remote::new(source, Web::new(None).unwrap()))),
        map: ClaimMap {
            tenant: Some(TenantId::parse("acme").unwrap()),
            account_claim: Some("/preferred_username".to_owned()),
            roles_claims: vec!["/realm_access/roles".to_owned()],
            roles: [
                ("pin-user".to_owned(), Role::TenantUser),
                ("pin-admin".to_owned(), Role::TenantAdmin),
            ]
            .into(),
            ..ClaimMap::default()
        },
    }])
}

async fn of_client(keycloak: &Keycloak, client: &str) -> String {
    let secret = format!("{client}-secret");
    let form = [
        ("grant_type", "client_credentials"),
        ("client_id", client),
        ("client_secret", &secret),
    ];
    let tokens = keycloak.tokens("pins", &form).await;
    tokens["access_token"].as_str().unwrap().to_owned()
}

async fn of_user(keycloak: &Keycloak, user: &str) -> Value {
    let password = format!("{user}-password");
    let form = [
        ("grant_type", "password"),
        ("client_id", "cli"),
        ("username", user),
        ("password", &password),
        ("scope", "openid"),
    ];
    keycloak.tokens("pins", &form).await
}

async fn judge(issuers: &Issuers, token: &str, now: UnixMillis) -> Result<Principal, TokenError> {
    match issuers.verify_fetching(token, now).await? {
        Verdict::Good(principal, _) => Ok(principal),
        Verdict::NoKeys(_) => panic!("Keycloak's keys were not fetched"),
    }
}

#[tokio::test]
async fn clients_and_users_of_a_realm_are_let_in_with_their_roles() {
    let keycloak = Keycloak::shared().await;
    let issuers = issuers(keycloak);
    let now = Clock::System.now();
    // ES256 and the `typ` of RFC 9068, which Keycloak can be told to use. It makes the key when it
    // first needs it, so this comes before its keys are fetched.
    let modern = of_client(keycloak, "modern").await;
    judge(&issuers, &modern, now).await.unwrap();
    let service = judge(&issuers, &of_client(keycloak, "pin-api").await, now)
        .await
        .unwrap();
    assert_eq!(service.account.as_str(), "acme/service-account-pin-api");
    assert_eq!(service.roles.iter().collect::<Vec<_>>(), [Role::TenantUser]);
    for (user, roles) in [
        ("alice", vec![Role::TenantUser]),
        ("bob", vec![Role::TenantUser, Role::TenantAdmin]),
        ("carol", vec![]),
    ] {
        let tokens = of_user(keycloak, user).await;
        let token = tokens["access_token"].as_str().unwrap();
        let principal = judge(&issuers, token, now).await.unwrap();
        assert_eq!(principal.account.as_str(), format!("acme/{user}"));
        assert_eq!(principal.roles.iter().collect::<Vec<_>>(), roles, "{user}");
    }
}

#[tokio::test]
async fn tokens_for_others_are_refused_with_the_mend() {
    let keycloak = Keycloak::shared().await;
    let issuers = issuers(keycloak);
    let now = Clock::System.now();
    let tokens = of_user(keycloak, "alice").await;
    let token = |kind: &str| tokens[kind].as_str().unwrap().to_owned();
    // An ID token names the client as its audience; here it is refused for either reason.
    let refused = judge(&issuers, &token("id_token"), now).await.unwrap_err();
    assert!(
        matches!(refused, TokenError::Kind | TokenError::Audience { .. }),
        "{refused}"
    );
    // Refresh tokens are signed with a secret of Keycloak's own.
    let refused = judge(&issuers, &token("refresh_token"), now)
        .await
        .unwrap_err();
    assert_eq!(refused, TokenError::Algorithm);
    // What a client gets that was made by hand and nobody gave an audience.
    let plain = of_client(keycloak, "plain").await;
    let said = judge(&issuers, &plain, now).await.unwrap_err().to_string();
    assert!(
        said.contains("Audience mapper") && said.contains("https://pins.example"),
        "{said}"
    );
    // Half an hour and the leeway later.
    let late = now.plus_millis(3_631_000);
    let refused = judge(&issuers, &token("access_token"), late)
        .await
        .unwrap_err();
    assert_eq!(refused, TokenError::Expired);
}

#[tokio::test]
async fn a_realms_keys_may_be_rotated() {
    let keycloak = Keycloak::shared().await;
    let issuers = issuers(keycloak);
    let now = Clock::System.now();
    let before = of_client(keycloak, "pin-api").await;
    judge(&issuers, &before, now).await.unwrap();
    let certs = "/realms/pins/protocol/openid-connect/certs";
    let (_, keys) = keycloak.try_call("GET", certs, "", None).await.unwrap();
    let uses: Vec<_> = keys["keys"]
        .as_array()
        .unwrap()
        .iter()
        .map(|key| &key["use"])
        .collect();
    assert!(uses.iter().any(|use_| *use_ == "enc"), "{uses:?}");
    let (_, realm) = keycloak.administer("GET", "/admin/realms/pins", "").await;
    let key = serde_json::json!({
        "name": "newer", "providerId": "rsa-generated",
        "providerType": "org.keycloak.keys.KeyProvider", "parentId": realm["id"],
        "config": { "priority": ["200"], "enabled": ["true"], "active": ["true"] },
    });
    let path = "/admin/realms/pins/components";
    let (status, said) = keycloak.administer("POST", path, &key.to_string()).await;
    assert_eq!(status, 201, "{said}");
    let after = of_client(keycloak, "pin-api").await;
    let kid = |token: &str| jsonwebtoken::decode_header(token).unwrap().kid.unwrap();
    assert_ne!(kid(&before), kid(&after));
    // Asked for at once it would be a lever; half a minute later it is fetched.
    let later = now.plus_millis(30_000);
    judge(&issuers, &after, later).await.unwrap();
    judge(&issuers, &before, later).await.unwrap();
}
