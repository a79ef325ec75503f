//! Tenants and keys, and the life of the store itself.

use super::sample::{account, at, cid, full_draft, key, pairs, peer, placement, request_id};
use super::{Backend, Outcome, refusal};
use crate::Expect;
use holdfast_model::{
    AccountId, ApiKey, ErrorKind, KeyId, Pin, PrincipalId, RequestFilter, Revocation, Scopes,
    Tenant, TenantId,
};

/// All of it comes back, by either way.
pub async fn a_key_is_found_by_hash_and_id(backend: impl Backend) -> Outcome {
    let store = backend.store();
    store.add_key(key(1)?).await?;
    store.add_key(key(2)?).await?;
    assert_eq!(store.key_by_hash(&[1; 32]).await?, Some(key(1)?));
    assert_eq!(store.key(&key(2)?.id).await?, Some(key(2)?));
    assert_eq!(store.key_by_hash(&[3; 32]).await?, None);
    assert_eq!(store.key(&KeyId::parse("nothere")?).await?, None);
    // Letters in another case make another key.
    let in_capitals = ApiKey {
        id: KeyId::parse(&key(1)?.id.as_str().to_uppercase())?,
        ..key(3)?
    };
    assert_ne!(in_capitals.id, key(1)?.id);
    assert_eq!(store.key(&in_capitals.id).await?, None);
    store.add_key(in_capitals.clone()).await?;
    assert_eq!(store.key(&in_capitals.id).await?, Some(in_capitals));
    assert_eq!(store.key(&key(1)?.id).await?, Some(key(1)?));
    Ok(())
}

/// A key's tenant is there afterwards; one that was there stays as it was.
pub async fn a_key_brings_its_tenant(backend: impl Backend) -> Outcome {
    let store = backend.store();
    let id = TenantId::parse("acme")?;
    assert_eq!(store.tenant(&id).await?, None);
    store.add_key(key(1)?).await?;
    let made = store.tenant(&id).await?.ok_or("the tenant is missing")?;
    assert_eq!((made.created, made.attributes.len()), (key(1)?.created, 0));
    let told = Tenant {
        attributes: pairs(&[("plan", "big")]),
        ..made
    };
    store.put_tenant(told.clone()).await?;
    store.add_key(key(2)?).await?;
    assert_eq!(store.tenant(&id).await?, Some(told));
    Ok(())
}

/// A second key with the same id or the same hash is refused and changes nothing.
pub async fn ids_and_hashes_are_taken_once(backend: impl Backend) -> Outcome {
    let store = backend.store();
    store.add_key(key(1)?).await?;
    let elsewhere = AccountId::parse("other/web")?;
    let same_id = ApiKey {
        id: key(1)?.id,
        account: elsewhere.clone(),
        ..key(2)?
    };
    let same_hash = ApiKey {
        hash: [1; 32],
        account: elsewhere,
        ..key(2)?
    };
    for taken in [same_id, same_hash] {
        let answer = store.add_key(taken).await;
        assert_eq!(refusal(answer), Some(ErrorKind::Conflict));
    }
    assert_eq!(store.key(&key(1)?.id).await?, Some(key(1)?));
    assert_eq!(store.key(&key(2)?.id).await?, None);
    assert_eq!(store.tenant(&TenantId::parse("other")?).await?, None);
    Ok(())
}

/// Only while there is no other, revoked ones included.
pub async fn the_first_key_is_added_once(backend: impl Backend) -> Outcome {
    let store = backend.store();
    assert!(store.add_first_key(key(1)?).await?);
    assert!(!store.add_first_key(key(1)?).await?);
    assert!(!store.add_first_key(key(2)?).await?);
    store.revoke_key(&key(1)?.id, at(9)).await?;
    let backend = backend.reopen().await;
    assert!(!backend.store().add_first_key(key(3)?).await?);
    assert_eq!(backend.store().key(&key(3)?.id).await?, None);
    Ok(())
}

/// A tenant's own, of all its accounts, page by page.
pub async fn keys_of_a_tenant_by_id(backend: impl Backend) -> Outcome {
    let store = backend.store();
    for n in [5, 3, 1, 4, 2] {
        store.add_key(key(n)?).await?;
    }
    let other = ApiKey {
        account: AccountId::parse("acme-2/web")?,
        ..key(6)?
    };
    store.add_key(other).await?;
    let tenant = TenantId::parse("acme")?;
    let mut seen: Vec<KeyId> = Vec::new();
    loop {
        let page = store.keys(&tenant, seen.last(), 2).await?;
        if page.is_empty() {
            break;
        }
        seen.extend(page.into_iter().map(|k| k.id));
    }
    let expected: std::result::Result<Vec<_>, _> = (1..=5).map(|n| key(n).map(|k| k.id)).collect();
    assert_eq!(seen, expected?);
    Ok(())
}

/// The first revocation stands.
pub async fn revoking_is_final(backend: impl Backend) -> Outcome {
    let store = backend.store();
    let answer = store.revoke_key(&key(1)?.id, at(9)).await;
    assert_eq!(refusal(answer), Some(ErrorKind::NotFound));
    store.add_key(key(1)?).await?;
    let revoked = ApiKey {
        revoked: Some(Revocation { at: at(9) }),
        ..key(1)?
    };
    assert_eq!(store.revoke_key(&key(1)?.id, at(9)).await?, revoked);
    assert_eq!(store.revoke_key(&key(1)?.id, at(10)).await?, revoked);
    assert_eq!(store.key_by_hash(&[1; 32]).await?, Some(revoked));
    Ok(())
}

/// It ends no later than it would have, and a second successor is refused.
pub async fn a_retired_key_names_the_one_in_its_place(backend: impl Backend) -> Outcome {
    let store = backend.store();
    let (old, new) = (key(1)?, key(2)?);
    let answer = store.retire_key(&old.id, &new.id, at(9)).await;
    assert_eq!(refusal(answer), Some(ErrorKind::NotFound));
    let open_ended = ApiKey {
        expires: None,
        ..old.clone()
    };
    store.add_key(open_ended.clone()).await?;
    let retired = ApiKey {
        expires: Some(at(9)),
        successor: Some(new.id.clone()),
        ..open_ended
    };
    assert_eq!(store.retire_key(&old.id, &new.id, at(9)).await?, retired);
    // Later does not prolong it, sooner ends it sooner.
    assert_eq!(store.retire_key(&old.id, &new.id, at(10)).await?, retired);
    let sooner = store.retire_key(&old.id, &new.id, at(8)).await?;
    assert_eq!(sooner.expires, Some(at(8)));
    let other = store.retire_key(&old.id, &key(3)?.id, at(9)).await;
    assert_eq!(refusal(other), Some(ErrorKind::Conflict));
    assert_eq!(store.key_by_hash(&old.hash).await?, Some(sooner));
    Ok(())
}

/// Keys with more than the first form of their row holds, beside those without.
pub async fn scopes_and_makers_are_kept(backend: impl Backend) -> Outcome {
    let store = backend.store();
    let narrow = ApiKey {
        scopes: Scopes::parse(&["pinning".to_owned()])?,
        maker: Some(PrincipalId::parse("user:acme/alice~2")?),
        ..key(1)?
    };
    store.add_key(narrow.clone()).await?;
    store.add_key(key(2)?).await?;
    let backend = backend.reopen().await;
    let store = backend.store();
    assert_eq!(store.key(&narrow.id).await?, Some(narrow));
    assert_eq!(store.key(&key(2)?.id).await?, Some(key(2)?));
    assert_eq!(store.check().await?, [""; 0]);
    Ok(())
}

/// By name, page by page; writing one again replaces it.
pub async fn tenants_by_name(backend: impl Backend) -> Outcome {
    let store = backend.store();
    for name in ["c", "a", "b.2", "b", "a"] {
        let tenant = Tenant {
            id: TenantId::parse(name)?,
            created: at(1),
            attributes: pairs(&[("name", name)]),
        };
        store.put_tenant(tenant).await?;
    }
    let mut seen: Vec<TenantId> = Vec::new();
    loop {
        let page = store.tenants(seen.last(), 3).await?;
        if page.is_empty() {
            break;
        }
        seen.extend(page.into_iter().map(|t| t.id));
    }
    let seen: Vec<_> = seen.iter().map(TenantId::as_str).collect();
    assert_eq!(seen, ["a", "b", "b.2", "c"]);
    Ok(())
}

/// One of each thing, and it is there again.
pub async fn everything_survives_reopening(backend: impl Backend) -> Outcome {
    let store = backend.store();
    let request = store.create_request(full_draft(1, 1)?, at(10)).await?;
    let pin = store
        .put_pin(Pin::recursive(cid(2)?, at(1_000)), Expect::Any)
        .await?;
    let placed = store.put_placement(placement(2, 1)?, Expect::Any).await?;
    store.add_key(key(1)?).await?;
    assert_eq!(store.check().await?, [""; 0]);
    let backend = backend.reopen().await;
    let store = backend.store();
    assert_eq!(store.request(request_id(1)).await?, Some(request.clone()));
    let listed = store
        .requests(&account()?, &RequestFilter::default(), 10)
        .await?;
    assert_eq!(listed, [request]);
    assert_eq!(store.pin(&cid(2)?).await?, Some(pin));
    assert_eq!(store.placement(&cid(2)?, &peer(1)?).await?, Some(placed));
    assert_eq!(store.key(&key(1)?.id).await?, Some(key(1)?));
    assert_eq!(store.check().await?, [""; 0]);
    store.ping().await?;
    Ok(())
}

/// Closing is final and may be asked for twice; calls after it are told.
pub async fn a_closed_store_says_so(backend: impl Backend) -> Outcome {
    let store = backend.store();
    store.create_request(full_draft(1, 1)?, at(10)).await?;
    store.close().await?;
    store.close().await?;
    assert_eq!(
        refusal(store.request(request_id(1)).await),
        Some(ErrorKind::Unavailable)
    );
    assert_eq!(refusal(store.ping().await), Some(ErrorKind::Unavailable));
    let answer = store.create_request(full_draft(2, 1)?, at(10)).await;
    assert_eq!(refusal(answer), Some(ErrorKind::Unavailable));
    Ok(())
}
