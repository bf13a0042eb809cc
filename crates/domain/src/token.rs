//! Access tokens as they stand on record, and whether one is good.

use std::net::IpAddr;

use chrono::{DateTime, Utc};
use grantor_protocol::scope::Scopes;
use thiserror::Error;

use crate::ids::{ClientId, MemberId, TenantId, TokenId};
use crate::suspension::{Position, Suspension};

/// An access token on record (`token_1`).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AccessToken {
    /// The tenant whose it is.
    pub tenant: TenantId,
    /// The client that got it.
    pub client: ClientId,
    /// Its id.
    pub id: TokenId,
    /// The member for whom the client acts, unless it acts for itself.
    pub member: Option<MemberId>,
    /// What it may be used for.
    pub scopes: Scopes,
    /// Whom it is for.
    pub audiences: Vec<String>,
    /// When it was issued.
    pub issued_at: DateTime<Utc>,
    /// When it expires.
    pub expires_at: DateTime<Utc>,
    /// When it was removed or revoked.
    pub revoked_at: Option<DateTime<Utc>>,
    /// What the decision to issue it rested on.
    pub position: Position,
    /// From where it was asked for.
    pub ip: Option<IpAddr>,
}

/// Why a token is not good. Never told outside: there it is just inactive.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum Inactive {
    /// Its time is over.
    #[error("it has expired")]
    Expired,
    /// It was removed or revoked.
    #[error("it was revoked")]
    Revoked,
    /// It was issued before the installation was restored from a backup.
    #[error("it was issued in another epoch")]
    OtherEpoch,
    /// Its tenant is suspended, or cut off what was issued before.
    #[error("its tenant stops it")]
    Tenant,
    /// Its client is disabled, deleted, or cut off what was issued before.
    #[error("its client stops it")]
    Client,
    /// The member for whom it was issued is disabled, deleted, or cut off what was issued before.
    #[error("its member stops it")]
    Member,
    /// None of its scopes is allowed any more (`token_8`).
    #[error("no scope is left")]
    NoScopeLeft,
}

/// What a token hangs on, read in one snapshot with the token itself.
#[derive(Debug, Clone)]
pub struct TokenSurroundings<'a> {
    /// The installation's epoch.
    pub epoch: i64,
    /// What suspends its tenant.
    pub tenant: &'a Suspension,
    /// What suspends its client.
    pub client: &'a Suspension,
    /// What suspends the member for whom it was issued; nothing does when there is none.
    pub member: &'a Suspension,
    /// The scopes that its client is allowed now; none when the client is gone.
    pub allowed_now: &'a Scopes,
}

/// How a token stands that has neither expired nor been removed (`token_2`).
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Standing {
    /// It is good, for these scopes.
    Active(Scopes),
    /// It sleeps, as long as its tenant, its client or its member is disabled (`pause_3`).
    Sleeping,
    /// None of its scopes is allowed at this moment (`token_8`).
    Powerless,
}

impl AccessToken {
    /// Decides how the token stands at `now`; not at all when it is dead for good.
    pub fn standing(&self, now: DateTime<Utc>, around: &TokenSurroundings<'_>) -> Option<Standing> {
        let ended = |suspension: &Suspension| suspension.ends(self.position);
        if ended(around.tenant)
            || ended(around.client)
            || (self.member.is_some() && ended(around.member))
        {
            return None;
        }
        match self.check(now, around) {
            Ok(scopes) => Some(Standing::Active(scopes)),
            Err(Inactive::Expired | Inactive::Revoked | Inactive::OtherEpoch) => None,
            Err(Inactive::Tenant | Inactive::Client | Inactive::Member) => Some(Standing::Sleeping),
            Err(Inactive::NoScopeLeft) => Some(Standing::Powerless),
        }
    }

    /// Decides whether the token is good at `now`, and for which scopes.
    pub fn check(
        &self,
        now: DateTime<Utc>,
        around: &TokenSurroundings<'_>,
    ) -> Result<Scopes, Inactive> {
        if self.expires_at <= now {
            return Err(Inactive::Expired);
        }
        if self.revoked_at.is_some() {
            return Err(Inactive::Revoked);
        }
        if self.position.epoch != around.epoch {
            return Err(Inactive::OtherEpoch);
        }
        if around.tenant.stops(self.position) {
            return Err(Inactive::Tenant);
        }
        if around.client.stops(self.position) {
            return Err(Inactive::Client);
        }
        if self.member.is_some() && around.member.stops(self.position) {
            return Err(Inactive::Member);
        }
        // token_8: shrinking kills nothing, but what is not allowed now can't be used.
        let effective = self.scopes.intersection(around.allowed_now);
        if effective.is_empty() {
            Err(Inactive::NoScopeLeft)
        } else {
            Ok(effective)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::suspension::Pause;
    use chrono::TimeDelta;
    use uuid::Uuid;

    fn token() -> AccessToken {
        AccessToken {
            tenant: TenantId::from_uuid(Uuid::from_u128(1)),
            client: ClientId::from_uuid(Uuid::from_u128(2)),
            id: TokenId::from_uuid(Uuid::from_u128(3)),
            member: None,
            scopes: Scopes::parse("a.b:read a.b:write").unwrap(),
            audiences: vec!["https://a.example".into()],
            issued_at: DateTime::UNIX_EPOCH,
            expires_at: DateTime::UNIX_EPOCH + TimeDelta::hours(1),
            revoked_at: None,
            position: Position {
                epoch: 5,
                sequence: 10,
            },
            ip: None,
        }
    }

    fn check(
        token: &AccessToken,
        now: TimeDelta,
        tenant: &Suspension,
        client: &Suspension,
        allowed: &str,
    ) -> Result<Scopes, Inactive> {
        let allowed_now = if allowed.is_empty() {
            Scopes::default()
        } else {
            Scopes::parse(allowed).unwrap()
        };
        token.check(
            DateTime::UNIX_EPOCH + now,
            &TokenSurroundings {
                epoch: 5,
                tenant,
                client,
                member: &Suspension::default(),
                allowed_now: &allowed_now,
            },
        )
    }

    const BOTH: &str = "a.b:read a.b:write";

    #[test]
    fn a_token_is_good_until_the_moment_it_expires() {
        let (free, hour) = (Suspension::default(), TimeDelta::hours(1));
        let moment = TimeDelta::microseconds(1);
        assert!(check(&token(), hour - moment, &free, &free, BOTH).is_ok());
        assert_eq!(
            check(&token(), hour, &free, &free, BOTH),
            Err(Inactive::Expired)
        );
    }

    #[test]
    fn pause_2_and_3_a_paused_subject_stops_the_token_and_enabling_brings_it_back() {
        let free = Suspension::default();
        let paused = Suspension {
            by_operator: Some(Pause {
                since: DateTime::UNIX_EPOCH,
                reason: None,
            }),
            ..Suspension::default()
        };
        assert_eq!(
            check(&token(), TimeDelta::zero(), &paused, &free, BOTH),
            Err(Inactive::Tenant)
        );
        assert_eq!(
            check(&token(), TimeDelta::zero(), &free, &paused, BOTH),
            Err(Inactive::Client)
        );
        assert!(check(&token(), TimeDelta::zero(), &free, &free, BOTH).is_ok());
    }

    #[test]
    fn token_2_revoked_or_cut_is_dead() {
        let free = Suspension::default();
        let cut = Suspension {
            cut_below: 11,
            ..Suspension::default()
        };
        let revoked = AccessToken {
            revoked_at: Some(DateTime::UNIX_EPOCH),
            ..token()
        };
        assert_eq!(
            check(&revoked, TimeDelta::zero(), &free, &free, BOTH),
            Err(Inactive::Revoked)
        );
        assert_eq!(
            check(&token(), TimeDelta::zero(), &free, &cut, BOTH),
            Err(Inactive::Client)
        );
        assert_eq!(
            check(&token(), TimeDelta::zero(), &cut, &free, BOTH),
            Err(Inactive::Tenant)
        );
    }

    #[test]
    fn after_a_restore_everything_issued_before_is_dead() {
        let free = Suspension::default();
        let older = AccessToken {
            position: Position {
                epoch: 4,
                sequence: 10_000,
            },
            ..token()
        };
        assert_eq!(
            check(&older, TimeDelta::zero(), &free, &free, BOTH),
            Err(Inactive::OtherEpoch)
        );
    }

    #[test]
    fn token_8_effective_scopes_are_those_still_allowed() {
        let free = Suspension::default();
        let left = check(
            &token(),
            TimeDelta::zero(),
            &free,
            &free,
            "a.b:read c.d:else",
        )
        .unwrap();
        assert_eq!(left, Scopes::parse("a.b:read").unwrap());
        assert_eq!(
            check(&token(), TimeDelta::zero(), &free, &free, ""),
            Err(Inactive::NoScopeLeft)
        );
    }

    #[test]
    fn token_2_what_is_dead_has_no_standing_and_what_sleeps_has_one() {
        let paused = Suspension {
            by_tenant: Some(Pause {
                since: DateTime::UNIX_EPOCH,
                reason: None,
            }),
            ..Suspension::default()
        };
        let cut = Suspension {
            cut_below: 11,
            ..Suspension::default()
        };
        let (free, allowed) = (Suspension::default(), Scopes::parse(BOTH).unwrap());
        let nothing = Scopes::default();
        let of = |token: &AccessToken, minutes, client, member, allowed_now| {
            token.standing(
                DateTime::UNIX_EPOCH + TimeDelta::minutes(minutes),
                &TokenSurroundings {
                    epoch: 5,
                    tenant: &Suspension::default(),
                    client,
                    member,
                    allowed_now,
                },
            )
        };
        let own = token();
        let of_member = AccessToken {
            member: Some(MemberId::from_uuid(Uuid::from_u128(9))),
            ..token()
        };
        let active = Some(Standing::Active(allowed.clone()));
        assert_eq!(of(&own, 0, &free, &free, &allowed), active);
        assert_eq!(of(&own, 60, &free, &free, &allowed), None);
        assert_eq!(of(&own, 0, &cut, &free, &allowed), None);
        assert_eq!(
            of(&own, 0, &paused, &free, &allowed),
            Some(Standing::Sleeping)
        );
        assert_eq!(
            of(&own, 0, &free, &free, &nothing),
            Some(Standing::Powerless)
        );
        // What stops a member is nothing to a token that is nobody's.
        assert_eq!(of(&own, 0, &free, &cut, &allowed), active);
        assert_eq!(of(&of_member, 0, &free, &cut, &allowed), None);
        assert_eq!(
            of(&of_member, 0, &free, &paused, &allowed),
            Some(Standing::Sleeping)
        );
        // One that sleeps by its client is dead all the same if its member was cut off.
        assert_eq!(of(&of_member, 0, &paused, &cut, &allowed), None);
        let revoked = AccessToken {
            revoked_at: Some(DateTime::UNIX_EPOCH),
            ..token()
        };
        assert_eq!(of(&revoked, 0, &paused, &free, &allowed), None);
    }
}
