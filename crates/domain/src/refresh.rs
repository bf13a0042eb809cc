//! Refresh tokens: a family that rotates, and what becomes of it when one of its tokens is presented (`token_4`).
//!
//! A family is all the refresh tokens that one authorization leads to. One of them is current; the one before is taken
//! for a retry for a few seconds after the rotation; every other is a replay, which ends the family for good, because
//! nobody can tell the thief from the owner (RFC 9700 §4.14.2).

use chrono::{DateTime, TimeDelta, Utc};
use grantor_protocol::error::ErrorCode;
use grantor_protocol::scope::Scopes;

use crate::grant::{Gate, Verdict};
use crate::ids::{ClientId, MemberId, RefreshFamilyId, TenantId};
use crate::suspension::{Position, Suspension};

/// For how long after a rotation whoever lost the answer may ask again.
pub const RETRY_WINDOW: TimeDelta = TimeDelta::seconds(10);

/// The place of a token in its family: counts up with each rotation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Generation(u32);

impl Generation {
    /// That of a family's first token.
    pub const FIRST: Self = Self(1);

    /// The generation of this number.
    pub fn new(number: u32) -> Self {
        Self(number)
    }

    /// Its number.
    pub fn number(self) -> u32 {
        self.0
    }

    /// The one after it. A family that could have none, after four thousand millions, stays where it is.
    #[must_use]
    pub fn next(self) -> Self {
        Self(self.0.saturating_add(1))
    }
}

/// Why a family is dead.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FamilyEnd {
    /// A token that had been used before was presented again.
    Replayed,
    /// Its authorization or one of its tokens was revoked.
    Revoked,
}

impl FamilyEnd {
    /// Both.
    pub const ALL: [Self; 2] = [Self::Replayed, Self::Revoked];

    /// The stored word.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Replayed => "replayed",
            Self::Revoked => "revoked",
        }
    }

    /// Reads the stored word.
    pub fn parse(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|end| end.as_str() == word)
    }
}

/// How a family is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FamilyState {
    /// This is its current generation, since then.
    Live {
        /// The generation whose token is to be presented next.
        current: Generation,
        /// When that token was made.
        since: DateTime<Utc>,
    },
    /// It has ended, for good.
    Dead {
        /// When.
        at: DateTime<Utc>,
        /// Why.
        why: FamilyEnd,
    },
}

/// A family of refresh tokens.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RefreshFamily {
    /// The tenant whose it is.
    pub tenant: TenantId,
    /// Its id, whose time is its expiry: rotation does not prolong it (`client_14`).
    pub id: RefreshFamilyId,
    /// The client whose it is, alone (RFC 6749 §6).
    pub client: ClientId,
    /// The member for whom the client acts.
    pub member: MemberId,
    /// What was granted: no access token out of it has more.
    pub scopes: Scopes,
    /// How it is.
    pub state: FamilyState,
    /// When all of it is over.
    pub expires_at: DateTime<Utc>,
    /// For how long a token may lie unused, if that matters.
    pub idle: Option<TimeDelta>,
    /// What the decision to begin it rested on.
    pub position: Position,
}

/// What is asked for with a refresh token.
#[derive(Debug, Clone)]
pub struct RefreshRequest {
    /// The client that proved who it is, or says so if it is public.
    pub client: ClientId,
    /// The generation of the token that it presents.
    pub presented: Generation,
    /// The scopes that it names.
    pub scopes: Option<Scopes>,
}

/// What a family hangs on, read in one snapshot with the family itself.
#[derive(Debug, Clone)]
pub struct FamilySurroundings<'a> {
    /// The installation's epoch.
    pub epoch: i64,
    /// What suspends its tenant.
    pub tenant: &'a Suspension,
    /// What suspends its client.
    pub client: &'a Suspension,
    /// What suspends its member.
    pub member: &'a Suspension,
}

/// What comes of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RefreshOutcome {
    /// The current token was presented: its successor is made, and an access token with these scopes.
    Rotate {
        /// From which generation.
        from: Generation,
        /// The scopes of the access token.
        scopes: Scopes,
    },
    /// The answer to the last rotation was lost: the same successor again, and a new access token.
    Repeat {
        /// The generation that is current.
        current: Generation,
        /// The scopes of the access token.
        scopes: Scopes,
    },
    /// A token was replayed: the family ends, with its access tokens, and the client is refused.
    End,
    /// Nothing is written, and the client is refused.
    Refuse,
}

/// A decision with the gates that led to it, in order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RefreshDecision {
    /// The gates, up to the first refusal.
    pub gates: Vec<Gate>,
    /// What comes of it.
    pub outcome: RefreshOutcome,
}

impl RefreshDecision {
    /// The refusal, if there is one.
    pub fn refusal(&self) -> Option<(ErrorCode, &str)> {
        self.gates.iter().find_map(|gate| match &gate.verdict {
            Verdict::Pass => None,
            Verdict::Refused { error, description } => Some((*error, description.as_str())),
        })
    }
}

/// Every reason that has to do with the token is told in these words: whoever holds a stolen one learns no more.
const NO_MORE: &str = "this refresh token is not good any more; let the member authorize anew";

/// Which of a family's tokens was presented.
enum Presented {
    Current,
    JustBefore,
    Replayed,
    /// Of a time that this database does not know: it was restored from a backup.
    Unknown,
}

/// Decides what a client gets for a refresh token that was given out here.
pub fn decide_refresh(
    family: &RefreshFamily,
    request: &RefreshRequest,
    around: &FamilySurroundings<'_>,
    now: DateTime<Utc>,
) -> RefreshDecision {
    let mut gates = Vec::with_capacity(9);
    let outcome = through(family, request, around, now, &mut gates);
    RefreshDecision { gates, outcome }
}

fn through(
    family: &RefreshFamily,
    request: &RefreshRequest,
    around: &FamilySurroundings<'_>,
    now: DateTime<Utc>,
    gates: &mut Vec<Gate>,
) -> RefreshOutcome {
    let mut pass = |name, rule, passed: bool, error, description: &str| {
        let verdict = if passed {
            Verdict::Pass
        } else {
            let description = description.to_owned();
            Verdict::Refused { error, description }
        };
        gates.push(Gate {
            name,
            rule,
            verdict,
        });
        passed
    };
    let mut good = |name, rule, passed| pass(name, rule, passed, ErrorCode::InvalidGrant, NO_MORE);

    // RFC 6749 §6: the refresh token is bound to the client to which it was issued. Another one can't end it either.
    if !good(
        "client_is_its_own",
        "token_4",
        request.client == family.client,
    ) || !good(
        "epoch_current",
        "token_4",
        family.position.epoch == around.epoch,
    ) {
        return RefreshOutcome::Refuse;
    }
    let FamilyState::Live { current, since } = family.state else {
        good("family_lives", "token_4", false);
        return RefreshOutcome::Refuse;
    };
    good("family_lives", "token_4", true);
    let is_idle = family.idle.is_some_and(|idle| now >= since + idle);
    if !good("not_expired", "client_14", now < family.expires_at)
        || !good("not_idle", "client_14", !is_idle)
        || !good(
            "tenant_active",
            "tenant_2",
            !around.tenant.stops(family.position),
        )
        || !good(
            "client_active",
            "pause_2",
            !around.client.stops(family.position),
        )
        || !good(
            "member_active",
            "pause_2",
            !around.member.stops(family.position),
        )
    {
        return RefreshOutcome::Refuse;
    }
    let presented = match request.presented {
        presented if presented == current => Presented::Current,
        presented if presented > current => Presented::Unknown,
        presented if presented.next() == current && now < since + RETRY_WINDOW => {
            Presented::JustBefore
        }
        _ => Presented::Replayed,
    };
    let is_fresh = matches!(presented, Presented::Current | Presented::JustBefore);
    if !good("not_replayed", "token_4", is_fresh) {
        return match presented {
            Presented::Replayed => RefreshOutcome::End,
            _ => RefreshOutcome::Refuse,
        };
    }
    // RFC 6749 §6: the requested scope MUST NOT include any scope not originally granted. Asking for too much uses
    // nothing up.
    let scopes = request.scopes.as_ref().unwrap_or(&family.scopes);
    if !pass(
        "scope_within",
        "rfc6749_6",
        scopes.is_subset_of(&family.scopes),
        ErrorCode::InvalidScope,
        "ask for no more than was granted, or leave `scope` out to get all of it",
    ) {
        return RefreshOutcome::Refuse;
    }
    let scopes = scopes.clone();
    match presented {
        Presented::Current => RefreshOutcome::Rotate {
            from: current,
            scopes,
        },
        _ => RefreshOutcome::Repeat { current, scopes },
    }
}

#[cfg(test)]
#[path = "refresh_tests.rs"]
mod tests;
