//! Checking who calls: exact, whoever else is checked at the same time.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::mpsc;

use diesel::connection::SimpleConnection as _;
use grantor_authority::{Authority, CallerCheck, Failure};
use grantor_domain::access::{Caller, Reach};
use grantor_domain::audit::{Action, Event, Target};
use grantor_domain::permission::Permission;
use grantor_domain::role::BuiltInRole;
use grantor_storage::{
    Change, ChangeTx, ReadTx, Scope, StorageError, clients, suspensions, tokens,
};
use grantor_test_support::builders;
use tokio::task::JoinSet;

use crate::site::{Machine, Site, now, runtime, wait_for};

fn check(authority: &Authority, token: &str) -> Result<CallerCheck, Failure> {
    wait_for(authority.check_caller(token.to_owned(), None, now()))
}

fn good(checked: Result<CallerCheck, Failure>) -> Caller {
    match checked {
        Ok(CallerCheck::Good(caller)) => caller,
        other => panic!("{other:?}"),
    }
}

fn is_good(checked: Result<CallerCheck, Failure>) -> bool {
    match checked.unwrap() {
        CallerCheck::Good(_) => true,
        CallerCheck::NotGood => false,
        other => panic!("{other:?}"),
    }
}

/// Makes a change of a client, and returns when it is committed.
fn change(
    site: &Site,
    machine: &Machine,
    work: impl FnOnce(&mut ChangeTx<'_>) -> Result<(), StorageError> + Send + 'static,
) {
    let (tenant, client) = (site.tenant.id, machine.id);
    let database = site.authority.database().reserved();
    let made: Result<(), StorageError> = wait_for(database.change(
        Scope::Tenant(tenant),
        builders::origin(),
        now(),
        move |tx| {
            work(tx)?;
            Ok(Change::made((), builders::client_event(tenant, client)))
        },
    ));
    made.unwrap();
}

fn set_tenant_pause(site: &Site, paused: bool) {
    let tenant = site.tenant.id;
    let made: Result<(), StorageError> = wait_for(site.authority.database().change(
        Scope::Platform(Some(tenant)),
        builders::origin(),
        now(),
        move |tx| {
            suspensions::set_tenant_pause(tx, tenant, paused.then_some(now()), None)?;
            let event = Event::new(tenant, Action::TenantCreated, Target::Tenant(tenant));
            Ok(Change::made((), event))
        },
    ));
    made.unwrap();
}

#[test]
fn role_4_a_caller_may_what_its_token_says_and_its_role_permits() {
    let site = Site::new(4);
    let machine = site.machine("Machine", BuiltInRole::Admin);
    let caller = good(check(&site.authority, &site.token(&machine)));
    assert_eq!(
        (caller.tenant, caller.client, caller.root),
        (site.tenant.id, machine.id, site.tenant.root_organization)
    );
    assert_eq!(
        caller.permissions(),
        BTreeSet::from([Permission::ClientsRead, Permission::ClientsDisable])
    );
    assert_eq!(caller.tops(Permission::ClientsRead), Reach::Everything);
    let without = site.machine("Without", BuiltInRole::Member);
    let caller = good(check(&site.authority, &site.token(&without)));
    assert!(caller.permissions().is_empty());
}

#[test]
fn a_token_that_only_says_that_it_is_one_on_record_is_not_good_beside_the_one_that_is() {
    let site = Site::new(4);
    let token = site.token(&site.machine("Machine", BuiltInRole::Admin));
    let (signed, signature) = token.rsplit_once('.').unwrap();
    let forged = format!("{signed}.{}", signature.chars().rev().collect::<String>());
    let authority = site.authority.clone();
    // The same row answers both, and in the same batch where they meet in one.
    let verdicts = wait_for(async move {
        let mut checks = JoinSet::new();
        for turn in 0..40 {
            let authority = authority.clone();
            let presented = if turn % 2 == 0 { &token } else { &forged };
            let presented = presented.clone();
            checks.spawn(async move {
                let checked = authority.check_caller(presented, None, now()).await;
                (turn % 2 == 0, is_good(checked))
            });
        }
        checks.join_all().await
    });
    assert_eq!(verdicts.len(), 40);
    for (genuine, good) in verdicts {
        assert_eq!(genuine, good);
    }
}

/// Lets callers check a token again and again, on runtimes of their own. A check that began after `change`
/// had returned must find what `after` says, and one that ended before it began what `before` says.
fn exactly(site: &Site, token: &str, before: bool, after: bool, change: impl FnOnce()) {
    const THREADS: usize = 3;
    const TASKS: usize = 8;
    const AFTERWARDS: usize = 5;
    let (begun, over) = (AtomicBool::new(false), AtomicBool::new(false));
    let warm = AtomicUsize::new(0);
    let (is_warm, until_warm) = mpsc::channel();
    std::thread::scope(|scope| {
        for _ in 0..THREADS {
            let (begun, over, warm, is_warm) = (&begun, &over, &warm, is_warm.clone());
            scope.spawn(move || {
                let task = async || {
                    let mut afterwards = 0;
                    while afterwards < AFTERWARDS {
                        let was_over = over.load(Ordering::SeqCst);
                        let checked = site
                            .authority
                            .check_caller(token.to_owned(), None, now())
                            .await;
                        let good = is_good(checked);
                        if was_over {
                            assert_eq!(good, after, "a check that began afterwards");
                            afterwards += 1;
                        } else if !begun.load(Ordering::SeqCst) {
                            assert_eq!(good, before, "a check that ended before");
                        }
                        if warm.fetch_add(1, Ordering::SeqCst) + 1 == THREADS * TASKS * 2 {
                            is_warm.send(()).unwrap();
                        }
                    }
                };
                runtime().block_on(async {
                    tokio::join!(
                        task(),
                        task(),
                        task(),
                        task(),
                        task(),
                        task(),
                        task(),
                        task()
                    );
                });
            });
        }
        drop(is_warm);
        let warmed = until_warm.recv();
        begun.store(true, Ordering::SeqCst);
        if warmed.is_ok() {
            change();
        }
        over.store(true, Ordering::SeqCst);
        assert!(warmed.is_ok(), "the callers ended too early");
    });
}

#[test]
fn token_2_a_revoked_token_is_dead_for_every_check_that_begins_afterwards() {
    let site = Site::new(4);
    let machine = site.machine("Machine", BuiltInRole::Admin);
    let (token, other) = (site.token(&machine), site.token(&machine));
    exactly(&site, &token, true, false, || {
        let (tenant, client) = (site.tenant.id, machine.id);
        let id: grantor_domain::ids::TokenId = grantor_keys::peek_claims(&token).unwrap()["jti"]
            .as_str()
            .unwrap()
            .parse()
            .unwrap();
        let revoked: Result<bool, StorageError> = wait_for(
            site.authority
                .database()
                .flow(move |tx| tokens::revoke(tx, tenant, client, id, now())),
        );
        assert!(revoked.unwrap());
    });
    assert!(
        is_good(check(&site.authority, &other)),
        "and no other token"
    );
}

#[test]
fn pause_2_and_3_a_paused_client_calls_no_more_and_once_enabled_at_once_again() {
    let site = Site::new(4);
    let machine = site.machine("Machine", BuiltInRole::Admin);
    let token = site.token(&machine);
    let (tenant, client) = (site.tenant.id, machine.id);
    exactly(&site, &token, true, false, || {
        change(&site, &machine, move |tx| {
            suspensions::pause_client(tx, tenant, client, None)
        });
    });
    exactly(&site, &token, false, true, || {
        change(&site, &machine, move |tx| {
            suspensions::resume_client(tx, tenant, client)
        });
    });
}

#[test]
fn tenant_2_nobody_of_a_suspended_tenant_calls_until_it_is_brought_back() {
    let site = Site::new(4);
    let token = site.token(&site.machine("Machine", BuiltInRole::Admin));
    exactly(&site, &token, true, false, || set_tenant_pause(&site, true));
    exactly(&site, &token, false, true, || {
        set_tenant_pause(&site, false);
    });
}

#[test]
fn client_7_a_deleted_client_calls_no_more() {
    let site = Site::new(4);
    let machine = site.machine("Machine", BuiltInRole::Admin);
    let token = site.token(&machine);
    let (tenant, client) = (site.tenant.id, machine.id);
    exactly(&site, &token, true, false, || {
        change(&site, &machine, move |tx| {
            clients::delete(tx, tenant, client)
        });
    });
}

#[test]
fn secret_3_what_was_cut_off_calls_no_more() {
    let site = Site::new(4);
    let machine = site.machine("Machine", BuiltInRole::Admin);
    let token = site.token(&machine);
    let (tenant, client) = (site.tenant.id, machine.id);
    exactly(&site, &token, true, false, || {
        change(&site, &machine, move |tx| {
            suspensions::cut_client_off(tx, tenant, client)
        });
    });
    let newer = site.token(&machine);
    assert!(is_good(check(&site.authority, &newer)));
}

#[test]
fn role_3_and_token_8_what_is_taken_away_is_gone_for_the_next_check() {
    let site = Site::new(4);
    let machine = site.machine("Machine", BuiltInRole::Admin);
    let token = site.token(&machine);
    let permissions = || good(check(&site.authority, &token)).permissions();
    let behind = |sql: &str| site.test.superuser().batch_execute(sql).unwrap();
    assert_eq!(permissions().len(), 2);
    behind("UPDATE role_assignments SET role = 'support'");
    assert_eq!(permissions().len(), 2);
    behind("UPDATE clients SET allowed_scopes = '{grantor:clients.read,grantor:clients.write}'");
    assert_eq!(permissions(), BTreeSet::from([Permission::ClientsRead]));
    behind("DELETE FROM role_assignments");
    assert!(permissions().is_empty());
    behind("UPDATE clients SET allowed_scopes = '{}'");
    assert!(!is_good(check(&site.authority, &token)), "no scope is left");
}

#[test]
fn the_end_of_a_token_is_told_by_the_time_of_each_call() {
    let site = Site::new(4);
    let token = site.token(&site.machine("Machine", BuiltInRole::Admin));
    let at = |minutes| {
        let then = now() + chrono::TimeDelta::minutes(minutes);
        is_good(wait_for(site.authority.check_caller(
            token.clone(),
            None,
            then,
        )))
    };
    assert!(at(59));
    assert!(!at(60));
    assert!(at(0));
}

#[test]
fn a_row_that_can_not_be_read_spoils_the_check_of_its_own_token_alone() {
    let site = Site::new(4);
    let spoilt = site.machine("Spoilt", BuiltInRole::Admin);
    let mut tokens = vec![site.token(&spoilt)];
    for name in ["A", "B", "C", "D", "E", "F", "G"] {
        tokens.push(site.token(&site.machine(name, BuiltInRole::Admin)));
    }
    site.test
        .superuser()
        .batch_execute(&format!(
            "UPDATE role_assignments SET role = 'emperor' WHERE client_id = '{}'",
            spoilt.id.uuid()
        ))
        .unwrap();
    wait_for(async {
        let mut checks = JoinSet::new();
        for turn in 0..64 {
            let (authority, which) = (site.authority.clone(), turn % tokens.len());
            let token = tokens[which].clone();
            checks.spawn(async move { (which, authority.check_caller(token, None, now()).await) });
        }
        for (which, checked) in checks.join_all().await {
            if which == 0 {
                let failure = checked.unwrap_err();
                assert!(!failure.is_unavailable(), "{failure}");
                assert!(failure.to_string().contains("emperor"), "{failure}");
            } else {
                good(checked);
            }
        }
    });
}

#[test]
fn the_reserved_lane_goes_through_while_the_other_is_crowded() {
    let site = Site::new(2);
    let token = site.token(&site.machine("Machine", BuiltInRole::Admin));
    // Every ordinary connection is busy until this test lets go.
    let holders = runtime();
    let (busy, until_busy) = mpsc::channel();
    let lets_go: Vec<mpsc::Sender<()>> = (0..2)
        .map(|_| {
            let (let_go, until) = mpsc::channel::<()>();
            let (database, busy) = (site.authority.database().clone(), busy.clone());
            let scope = Scope::Tenant(site.tenant.id);
            holders.spawn(async move {
                let work = move |_: &mut ReadTx<'_>| {
                    busy.send(()).unwrap();
                    let _ = until.recv();
                    Ok::<_, StorageError>(())
                };
                database.read(scope, work).await
            });
            let_go
        })
        .collect();
    holders.block_on(tokio::task::yield_now());
    for _ in 0..2 {
        until_busy.recv().unwrap();
    }
    let failure = check(&site.authority, &token).unwrap_err();
    assert!(failure.is_unavailable(), "{failure}");
    good(check(&site.authority.reserved(), &token));
    good(check(&site.authority.reserved().reserved(), &token));
    drop(lets_go);
    good(check(&site.authority, &token));
}
