//! Secrets as they are listed: everything but what they are.

use chrono::{DateTime, Utc};
use grantor_domain::client_secret::{ClientSecret, SecretState as State};
use grantor_domain::ids::{MemberId, SecretId};
use grantor_domain::ownership::{self, RotationDue, RotationMark};
use serde::Serialize;
use utoipa::ToSchema;

use crate::words::{DueWhy, SecretOrigin, SecretState, TransferCause};

/// A secret of a client, without what it is.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Secret, example = json!({ "id": "sec_01kb2q3r4s5t6v7w8x9y0z1a2b", "origin": "generated",
    "hint": "gsec_Ab3d", "state": "live", "created_by": "mem_01kb2q3r4s5t6v7w8x9y0z1a2b",
    "created_at": "2026-01-31T12:00:00Z", "expires_at": null, "revoked_at": null,
    "last_used_at": "2026-01-31T12:00:00Z", "rotation_due": null }))]
pub struct SecretOutput {
    /// Its id.
    #[schema(value_type = String, example = "sec_01kb2q3r4s5t6v7w8x9y0z1a2b")]
    id: SecretId,
    /// Where it comes from.
    origin: SecretOrigin,
    /// The first characters, by which secrets are told apart; `null` for one that somebody chose.
    #[schema(required = true)]
    hint: Option<String>,
    /// Whether it proves its client.
    state: SecretState,
    /// Who made it, as the log of record names them.
    #[schema(example = "mem_01kb2q3r4s5t6v7w8x9y0z1a2b")]
    created_by: String,
    /// When it was made.
    created_at: DateTime<Utc>,
    /// When it ends by itself, if it does.
    #[schema(required = true)]
    expires_at: Option<DateTime<Utc>>,
    /// When it was revoked, or rotated away.
    #[schema(required = true)]
    revoked_at: Option<DateTime<Utc>>,
    /// When its client last authenticated by it, some seconds late; `null` if it never did.
    #[schema(required = true)]
    last_used_at: Option<DateTime<Utc>>,
    /// That it ought to be replaced, and why. It works until then. Never of one that is not live.
    #[schema(required = true)]
    rotation_due: Option<RotationDueOutput>,
}

/// That a secret ought to be replaced, after something of its organization changed hands.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = SecretRotationDue)]
pub struct RotationDueOutput {
    /// How urgent it is.
    why: DueWhy,
    /// What brought it about.
    cause: TransferCause,
    /// Since when.
    since: DateTime<Utc>,
    /// Whose client it was, who made the secret, or who left.
    #[schema(value_type = String, example = "mem_01kb2q3r4s5t6v7w8x9y0z1a2b")]
    former_owner_id: MemberId,
}

/// A secret's first characters; of one that somebody chose, none are kept.
pub fn shown_hint(hint: String) -> Option<String> {
    Some(hint).filter(|hint| !hint.is_empty())
}

impl From<RotationDue> for RotationDueOutput {
    fn from(due: RotationDue) -> Self {
        Self {
            why: due.why.into(),
            cause: due.cause.into(),
            since: due.since,
            former_owner_id: due.former_owner,
        }
    }
}

impl SecretOutput {
    /// What is shown of a secret at `now`, with the mark of the organization in which its client lives.
    pub fn of(
        secret: &ClientSecret,
        mark: Option<&RotationMark>,
        last_used_at: Option<DateTime<Utc>>,
        now: DateTime<Utc>,
    ) -> Self {
        let state = secret.state(now);
        // What opens nothing any more needs no replacing.
        let due = ownership::due(secret, mark).filter(|_| state == State::Live);
        Self {
            id: secret.id,
            origin: secret.origin.into(),
            hint: shown_hint(secret.hint.clone()),
            state: state.into(),
            created_by: secret.created_by.clone(),
            created_at: secret.created_at,
            expires_at: secret.expires_at,
            revoked_at: secret.revoked_at,
            last_used_at,
            rotation_due: due.map(RotationDueOutput::from),
        }
    }
}
