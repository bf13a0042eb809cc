//! Whether a token on record is good, whichever way it was read.

use chrono::{DateTime, Utc};
use grantor_domain::suspension::Suspension;
use grantor_domain::token::TokenSurroundings;
use grantor_protocol::scope::Scopes;
use grantor_storage::tokens::RecordedToken;

/// The scopes for which a presented token is good now, if it is the one on record and good at all.
pub(crate) fn good_for(
    presented: &str,
    recorded: &RecordedToken,
    tenant_suspension: &Suspension,
    allowed_now: &Scopes,
    now: DateTime<Utc>,
) -> Option<Scopes> {
    if !recorded.hash.matches(presented) {
        return None;
    }
    let around = TokenSurroundings {
        epoch: recorded.epoch,
        tenant: tenant_suspension,
        client: &recorded.client_suspension,
        member: &recorded.member_suspension,
        allowed_now,
    };
    match recorded.token.check(now, &around) {
        Ok(scopes) => Some(scopes),
        Err(why) => {
            log::debug!("{} is not good: {why}", recorded.token.id);
            None
        }
    }
}
