use super::*;
use crate::suspension::Pause;
use uuid::Uuid;

fn at(seconds: i64) -> DateTime<Utc> {
    DateTime::from_timestamp(1_800_000_000 + seconds, 0).unwrap()
}

const MINE: ClientId = ClientId::from_uuid(Uuid::from_u128(2));
const OTHER: ClientId = ClientId::from_uuid(Uuid::from_u128(3));

fn family(current: u32, since: i64) -> RefreshFamily {
    RefreshFamily {
        tenant: TenantId::from_uuid(Uuid::from_u128(1)),
        id: RefreshFamilyId::from_uuid(Uuid::from_u128(9)),
        client: MINE,
        member: MemberId::from_uuid(Uuid::from_u128(4)),
        scopes: Scopes::parse("a.b:read a.b:write").unwrap(),
        state: FamilyState::Live {
            current: Generation::new(current),
            since: at(since),
        },
        expires_at: at(100_000),
        idle: None,
        position: Position {
            epoch: 5,
            sequence: 10,
        },
    }
}

fn request(presented: u32) -> RefreshRequest {
    RefreshRequest {
        client: MINE,
        presented: Generation::new(presented),
        scopes: None,
    }
}

/// Decides when nothing around it stands in the way.
fn decide(family: &RefreshFamily, request: &RefreshRequest, now: i64) -> RefreshDecision {
    let nothing = Suspension::default();
    let around = FamilySurroundings {
        epoch: 5,
        tenant: &nothing,
        client: &nothing,
        member: &nothing,
    };
    decide_refresh(family, request, &around, at(now))
}

/// The gate that refuses, and with what.
fn refused(decision: &RefreshDecision) -> Option<(&'static str, ErrorCode)> {
    let last = decision.gates.last().unwrap();
    match last.verdict {
        Verdict::Pass => None,
        Verdict::Refused { error, .. } => Some((last.name, error)),
    }
}

fn is_rotated(decision: &RefreshDecision, from: u32) -> bool {
    decision.outcome
        == RefreshOutcome::Rotate {
            from: Generation::new(from),
            scopes: family(1, 0).scopes,
        }
}

fn is_repeated(decision: &RefreshDecision, current: u32) -> bool {
    decision.outcome
        == RefreshOutcome::Repeat {
            current: Generation::new(current),
            scopes: family(1, 0).scopes,
        }
}

#[test]
fn token_4_each_generation_at_each_moment_rotates_repeats_or_ends_the_family() {
    for current in 1..6 {
        for presented in 0..8 {
            for since_rotation in [-2, 0, 1, 9, 10, 11, 5_000] {
                let decision = decide(
                    &family(current, 1_000),
                    &request(presented),
                    1_000 + since_rotation,
                );
                let told = format!("{presented} of {current}, {since_rotation} s after");
                if presented == current {
                    assert!(is_rotated(&decision, current), "{told}");
                } else if presented > current {
                    assert_eq!(decision.outcome, RefreshOutcome::Refuse, "{told}");
                } else if presented + 1 == current && since_rotation < 10 {
                    assert!(is_repeated(&decision, current), "{told}");
                } else {
                    assert_eq!(decision.outcome, RefreshOutcome::End, "{told}");
                }
                let may = matches!(
                    decision.outcome,
                    RefreshOutcome::Rotate { .. } | RefreshOutcome::Repeat { .. }
                );
                let expected = (!may).then_some(("not_replayed", ErrorCode::InvalidGrant));
                assert_eq!(refused(&decision), expected, "{told}");
            }
        }
    }
}

#[test]
fn rfc6749_6_another_client_gets_nothing_and_ends_nothing() {
    for presented in 0..4 {
        let other = RefreshRequest {
            client: OTHER,
            ..request(presented)
        };
        let decision = decide(&family(2, 0), &other, 5_000);
        assert_eq!(decision.outcome, RefreshOutcome::Refuse);
        assert_eq!(
            refused(&decision),
            Some(("client_is_its_own", ErrorCode::InvalidGrant))
        );
    }
}

#[test]
fn a_dead_family_stays_dead_whatever_is_presented() {
    for why in FamilyEnd::ALL {
        assert_eq!(FamilyEnd::parse(why.as_str()), Some(why));
        for presented in 0..4 {
            let mut dead = family(2, 0);
            dead.state = FamilyState::Dead { at: at(1), why };
            let decision = decide(&dead, &request(presented), 2);
            assert_eq!(decision.outcome, RefreshOutcome::Refuse);
            assert_eq!(refused(&decision).unwrap().0, "family_lives");
        }
    }
    assert_eq!(FamilyEnd::parse("Replayed"), None);
}

#[test]
fn client_14_the_absolute_lifetime_and_the_idle_time_end_it_to_the_second() {
    let mut short = family(1, 100);
    short.idle = Some(TimeDelta::seconds(50));
    assert!(is_rotated(&decide(&short, &request(1), 149), 1));
    let idle = decide(&short, &request(1), 150);
    assert_eq!(refused(&idle).unwrap().0, "not_idle");
    assert_eq!(idle.outcome, RefreshOutcome::Refuse);
    // Rotation does not prolong it.
    for current in [1, 70] {
        let last = family(current, 99_999);
        assert!(is_rotated(
            &decide(&last, &request(current), 99_999),
            current
        ));
        let over = decide(&last, &request(current), 100_000);
        assert_eq!(refused(&over).unwrap().0, "not_expired");
        // A replay has nothing left to end.
        assert_eq!(
            decide(&last, &request(0), 100_000).outcome,
            RefreshOutcome::Refuse
        );
    }
}

#[test]
fn pause_2_whatever_suspends_refuses_and_pause_3_ends_nothing() {
    let paused = Suspension {
        by_operator: Some(Pause {
            since: at(0),
            reason: None,
        }),
        ..Suspension::default()
    };
    let cut = |below| Suspension {
        cut_below: below,
        ..Suspension::default()
    };
    let deleted = Suspension {
        deleted_at: Some(at(0)),
        ..Suspension::default()
    };
    let nothing = Suspension::default();
    for (stopping, stops) in [
        (&paused, true),
        (&deleted, true),
        (&cut(11), true),
        (&cut(10), false),
        (&nothing, false),
    ] {
        for (place, gate) in ["tenant_active", "client_active", "member_active"]
            .into_iter()
            .enumerate()
        {
            let of = |which| if which == place { stopping } else { &nothing };
            let around = FamilySurroundings {
                epoch: 5,
                tenant: of(0),
                client: of(1),
                member: of(2),
            };
            for presented in [1, 2] {
                let decision =
                    decide_refresh(&family(2, 0), &request(presented), &around, at(5_000));
                if stops {
                    assert_eq!(
                        decision.outcome,
                        RefreshOutcome::Refuse,
                        "not even a replay"
                    );
                    assert_eq!(refused(&decision).unwrap().0, gate);
                } else if presented == 2 {
                    assert!(is_rotated(&decision, 2));
                } else {
                    assert_eq!(decision.outcome, RefreshOutcome::End);
                }
            }
        }
    }
}

#[test]
fn what_was_issued_in_another_epoch_is_dead() {
    let mut before = family(1, 0);
    before.position.epoch = 4;
    let decision = decide(&before, &request(1), 1);
    assert_eq!(refused(&decision).unwrap().0, "epoch_current");
    assert_eq!(decision.outcome, RefreshOutcome::Refuse);
}

#[test]
fn rfc6749_6_scopes_never_widen_and_asking_for_too_much_uses_nothing_up() {
    for (asked, granted) in [
        ("a.b:read", true),
        ("a.b:write a.b:read", true),
        ("a.b:read a.b:delete", false),
        ("c.d:read", false),
    ] {
        for (presented, now) in [(2, 5_000), (1, 5)] {
            let asking = RefreshRequest {
                scopes: Some(Scopes::parse(asked).unwrap()),
                ..request(presented)
            };
            let decision = decide(&family(2, 0), &asking, now);
            match decision.outcome {
                RefreshOutcome::Rotate { ref scopes, .. }
                | RefreshOutcome::Repeat { ref scopes, .. } => {
                    assert!(granted, "{asked}");
                    assert_eq!(scopes, &Scopes::parse(asked).unwrap());
                }
                RefreshOutcome::Refuse => {
                    assert!(!granted, "{asked}");
                    let expected = Some(("scope_within", ErrorCode::InvalidScope));
                    assert_eq!(refused(&decision), expected);
                }
                RefreshOutcome::End => panic!("{asked}"),
            }
        }
        // A replay is one whatever is asked for.
        let replay = RefreshRequest {
            scopes: Some(Scopes::parse(asked).unwrap()),
            ..request(1)
        };
        assert_eq!(
            decide(&family(3, 0), &replay, 1).outcome,
            RefreshOutcome::End
        );
    }
}

#[test]
fn the_gates_stand_in_order_and_whoever_holds_a_stolen_token_learns_nothing_from_the_words() {
    let names: Vec<_> = decide(&family(1, 0), &request(1), 1)
        .gates
        .iter()
        .map(|gate| gate.name)
        .collect();
    assert_eq!(
        names,
        [
            "client_is_its_own",
            "epoch_current",
            "family_lives",
            "not_expired",
            "not_idle",
            "tenant_active",
            "client_active",
            "member_active",
            "not_replayed",
            "scope_within",
        ]
    );
    let mut dead = family(2, 0);
    dead.state = FamilyState::Dead {
        at: at(0),
        why: FamilyEnd::Replayed,
    };
    let told = |decision: &RefreshDecision| decision.refusal().map(|told| told.1.to_owned());
    let replayed = told(&decide(&family(3, 0), &request(1), 1));
    assert!(replayed.is_some());
    assert_eq!(replayed, told(&decide(&dead, &request(1), 1)));
    assert_eq!(replayed, told(&decide(&family(1, 0), &request(1), 100_000)));
    assert_eq!(told(&decide(&family(1, 0), &request(1), 1)), None);
}
