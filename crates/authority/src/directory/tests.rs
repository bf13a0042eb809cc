//! What the directory promises, tried on its state alone.

use uuid::Uuid;

use super::*;

const PLATFORM: TenantId = TenantId::from_uuid(Uuid::from_u128(1));
const ACME: TenantId = TenantId::from_uuid(Uuid::from_u128(2));
const OTHER: TenantId = TenantId::from_uuid(Uuid::from_u128(3));

fn client(number: u128) -> ClientId {
    ClientId::from_uuid(Uuid::from_u128(100 + number))
}

fn at(sequence: i64) -> Position {
    Position { epoch: 5, sequence }
}

fn change(sequence: i64, tenant: TenantId, touched: &[Uuid], shared: bool) -> Later {
    Later {
        sequence,
        tenant,
        touched: touched.to_vec(),
        shared,
    }
}

/// A directory that knows of two clients and three tenants, at a position.
fn filled(position: i64) -> State<(), ()> {
    let mut state = State {
        position: Some(at(position)),
        platform: Some(PLATFORM),
        caught_up: None,
        tenants: Shelf::new(10),
        clients: Shelf::new(10),
    };
    for tenant in [PLATFORM, ACME, OTHER] {
        let ticket = state.tenants.ticket(tenant);
        state.tenants.settle(tenant, ticket, Some(Arc::new(())));
    }
    for key in [(ACME, client(1)), (ACME, client(2))] {
        let ticket = state.clients.ticket(key);
        state.clients.settle(key, ticket, Some(Arc::new(())));
    }
    state
}

fn knows(state: &State<(), ()>) -> (Vec<TenantId>, Vec<ClientId>) {
    let tenants = [PLATFORM, ACME, OTHER].into_iter();
    let clients = [client(1), client(2)].into_iter();
    (
        tenants
            .filter(|tenant| state.tenants.get(tenant).is_some())
            .collect(),
        clients
            .filter(|client| state.clients.get(&(ACME, *client)).is_some())
            .collect(),
    )
}

#[test]
fn exactness_a_what_a_change_touches_is_gone_where_its_number_is_published() {
    let mut state = filled(10);
    let changes = vec![
        change(11, ACME, &[client(1).uuid()], false),
        change(14, OTHER, &[client(2).uuid()], false),
    ];
    state.apply(at(10), &Since::Changes(changes));
    assert_eq!(state.position, Some(at(14)));
    let (tenants, clients) = knows(&state);
    assert_eq!(tenants.len(), 3);
    assert_eq!(clients, [client(2)], "that of another tenant is not meant");
}

#[test]
fn exactness_a_what_was_applied_by_another_is_not_applied_again_and_no_gap_is_jumped() {
    let mut state = filled(10);
    // An answer that another, later one has overtaken: the entry was loaded after that change.
    state.apply(
        at(4),
        &Since::Changes(vec![change(9, ACME, &[client(1).uuid()], false)]),
    );
    assert_eq!(state.position, Some(at(10)));
    assert_eq!(knows(&state).1.len(), 2);
    // From a place that this directory has not reached: what lies between is not known.
    state.apply(
        at(12),
        &Since::Changes(vec![change(13, ACME, &[client(1).uuid()], false)]),
    );
    assert_eq!(state.position, Some(at(10)));
    // Of another epoch.
    let other = Position {
        epoch: 6,
        sequence: 2,
    };
    state.apply(other, &Since::Changes(vec![change(13, ACME, &[], true)]));
    assert_eq!(state.position, Some(at(10)));
}

#[test]
fn exactness_b_a_change_that_is_applied_voids_the_loads_under_way() {
    let mut state = filled(10);
    let key = (ACME, client(1));
    let ticket = state.clients.ticket(key);
    let of_tenant = state.tenants.ticket(ACME);
    state.apply(
        at(10),
        &Since::Changes(vec![change(11, ACME, &[client(1).uuid()], true)]),
    );
    state.clients.settle(key, ticket, Some(Arc::new(())));
    state.tenants.settle(ACME, of_tenant, Some(Arc::new(())));
    assert_eq!(knows(&state), (vec![PLATFORM, OTHER], vec![client(2)]));
}

#[test]
fn exactness_c_all_tenants_rest_on_what_the_platform_shares() {
    let mut state = filled(10);
    state.apply(
        at(10),
        &Since::Changes(vec![change(11, PLATFORM, &[], true)]),
    );
    assert_eq!(knows(&state).0, []);
    // Before it is known which tenant that is, each may be it.
    let mut state = filled(10);
    state.platform = None;
    state.apply(at(10), &Since::Changes(vec![change(11, OTHER, &[], true)]));
    assert_eq!(knows(&state).0, []);
}

#[test]
fn exactness_c_a_decision_is_touched_where_what_it_rests_on_and_what_changed_meet() {
    let rests_on = RestsOn {
        tenants: vec![ACME],
        clients: vec![(ACME, client(1))],
    };
    let is_touched = |change: &Later| rests_on.is_touched_by(change, Some(PLATFORM));
    let (one, two) = (client(1).uuid(), client(2).uuid());
    assert!(is_touched(&change(1, ACME, &[two, one], false)));
    assert!(is_touched(&change(1, ACME, &[], true)));
    assert!(is_touched(&change(1, PLATFORM, &[], true)));
    assert!(!is_touched(&change(1, ACME, &[two], false)));
    assert!(!is_touched(&change(1, OTHER, &[one], true)));
    assert!(!is_touched(&change(1, PLATFORM, &[one], false)));
    assert!(rests_on.is_touched_by(&change(1, OTHER, &[], true), None));
}

#[test]
fn exactness_d_where_the_feed_cannot_tell_all_begins_anew() {
    let mut state = filled(10);
    let ticket = state.clients.ticket((ACME, client(1)));
    let now = Position {
        epoch: 9,
        sequence: 3,
    };
    state.apply(at(10), &Since::Unknown(now));
    assert_eq!(state.position, Some(now));
    state
        .clients
        .settle((ACME, client(1)), ticket, Some(Arc::new(())));
    assert_eq!(knows(&state), (vec![], vec![]));
}
