//! Signing keys: the generations of one algorithm know nothing of those of another.

use chrono::TimeDelta;
use grantor_domain::ids::{TenantId, TokenId};
use grantor_keys::{Algorithm, SystemEntropy, generate_signing_key};
use grantor_storage::signing_keys::{self, StoredSigningKey};
use grantor_storage::{Change, ReadTx, Scope, StorageError};

use crate::support::{Fixture, about_tenant, now, wait_for};

/// Makes a key of a generation.
fn make(
    fixture: &Fixture,
    tenant: TenantId,
    algorithm: Algorithm,
    generation: i32,
) -> Result<String, StorageError> {
    let made = generate_signing_key(algorithm, &SystemEntropy::default()).unwrap();
    let key = StoredSigningKey {
        kid: made.kid,
        id: fixture.id::<TokenId>().uuid(),
        algorithm,
        generation,
        public: made.public,
        sealed: vec![1, 2, 3],
        created_at: now(),
        signs_from: now(),
        published_until: None,
    };
    fixture.change(Scope::Tenant(tenant), move |tx| {
        signing_keys::insert(tx, tenant, &key)?;
        Ok(Change::made(key.kid, about_tenant(tenant)))
    })
}

fn published(fixture: &Fixture, tenant: TenantId, in_hours: i64) -> Vec<(Algorithm, i32)> {
    let then = now() + TimeDelta::hours(in_hours);
    let read = fixture
        .database
        .read(Scope::Tenant(tenant), move |tx: &mut ReadTx<'_>| {
            signing_keys::published(tx, tenant, then)
        });
    let keys: Result<Vec<StoredSigningKey>, StorageError> = wait_for(read);
    let told = |key: StoredSigningKey| (key.algorithm, key.generation);
    keys.unwrap().into_iter().map(told).collect()
}

#[test]
fn each_algorithm_has_generations_of_its_own_each_once() {
    use Algorithm::{EdDsa, Es256};
    let fixture = Fixture::new();
    let home = fixture.home.id;
    for (algorithm, generation) in [(EdDsa, 1), (Es256, 1), (Es256, 2), (EdDsa, 2)] {
        make(&fixture, home, algorithm, generation).unwrap();
    }
    for algorithm in [EdDsa, Es256] {
        match make(&fixture, home, algorithm, 2) {
            Err(StorageError::Taken { constraint }) => {
                assert_eq!(constraint, "signing_keys_generation");
            }
            other => panic!("{other:?}"),
        }
    }
    let all = [(Es256, 2), (Es256, 1), (EdDsa, 2), (EdDsa, 1)];
    assert_eq!(published(&fixture, home, 0), all);
}

#[test]
fn what_retires_keys_of_one_algorithm_leaves_those_of_another() {
    use Algorithm::{EdDsa, Es256};
    let fixture = Fixture::new();
    let home = fixture.home.id;
    for (algorithm, generation) in [(EdDsa, 1), (Es256, 1), (Es256, 2)] {
        make(&fixture, home, algorithm, generation).unwrap();
    }
    let retired = fixture.change(Scope::Tenant(home), move |tx| {
        signing_keys::retire_before(tx, home, Es256, 2, now() + TimeDelta::hours(1))?;
        Ok(Change::made((), about_tenant(home)))
    });
    retired.unwrap();
    assert_eq!(
        published(&fixture, home, 0),
        [(Es256, 2), (Es256, 1), (EdDsa, 1)]
    );
    assert_eq!(published(&fixture, home, 1), [(Es256, 2), (EdDsa, 1)]);
}
