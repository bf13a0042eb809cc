//! Secrets of clients: made, shown once, rotated.

use chrono::{DateTime, Utc};
use grantor_domain::audit::{Action, Event, Events, Target};
use grantor_domain::client::Client;
use grantor_domain::ids::{ClientId, SecretId, TenantId};
use grantor_domain::permission::Permission;
use grantor_domain::role::HeldPermissions;
use grantor_keys::{PlainSecret, SecretKind};
use grantor_storage::client_secrets::{NewSecret, SecretVerifier};
use grantor_storage::role_assignments::Holder;
use grantor_storage::{Change, ChangeTx, client_secrets, role_assignments, tenants};
use serde::{Deserialize, Serialize};
use serde_json::json;
use utoipa::ToSchema;

use crate::Api;
use crate::answer::Answer;
use crate::call::{Call, confirm};
use crate::clients::find_for_change;
use crate::operation::{Operation, Success, Tag};
use crate::problem::{FieldFault, Problem, ProblemCode};
use crate::requests::Json;

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
            expires_at,
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
        }
    }
}

/// What confirms a rotation.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = Rotation, example = json!({ "confirm_name": "Nightly export" }))]
pub struct RotationInput {
    /// The client's name, exactly.
    #[schema(example = "Nightly export", max_length = 100)]
    confirm_name: String,
}

/// A rotation's result.
#[derive(Debug, Serialize, ToSchema)]
pub struct RotatedSecret {
    /// The client's id.
    client_id: String,
    /// The new secret, shown this once.
    secret: ShownSecret,
    /// The secrets that stopped working with this call.
    revoked_secret_ids: Vec<String>,
}

/// The operations on secrets.
pub fn operations() -> Vec<Operation> {
    vec![
        Operation::post(
            "rotateClientSecret",
            "/v1/tenants/{tenant}/clients/{client}/secrets/rotate",
        )
        .about(
            Tag::Secrets,
            "Rotate the secret",
            "Makes a new secret, shows it this once, and stops every old one at once. Tokens live on. The client's \
             name must be typed in `confirm_name`.",
        )
        .needs(Permission::SecretsWrite)
        .urgent()
        .conditional()
        .takes::<Json<RotationInput>>()
        .answers::<RotatedSecret>(Success::Ok)
        .may_fail(&[ProblemCode::ConfirmationMismatch])
        .records(&[Action::SecretRotated, Action::SecretShown])
        .by(rotate),
    ]
}

async fn rotate(
    call: Call,
    Json(input): Json<RotationInput>,
) -> Result<Answer<RotatedSecret>, Problem> {
    let id: ClientId = call.id("client")?;
    let secret = PreparedSecret::new(call.api(), id, None)?;
    call.change(move |tx, acting| {
        let tenant = acting.tenant;
        // The row is locked first: of two rotations at once, the later one revokes the earlier's secret.
        let client = find_for_change(tx, acting, id)?;
        confirm(
            Some(&input.confirm_name),
            client.settings.name.as_str(),
            FieldFault::pointer(
                "/confirm_name",
                "must be the client's name, exactly; nothing was rotated",
            ),
        )?;
        let conveyed = conveyed_by(tx, tenant, &client)?;
        acting.check_holds(tx, &conveyed)?;
        let revoked = client_secrets::revoke_all(tx, tenant, id)?;
        client_secrets::insert(tx, tenant, id, secret.stored())?;
        let particulars = json!({ "revoked": revoked, "made": secret.stored().id });
        let events = Events::from(
            Event::new(tenant, Action::SecretRotated, Target::Client(id)).after(particulars),
        )
        .and(secret.shown_event(tenant, id));
        let rotated = RotatedSecret {
            client_id: id.to_string(),
            secret: secret.show(tx.now(), acting.dry_run),
            revoked_secret_ids: revoked.iter().map(ToString::to_string).collect(),
        };
        let answer = Answer::ok(&rotated)?.showing(tenant, id, rotated.secret.id());
        Ok(Change::Made(answer, events))
    })
    .await
}

/// What a token of a client can convey at most: its roles, as far as its scopes name them.
fn conveyed_by(
    tx: &mut ChangeTx<'_>,
    tenant: TenantId,
    client: &Client,
) -> Result<HeldPermissions, Problem> {
    let home = tenants::find(tx, tenant)?.ok_or(Problem::NotFound)?.home();
    let roles = role_assignments::roles_of(tx, tenant, Holder::Client(client.id))?;
    Ok(HeldPermissions::of(&roles, home).within(&client.settings.allowed_scopes))
}
