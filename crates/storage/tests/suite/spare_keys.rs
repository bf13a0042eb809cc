//! Spare keys: taken by one alone, in the transaction that uses them, and changed by no tenant.

use std::sync::Barrier;

use diesel::connection::SimpleConnection as _;
use diesel::prelude::*;
use grantor_domain::ids::TokenId;
use grantor_keys::Algorithm;
use grantor_storage::spare_keys::{self, SpareKey};
use grantor_storage::{Change, Scope, StorageError};
use uuid::Uuid;

use crate::support::{Fixture, about_tenant, now, wait_for};

fn put(fixture: &Fixture, unless: i64) -> bool {
    let spare = SpareKey {
        id: fixture.id::<TokenId>().uuid(),
        sealed_private_key: vec![1, 2, 3],
    };
    let put = spare_keys::put(&fixture.database, Algorithm::Rs256, spare, unless, now());
    wait_for(put).unwrap()
}

fn count(fixture: &Fixture) -> i64 {
    wait_for(spare_keys::count(&fixture.database, Algorithm::Rs256)).unwrap()
}

#[test]
fn the_stock_is_filled_so_far_and_no_further() {
    let fixture = Fixture::new();
    for filled in 0..3 {
        assert_eq!(count(&fixture), filled);
        assert!(put(&fixture, 3));
    }
    assert!(!put(&fixture, 3));
    assert_eq!(count(&fixture), 3);
}

#[test]
fn twelve_who_take_at_once_never_take_the_same() {
    let fixture = Fixture::with(12, std::time::Duration::from_secs(20));
    for _ in 0..5 {
        assert!(put(&fixture, 5));
    }
    let tenants: Vec<_> = (0..12)
        .map(|turn| fixture.tenant(&format!("Tenant {turn}")).id)
        .collect();
    let begin = Barrier::new(tenants.len());
    let mut taken: Vec<Uuid> = std::thread::scope(|threads| {
        let taking: Vec<_> = tenants
            .iter()
            .map(|tenant| {
                let (begin, fixture, tenant) = (&begin, &fixture, *tenant);
                threads.spawn(move || {
                    begin.wait();
                    fixture
                        .change(Scope::Tenant(tenant), move |tx| {
                            let spare = spare_keys::take(tx, Algorithm::Rs256)?;
                            Ok(Change::made(spare, about_tenant(tenant)))
                        })
                        .unwrap()
                })
            })
            .collect();
        taking
            .into_iter()
            .filter_map(|taking| taking.join().unwrap())
            .map(|spare| spare.id)
            .collect()
    });
    assert_eq!(taken.len(), 5, "as many as there were");
    taken.sort_unstable();
    taken.dedup();
    assert_eq!(taken.len(), 5);
    assert_eq!(count(&fixture), 0);
}

#[test]
fn what_is_rolled_back_has_taken_nothing() {
    let fixture = Fixture::new();
    assert!(put(&fixture, 1));
    let home = fixture.home.id;
    let failed: Result<(), StorageError> = fixture.change(Scope::Tenant(home), move |tx| {
        assert!(spare_keys::take(tx, Algorithm::Rs256)?.is_some());
        assert!(spare_keys::take(tx, Algorithm::Rs256)?.is_none());
        Err(StorageError::Unavailable("lost".to_owned()))
    });
    failed.unwrap_err();
    assert_eq!(count(&fixture), 1);
}

#[test]
fn a_tenant_takes_and_neither_makes_nor_alters_a_spare_key() {
    let fixture = Fixture::new();
    assert!(put(&fixture, 1));
    for sql in [
        "UPDATE spare_keys SET algorithm = 'RS256'",
        "UPDATE spare_keys SET sealed_private_key = ''",
        "INSERT INTO spare_keys VALUES (gen_random_uuid(), 'RS256', '', now())",
        "TRUNCATE spare_keys",
    ] {
        let mut connection = PgConnection::establish(&fixture.test.url()).unwrap();
        let begin = format!(
            "BEGIN; SET LOCAL search_path = grantor; SET LOCAL ROLE grantor_tenant; \
             SET LOCAL grantor.tenant = '{}'",
            fixture.home.id.uuid()
        );
        connection.batch_execute(&begin).unwrap();
        let refusal = connection.batch_execute(sql).unwrap_err().to_string();
        let by_the_wall =
            refusal.contains("row-level security") || refusal.contains("permission denied");
        assert!(by_the_wall, "{sql}: {refusal}");
    }
}
