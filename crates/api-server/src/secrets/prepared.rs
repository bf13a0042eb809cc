//! A secret that is made here: what is stored of it, and its one showing.

use chrono::{DateTime, Utc};
use grantor_domain::audit::{Action, Event, Target};
use grantor_domain::ids::{ClientId, SecretId, TenantId};
use grantor_keys::{PlainSecret, SecretKind};
use grantor_storage::client_secrets::{NewSecret, SecretVerifier};
use serde::Serialize;
use serde_json::json;
use utoipa::ToSchema;

use super::as_stored;
use crate::Api;
use crate::problem::Problem;

/// A secret in the one answer that shows it.
#[derive(Serialize, ToSchema)]
pub struct ShownSecret {
    /// Its id.
    #[schema(value_type = String, example = "sec_01kb2q3r4s5t6v7w8x9y0z1a2b")]
    id: SecretId,
    /// The secret itself. Keep it safe: it is shown this once.
    #[schema(example = "gsec_…")]
    value: String,
    /// The first characters, by which lists tell secrets apart.
    #[schema(example = "gsec_Ab3d")]
    hint: String,
    /// When it was made.
    created_at: DateTime<Utc>,
    /// When it ends by itself; absent if it does not.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    expires_at: Option<DateTime<Utc>>,
}

/// What stands in a secret's place in the answer of a dry run. It is none.
pub const DRY_RUN_SECRET: &str = "gsec_none_this_was_a_dry_run";

impl ShownSecret {
    /// Its id.
    pub fn id(&self) -> SecretId {
        self.id
    }
}

impl std::fmt::Debug for ShownSecret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ShownSecret")
            .field("id", &self.id)
            .field("value", &"[redacted]")
            .finish_non_exhaustive()
    }
}

/// A new secret: what is stored of it, and what is shown.
pub struct PreparedSecret {
    plain: PlainSecret,
    stored: NewSecret,
}

impl PreparedSecret {
    /// Makes a secret for a client, which ends by itself if it is told when.
    pub fn new(
        api: &Api,
        client: ClientId,
        expires_at: Option<DateTime<Utc>>,
    ) -> Result<Self, Problem> {
        let plain = PlainSecret::generate(SecretKind::Client, api.authority.entropy())?;
        let stored = NewSecret {
            id: api.new_id()?,
            hint: plain.hint(),
            verifier: SecretVerifier::Keyed(
                api.authority.keyring().verifier(&plain, client.uuid()),
            ),
            expires_at: as_stored(expires_at),
        };
        Ok(Self { plain, stored })
    }

    /// What is stored.
    pub fn stored(&self) -> &NewSecret {
        &self.stored
    }

    /// `secret_1`: what the log of record says of its one showing.
    pub fn shown_event(&self, tenant: TenantId, client: ClientId) -> Event {
        Event::new(tenant, Action::SecretShown, Target::Secret(self.stored.id))
            .after(json!({ "client_id": client, "hint": self.stored.hint }))
    }

    /// The secret alone, for its one showing.
    pub fn into_value(self) -> String {
        self.plain.expose().to_owned()
    }

    /// The secret, for its one showing. A dry run shows none: nothing is left of it.
    pub fn show(self, created_at: DateTime<Utc>, dry_run: bool) -> ShownSecret {
        ShownSecret {
            id: self.stored.id,
            value: if dry_run {
                DRY_RUN_SECRET.to_owned()
            } else {
                self.plain.expose().to_owned()
            },
            hint: self.stored.hint,
            created_at,
            expires_at: self.stored.expires_at,
        }
    }
}
