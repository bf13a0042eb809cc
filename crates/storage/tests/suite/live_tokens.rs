//! Live tokens: what is on a list and what is counted, however much is dead in between; what removes them, and that
//! nothing is written for a token when all of them go.

use std::sync::Barrier;

use chrono::TimeDelta;
use grantor_domain::ids::{ClientId, MemberId, TenantId, TokenId};
use grantor_domain::tenant::NewTenant;
use grantor_storage::listing::Place;
use grantor_storage::live_tokens::{self, Count, Removed, Whose};
use grantor_storage::{
    Change, ChangeTx, ReadTx, Scope, StorageError, clients, suspensions, tenants,
};
use grantor_test_support::builders;
use uuid::Uuid;

use crate::support::{EPOCH, Fixture, about_tenant, now, texts, wait_for};

/// Tokens of a kind. The number is in their ids, so that two kinds have none in common.
#[derive(Clone, Copy)]
struct Kind {
    number: u32,
    many: u32,
    member: Option<MemberId>,
    /// In how many milliseconds they expire.
    expire_in: i64,
    epoch: i64,
    decided_at: i64,
    revoked: bool,
}

impl Default for Kind {
    fn default() -> Self {
        Self {
            number: 1,
            many: 1,
            member: None,
            expire_in: 3_600_000,
            epoch: EPOCH,
            decided_at: 1_000_000,
            revoked: false,
        }
    }
}

impl Kind {
    /// The id of one of them.
    fn id(self, index: u32) -> TokenId {
        let expiry = now().timestamp_millis() + self.expire_in;
        let millis = u128::try_from(expiry).unwrap();
        let id =
            millis << 80 | 7 << 76 | 8 << 60 | u128::from(self.number) << 32 | u128::from(index);
        TokenId::from_uuid(Uuid::from_u128(id))
    }

    /// The ids of all of them, in the order of lists.
    fn ids(self) -> Vec<TokenId> {
        (1..=self.many).rev().map(|index| self.id(index)).collect()
    }

    fn put(self, fixture: &Fixture, tenant: TenantId, client: ClientId) {
        let stem = self.id(0).uuid().to_string();
        let member = self
            .member
            .map_or("NULL".to_owned(), |member| format!("'{}'", member.uuid()));
        let revoked = if self.revoked { "now()" } else { "NULL" };
        fixture.superuser_runs(&format!(
            "INSERT INTO access_tokens (tenant_id, client_id, id, token_hash, member_id, scopes, audiences, issued_at, \
               epoch, decided_at, revoked_at) \
             SELECT '{}', '{}', (left('{stem}', 28) || lpad(to_hex(n), 8, '0'))::uuid, decode(repeat('00', 32), 'hex'), {member}, \
               '{{orders.api:read}}', '{{}}', '{}', {}, {}, {revoked} FROM generate_series(1, {}) AS n",
            tenant.uuid(),
            client.uuid(),
            now(),
            self.epoch,
            self.decided_at,
            self.many
        ));
    }
}

fn read<T: Send + 'static>(
    fixture: &Fixture,
    tenant: TenantId,
    work: impl FnOnce(&mut ReadTx<'_>) -> Result<T, StorageError> + Send + 'static,
) -> T {
    wait_for(fixture.database.read(Scope::Tenant(tenant), work)).unwrap()
}

fn change<T: Send + 'static>(
    fixture: &Fixture,
    tenant: TenantId,
    work: impl FnOnce(&mut ChangeTx<'_>) -> Result<T, StorageError> + Send + 'static,
) -> T {
    fixture
        .change(Scope::Tenant(tenant), move |tx| {
            Ok(Change::made(work(tx)?, about_tenant(tenant)))
        })
        .unwrap()
}

/// All pages of a list, each of so many at most; and how many pages it took.
fn paged(fixture: &Fixture, tenant: TenantId, whose: Whose, limit: usize) -> (Vec<TokenId>, u32) {
    let (mut seen, mut after, mut pages) = (Vec::new(), None::<Place>, 0);
    loop {
        let from = after.clone();
        let fetch = i64::try_from(limit).unwrap() + 1;
        let part = read(fixture, tenant, move |tx| {
            let home = tenants::find(tx, tenant)?.unwrap();
            live_tokens::list(tx, &home, whose, now(), from, fetch)
        });
        pages += 1;
        let more = part.found.len() > limit;
        let found: Vec<_> = part.found.into_iter().take(limit).collect();
        seen.extend(found.iter().map(|(_, live)| live.token.id));
        after = if more {
            found.last().map(|(place, _)| place.clone())
        } else {
            part.stopped_at
        };
        if after.is_none() {
            return (seen, pages);
        }
    }
}

fn listed(fixture: &Fixture, tenant: TenantId, whose: Whose) -> Vec<TokenId> {
    let (all, _) = paged(fixture, tenant, whose, 200);
    for limit in [1, 3] {
        assert_eq!(paged(fixture, tenant, whose, limit).0, all, "by {limit}");
    }
    all
}

fn remove(fixture: &Fixture, tenant: TenantId, whose: Whose, ids: &[TokenId]) -> Vec<Removed> {
    let ids = ids.to_vec();
    change(fixture, tenant, move |tx| {
        let home = tenants::find(tx, tenant)?.unwrap();
        live_tokens::remove(tx, &home, whose, &ids)
    })
}

fn counted(fixture: &Fixture, tenant: TenantId, client: ClientId) -> [Count; 2] {
    read(fixture, tenant, move |tx| {
        let home = tenants::find(tx, tenant)?.unwrap();
        let of_many = live_tokens::count(tx, &home, [client], None, now())?;
        let of_one = live_tokens::count_of(tx, &home, client, None, now())?;
        Ok([of_many[&client].all, of_one.all])
    })
}

fn scene() -> (Fixture, NewTenant, ClientId) {
    let fixture = Fixture::new();
    let tenant = fixture.tenant("Acme");
    let client = fixture.client(&tenant, "Machine");
    (fixture, tenant, client)
}

/// Whatever makes a token be dead: its time, its own end, another epoch, and what its client and its members came to.
fn dead(cut: MemberId, gone: MemberId) -> [Kind; 6] {
    [
        Kind {
            number: 10,
            expire_in: 0,
            ..Kind::default()
        },
        Kind {
            number: 11,
            revoked: true,
            ..Kind::default()
        },
        Kind {
            number: 12,
            epoch: EPOCH + 1,
            ..Kind::default()
        },
        Kind {
            number: 13,
            decided_at: 0,
            ..Kind::default()
        },
        Kind {
            number: 14,
            member: Some(cut),
            decided_at: 0,
            ..Kind::default()
        },
        Kind {
            number: 15,
            member: Some(gone),
            ..Kind::default()
        },
    ]
}

#[test]
fn token_2_a_list_has_each_live_token_once_and_none_that_is_dead() {
    let (fixture, tenant, client) = scene();
    let (ada, cut, gone): (MemberId, MemberId, MemberId) =
        (fixture.id(), fixture.id(), fixture.id());
    let short = Kind {
        expire_in: 60_000,
        ..Kind::default()
    };
    let kinds = [
        Kind {
            number: 2,
            many: 4,
            ..Kind::default()
        },
        Kind {
            number: 3,
            many: 2,
            member: Some(ada),
            expire_in: 7_200_000,
            ..Kind::default()
        },
        Kind {
            number: 4,
            many: 3,
            ..short
        },
        // To the millisecond: the last that is not over.
        Kind {
            number: 5,
            expire_in: 1,
            ..Kind::default()
        },
    ];
    for kind in kinds.iter().chain(&dead(cut, gone)) {
        kind.put(&fixture, tenant.id, client);
    }
    // Of another client, and of a client with the same id in another tenant.
    let other = fixture.client(&tenant, "Other");
    Kind {
        number: 20,
        ..Kind::default()
    }
    .put(&fixture, tenant.id, other);
    let elsewhere = fixture.tenant("Elsewhere");
    Kind {
        number: 21,
        ..Kind::default()
    }
    .put(&fixture, elsewhere.id, client);
    fixture.superuser_runs(&format!(
        "INSERT INTO suspensions (tenant_id, subject_id, cut_below, deleted_at, paused_by_tenant_at) VALUES \
         ('{0}', '{1}', 1, NULL, now()), ('{0}', '{2}', 1, NULL, NULL), ('{0}', '{3}', 0, now(), NULL)",
        tenant.id.uuid(),
        client.uuid(),
        cut.uuid(),
        gone.uuid()
    ));
    let wanted = [
        kinds[1].ids(),
        kinds[0].ids(),
        kinds[2].ids(),
        kinds[3].ids(),
    ]
    .concat();
    // pause_3: what sleeps is there.
    assert_eq!(listed(&fixture, tenant.id, Whose::Client(client)), wanted);
    assert_eq!(
        listed(&fixture, tenant.id, Whose::ClientFor(client, ada)),
        kinds[1].ids()
    );
    assert_eq!(
        listed(&fixture, tenant.id, Whose::ClientFor(other, ada)),
        []
    );
    assert_eq!(
        counted(&fixture, tenant.id, client),
        [Count::Exactly(10); 2]
    );
    // What is cut off in the whole tenant is dead too.
    change(&fixture, tenant.id, move |tx| {
        suspensions::cut_tenant_off(tx, tenant.id)
    });
    fixture.superuser_runs("UPDATE tenant_suspensions SET cut_below = 2000000");
    assert_eq!(listed(&fixture, tenant.id, Whose::Client(client)), []);
    assert_eq!(counted(&fixture, tenant.id, client), [Count::Exactly(0); 2]);
}

#[test]
fn token_2_a_members_list_has_the_tokens_of_every_client_that_is_there() {
    let (fixture, tenant, first) = scene();
    let second = fixture.client(&tenant, "Second");
    let deleted = fixture.client(&tenant, "Deleted");
    let (ada, grace): (MemberId, MemberId) = (fixture.id(), fixture.id());
    let of = |number, member| Kind {
        number,
        many: 3,
        member: Some(member),
        ..Kind::default()
    };
    of(1, ada).put(&fixture, tenant.id, first);
    of(2, ada).put(&fixture, tenant.id, second);
    of(3, grace).put(&fixture, tenant.id, second);
    of(4, ada).put(&fixture, tenant.id, deleted);
    Kind {
        number: 5,
        expire_in: 0,
        ..of(5, ada)
    }
    .put(&fixture, tenant.id, second);
    change(&fixture, tenant.id, move |tx| {
        clients::delete(tx, tenant.id, deleted)
    });
    let mut by_client = [(first, of(1, ada).ids()), (second, of(2, ada).ids())];
    by_client.sort_by_key(|(client, _)| std::cmp::Reverse(client.uuid()));
    let wanted: Vec<TokenId> = by_client.into_iter().flat_map(|(_, ids)| ids).collect();
    assert_eq!(listed(&fixture, tenant.id, Whose::Member(ada)), wanted);
    assert_eq!(
        listed(&fixture, tenant.id, Whose::Member(grace)),
        of(3, grace).ids()
    );
    // A cut of the member ends them at every client, and nobody else's.
    let head = fixture.number("SELECT max(sequence) FROM changes");
    fixture.superuser_runs(&format!("UPDATE access_tokens SET decided_at = {head}"));
    change(&fixture, tenant.id, move |tx| {
        suspensions::cut_member_off(tx, tenant.id, ada)
    });
    assert_eq!(listed(&fixture, tenant.id, Whose::Member(ada)), []);
    assert_eq!(listed(&fixture, tenant.id, Whose::Member(grace)).len(), 3);
}

#[test]
fn token_2_however_many_are_dead_in_between_a_page_looks_at_so_many_and_none_is_left_out() {
    let (fixture, tenant, client) = scene();
    let ada: MemberId = fixture.id();
    let of_ada = Kind {
        member: Some(ada),
        ..Kind::default()
    };
    let latest = Kind {
        number: 9,
        many: 2,
        expire_in: 7_200_000,
        ..of_ada
    };
    let dead = Kind {
        number: 8,
        many: 12_000,
        revoked: true,
        ..of_ada
    };
    let earliest = Kind {
        number: 7,
        many: 3,
        expire_in: 60_000,
        ..of_ada
    };
    for kind in [latest, dead, earliest] {
        kind.put(&fixture, tenant.id, client);
    }
    let wanted = [latest.ids(), earliest.ids()].concat();
    for whose in [
        Whose::Client(client),
        Whose::ClientFor(client, ada),
        Whose::Member(ada),
    ] {
        let (seen, pages) = paged(&fixture, tenant.id, whose, 50);
        assert_eq!(seen, wanted, "{whose:?}");
        assert_eq!(pages, 3, "12,005 by 5,000 each");
        assert_eq!(paged(&fixture, tenant.id, whose, 1).0, wanted, "{whose:?}");
    }
}

#[test]
fn client_8_a_count_is_exact_unless_too_many_are_dead_in_between_and_then_it_says_so() {
    let (fixture, tenant, client) = scene();
    let live = Kind {
        number: 1,
        many: 1_000,
        ..Kind::default()
    };
    live.put(&fixture, tenant.id, client);
    assert_eq!(
        counted(&fixture, tenant.id, client),
        [Count::Exactly(1_000); 2]
    );
    Kind {
        number: 2,
        many: 2_900,
        revoked: true,
        ..live
    }
    .put(&fixture, tenant.id, client);
    assert_eq!(
        counted(&fixture, tenant.id, client),
        [Count::Exactly(1_000); 2]
    );
    // Dead ones that expire before all that live are not looked through, and may hide some.
    Kind {
        number: 3,
        many: 200,
        revoked: true,
        expire_in: 60_000,
        ..live
    }
    .put(&fixture, tenant.id, client);
    assert_eq!(
        counted(&fixture, tenant.id, client),
        [Count::AtLeast(1_000), Count::Exactly(1_000)]
    );
    Kind { number: 4, ..live }.put(&fixture, tenant.id, client);
    assert_eq!(
        counted(&fixture, tenant.id, client),
        [Count::MoreThan(1_000); 2]
    );
}

#[test]
fn token_2_only_what_is_alive_and_ones_own_is_removed_and_once() {
    let (fixture, tenant, client) = scene();
    let other = fixture.client(&tenant, "Other");
    let elsewhere = fixture.tenant("Elsewhere");
    let ada: MemberId = fixture.id();
    let own = Kind {
        number: 1,
        many: 3,
        member: Some(ada),
        ..Kind::default()
    };
    own.put(&fixture, tenant.id, client);
    let of_other = Kind {
        number: 2,
        ..Kind::default()
    };
    of_other.put(&fixture, tenant.id, other);
    let foreign = Kind {
        number: 3,
        ..Kind::default()
    };
    foreign.put(&fixture, elsewhere.id, client);
    let dead = [
        Kind {
            number: 4,
            expire_in: 0,
            ..Kind::default()
        },
        Kind {
            number: 5,
            revoked: true,
            ..Kind::default()
        },
        Kind {
            number: 6,
            epoch: 7,
            ..Kind::default()
        },
    ];
    for kind in dead {
        kind.put(&fixture, tenant.id, client);
    }
    let asked: Vec<TokenId> = [
        own.id(1),
        own.id(2),
        own.id(2),
        of_other.id(1),
        foreign.id(1),
        fixture.id(),
    ]
    .into_iter()
    .chain(dead.map(|kind| kind.id(1)))
    .collect();
    let removed = |whose, asked: &[TokenId]| {
        let mut ids: Vec<TokenId> = remove(&fixture, tenant.id, whose, asked)
            .into_iter()
            .map(|removed| {
                assert_eq!((removed.client, removed.member), (client, Some(ada)));
                removed.id
            })
            .collect();
        ids.sort_unstable();
        ids
    };
    assert_eq!(removed(Whose::ClientFor(other, ada), &asked), []);
    assert_eq!(
        removed(Whose::Client(client), &asked),
        [own.id(1), own.id(2)]
    );
    assert_eq!(removed(Whose::Client(client), &asked), []);
    assert_eq!(removed(Whose::Member(fixture.id()), &[own.id(3)]), []);
    assert_eq!(removed(Whose::Member(ada), &[own.id(3)]), [own.id(3)]);
    let left = "SELECT count(*) FROM access_tokens WHERE revoked_at IS NULL";
    assert_eq!(
        fixture.number(left),
        4,
        "what was not asked for, or dead by something else"
    );
}

#[test]
fn token_2_of_many_that_remove_one_token_at_once_one_does_it() {
    let (fixture, tenant, client) = scene();
    let tokens = Kind {
        many: 20,
        ..Kind::default()
    };
    tokens.put(&fixture, tenant.id, client);
    let (mut forth, mut back) = (tokens.ids(), tokens.ids());
    forth.sort_unstable();
    back.reverse();
    let start = Barrier::new(6);
    let many: usize = std::thread::scope(|scope| {
        let removing: Vec<_> = (0..6)
            .map(|turn| {
                let ids = if turn % 2 == 0 { &forth } else { &back };
                let (start, fixture) = (&start, &fixture);
                scope.spawn(move || {
                    start.wait();
                    remove(fixture, tenant.id, Whose::Client(client), ids).len()
                })
            })
            .collect();
        removing
            .into_iter()
            .map(|thread| thread.join().unwrap())
            .sum()
    });
    assert_eq!(many, 20);
}

/// Where each row of the tokens lies, who wrote it and who locked it: any write or lock shows.
fn fingerprint(fixture: &Fixture) -> Vec<String> {
    texts(
        &mut fixture.test.superuser(),
        "SELECT md5(string_agg(concat_ws(' ', tableoid, ctid, xmin, xmax, id), ',' ORDER BY tableoid, ctid)) FROM access_tokens",
    )
}

#[test]
fn pause_3_disabling_deleting_and_removing_all_write_and_lock_no_token_however_many_there_are() {
    let (fixture, tenant, client) = scene();
    let second = fixture.client(&tenant, "Second");
    let ada: MemberId = fixture.id();
    for (number, client) in [(1, client), (2, second)] {
        Kind {
            number,
            many: 5_000,
            member: Some(ada),
            ..Kind::default()
        }
        .put(&fixture, tenant.id, client);
    }
    let before = fingerprint(&fixture);
    let id = tenant.id;
    let told = |what: &str| assert_eq!(fingerprint(&fixture), before, "{what}");
    change(&fixture, id, move |tx| {
        suspensions::pause_client(tx, id, client, None)
    });
    told("disabling a client");
    change(&fixture, id, move |tx| {
        suspensions::resume_client(tx, id, client)
    });
    told("enabling it");
    change(&fixture, id, move |tx| {
        suspensions::cut_client_off(tx, id, client)
    });
    told("removing all of a client");
    change(&fixture, id, move |tx| {
        suspensions::cut_member_off(tx, id, ada)
    });
    told("removing all of a member");
    change(&fixture, id, move |tx| suspensions::cut_tenant_off(tx, id));
    told("removing all of a tenant");
    change(&fixture, id, move |tx| clients::delete(tx, id, client));
    told("deleting a client");
    for since in [Some(now()), None] {
        fixture
            .change(Scope::Platform(Some(id)), move |tx| {
                suspensions::set_tenant_pause(tx, id, since, None)?;
                Ok(Change::made((), about_tenant(id)))
            })
            .unwrap();
        told("suspending a tenant, and restoring it");
    }
    // The fingerprint tells: one token that is removed shows.
    let one = Kind {
        number: 3,
        decided_at: i64::MAX,
        ..Kind::default()
    };
    one.put(&fixture, id, second);
    let before = fingerprint(&fixture);
    assert_eq!(
        remove(&fixture, id, Whose::Client(second), &one.ids()).len(),
        1
    );
    assert_ne!(fingerprint(&fixture), before);
}

#[test]
fn a_removal_touches_nothing_that_decisions_rest_on() {
    let (fixture, tenant, client) = scene();
    let tokens = Kind {
        many: 2,
        ..Kind::default()
    };
    tokens.put(&fixture, tenant.id, client);
    let changes = "SELECT count(*) FROM changes";
    let revision = "SELECT sum(revision) FROM clients";
    let before = (fixture.number(changes), fixture.number(revision));
    assert_eq!(
        remove(&fixture, tenant.id, Whose::Client(client), &tokens.ids()).len(),
        2
    );
    assert_eq!((fixture.number(changes), fixture.number(revision)), before);
    assert_eq!(
        fixture.number(&format!(
            "SELECT count(*) FROM access_tokens WHERE revoked_at = '{}'",
            now()
        )),
        2
    );
    // Neither does one that is rolled back leave anything.
    let again = Kind {
        number: 2,
        ..Kind::default()
    };
    again.put(&fixture, tenant.id, client);
    let id = tenant.id;
    let failed: Result<(), StorageError> = fixture.change(Scope::Tenant(id), move |tx| {
        let home = tenants::find(tx, id)?.unwrap();
        assert_eq!(
            live_tokens::remove(tx, &home, Whose::Client(client), &again.ids())?.len(),
            1
        );
        Ok(Change::Nothing(()))
    });
    failed.unwrap();
    assert_eq!(listed(&fixture, id, Whose::Client(client)), again.ids());
}

#[test]
fn what_expires_while_it_is_listed_is_not_removed_after() {
    let (fixture, tenant, client) = scene();
    let soon = Kind {
        expire_in: 1,
        ..Kind::default()
    };
    soon.put(&fixture, tenant.id, client);
    assert_eq!(
        listed(&fixture, tenant.id, Whose::Client(client)),
        soon.ids()
    );
    let (id, ids) = (tenant.id, soon.ids());
    let later = now() + TimeDelta::milliseconds(1);
    let removed: Result<usize, StorageError> = wait_for(fixture.database.change(
        Scope::Tenant(id),
        builders::origin(),
        later,
        move |tx| {
            let home = tenants::find(tx, id)?.unwrap();
            let removed = live_tokens::remove(tx, &home, Whose::Client(client), &ids)?;
            Ok(Change::made(removed.len(), about_tenant(id)))
        },
    ));
    assert_eq!(removed.unwrap(), 0);
}
