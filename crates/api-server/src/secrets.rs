//! Secrets of clients: made, shown once, rotated.

use actix_web::{HttpResponse, post, web};
use chrono::{DateTime, Utc};
use grantor_domain::audit::{Action, Event, Events, Target};
use grantor_domain::client::{Client, confirms};
use grantor_domain::ids::{ClientId, OrganizationId, SecretId, TenantId};
use grantor_domain::permission::Permission;
use grantor_domain::role::{HeldPermissions, HomeTenant};
use grantor_keys::{PlainSecret, SecretKind};
use grantor_storage::clients::NewSecret;
use grantor_storage::{Change, ChangeTx, Scope, clients, role_assignments, tenants};
use serde::{Deserialize, Serialize};
use serde_json::json;
use utoipa::ToSchema;

use crate::Api;
use crate::clients::find_for_change;
use crate::problem::{FieldFault, Problem, ProblemBody};
use crate::requests::{Call, QueryString, RawBody, refused};

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
    /// Makes a secret for a client.
    pub fn new(api: &Api, client: ClientId) -> Result<Self, Problem> {
        let plain = PlainSecret::generate(SecretKind::Client, api.authority.entropy())?;
        let stored = NewSecret {
            id: api.new_id()?,
            hint: plain.hint(),
            verifier: api.authority.keyring().verifier(&plain, client.uuid()),
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

    /// The secret, for its one showing.
    pub fn show(self, created_at: DateTime<Utc>) -> ShownSecret {
        ShownSecret {
            id: self.stored.id,
            value: self.plain.expose().to_owned(),
            hint: self.stored.hint,
            created_at,
        }
    }
}

/// What confirms a rotation.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct RotationInput {
    /// The client's name, exactly.
    #[schema(example = "Nightly export")]
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

/// Rotate the secret
///
/// Makes a new secret, shows it this once, and stops every old one at once. Tokens live on. The client's
/// name must be typed in `confirm_name`. Needs the permission `secrets.write`.
#[utoipa::path(
    operation_id = "rotateClientSecret", tag = "Secrets", request_body = RotationInput,
    params(("tenant" = String, Path, description = "The tenant's id"),
        ("client" = String, Path, description = "The client's id")),
    responses((status = 200, body = RotatedSecret),
        (status = "default", body = ProblemBody, content_type = "application/problem+json")),
    security(("bearer" = ["grantor:secrets.write"])))]
#[post("/v1/tenants/{tenant}/clients/{client}/secrets/rotate")]
pub async fn rotate(
    api: web::Data<Api>,
    call: Call,
    path: web::Path<(String, String)>,
    body: RawBody,
    query: QueryString,
) -> Result<HttpResponse, Problem> {
    let (tenant, client) = path.into_inner();
    let call = call
        .urgent()
        .authorized(Permission::SecretsWrite, &tenant)
        .await?;
    let tenant = call.tenant;
    query.only(&[])?;
    let input: RotationInput = body.read()?;
    let id: ClientId = client.parse().map_err(|_| Problem::NotFound)?;
    let secret = PreparedSecret::new(&api, id)?;
    let caller = call.caller;
    let rotated = api
        .authority
        .database()
        .reserved()
        .change(Scope::Tenant(tenant), call.origin, call.now, move |tx| {
            // The row is locked first: of two rotations at once, the later one revokes the earlier's secret.
            let client = find_for_change(tx, tenant, &client)?;
            if !confirms(&client, &input.confirm_name) {
                let fault = FieldFault::pointer(
                    "/confirm_name",
                    "must be the client's name, exactly; nothing was rotated",
                );
                return Err(Problem::ConfirmationMismatch(fault));
            }
            let conveyed = permissions_of_client(tx, tenant, &client)?;
            if let Err(refusal) = caller.may_come_by(conveyed) {
                return Ok(refused(&caller, refusal));
            }
            let revoked = clients::revoke_secrets(tx, tenant, id)?;
            clients::insert_secret(tx, tenant, id, secret.stored())?;
            let particulars = json!({ "revoked": revoked, "made": secret.stored().id });
            let events = Events::from(
                Event::new(tenant, Action::SecretRotated, Target::Client(id)).after(particulars),
            )
            .and(secret.shown_event(tenant, id));
            let rotated = RotatedSecret {
                client_id: id.to_string(),
                secret: secret.show(tx.now()),
                revoked_secret_ids: revoked.iter().map(ToString::to_string).collect(),
            };
            Ok(Change::Made(Ok(rotated), events))
        })
        .await??;
    Ok(HttpResponse::Ok()
        .insert_header(("Cache-Control", "no-store"))
        .json(rotated))
}

/// What a token of a client can convey at most: its roles, as far as its scopes name them, each over the
/// organization at the end of a path from the root.
fn permissions_of_client(
    tx: &mut ChangeTx<'_>,
    tenant: TenantId,
    client: &Client,
) -> Result<Vec<(Permission, Vec<OrganizationId>)>, Problem> {
    let found = tenants::find(tx, tenant)?.ok_or(Problem::NotFound)?;
    let home = HomeTenant {
        root: found.root_organization,
        is_platform: found.is_platform,
    };
    let roles = role_assignments::of_client(tx, tenant, client.id)?;
    let conveyed = HeldPermissions::of(&roles, home).within(&client.settings.allowed_scopes);
    Ok(conveyed
        .iter()
        .map(|(permission, over)| {
            // What may lie between the two is left out: a caller who holds it there alone is refused.
            let path = if over == home.root {
                vec![over]
            } else {
                vec![home.root, over]
            };
            (permission, path)
        })
        .collect())
}
