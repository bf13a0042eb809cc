//! A new secret in place of all that a client has (`secret_3`).

use chrono::{DateTime, Utc};
use grantor_domain::audit::{Action, Event, Events, Target};
use grantor_domain::client_secret::{Grace, MOST_LIVE};
use grantor_domain::ids::{ClientId, SecretId};
use grantor_domain::permission::Permission;
use grantor_storage::{Change, ChangeTx, client_secrets, suspensions};
use serde::{Deserialize, Serialize};
use serde_json::json;
use utoipa::ToSchema;

use super::prepared::{PreparedSecret, ShownSecret};
use super::{check_conveyed, check_expiry, find_holder};
use crate::answer::Answer;
use crate::call::{Acting, Call, Stop, confirm};
use crate::operation::{Operation, Success, Tag};
use crate::problem::{FieldFault, Problem, ProblemCode};
use crate::requests::Json;

/// How room is made for a rotation that leaves the old secrets for a while.
const WITHOUT_GRACE: &str = "revoke one first, or rotate without `grace_seconds`";

/// What confirms a rotation, and what it is to be like.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = Rotation, example = json!({ "confirm_name": "Nightly export" }))]
pub struct RotationInput {
    /// The client's name, exactly.
    #[schema(example = "Nightly export", max_length = 100)]
    confirm_name: String,
    /// For how long the old secrets go on working, up to 30 days; they stop at once if this is absent or 0.
    #[schema(example = 0, minimum = 0, maximum = 2_592_000)]
    grace_seconds: Option<i64>,
    /// When the new secret ends by itself, within ten years; never if this is absent.
    expires_at: Option<DateTime<Utc>>,
    /// Whether every token dies that the client was issued before.
    #[serde(default)]
    #[schema(example = false)]
    revoke_tokens: bool,
}

/// A rotation's result.
#[derive(Debug, Serialize, ToSchema)]
pub struct RotatedSecret {
    /// The client's id.
    client_id: String,
    /// The new secret, shown this once.
    secret: ShownSecret,
    /// The secrets that stopped working with this call.
    #[schema(value_type = Vec<String>)]
    revoked_secret_ids: Vec<SecretId>,
    /// The secrets that go on working for a while.
    ending_secret_ids: Vec<EndingSecret>,
    /// Whether every token is dead that was issued before.
    tokens_revoked: bool,
}

/// A secret that goes on working for a while.
#[derive(Debug, Serialize, ToSchema)]
pub struct EndingSecret {
    /// Its id.
    #[schema(value_type = String, example = "sec_01kb2q3r4s5t6v7w8x9y0z1a2b")]
    id: SecretId,
    /// When it stops.
    expires_at: DateTime<Utc>,
}

pub(super) fn operations() -> Vec<Operation> {
    vec![
        Operation::post(
            "rotateClientSecret",
            "/v1/tenants/{tenant}/clients/{client}/secrets/rotate",
        )
        .about(
            Tag::Secrets,
            "Rotate the secret",
            "Makes a new secret, shows it this once, and stops every old one: at once, or after `grace_seconds`, during \
             which at most 5 are live. Tokens live on, unless `revoke_tokens` is true. The client's name must be typed in \
             `confirm_name`. A public client has no secret to rotate.",
        )
        .needs(Permission::SecretsWrite)
        .urgent()
        .conditional()
        .takes::<Json<RotationInput>>()
        .answers::<RotatedSecret>(Success::Ok)
        .may_fail(&[
            ProblemCode::ConfirmationMismatch,
            ProblemCode::PublicClient,
            ProblemCode::TooManySecrets,
        ])
        .records(&[Action::SecretRotated, Action::SecretShown])
        .by(rotate),
    ]
}

async fn rotate(
    call: Call,
    Json(input): Json<RotationInput>,
) -> Result<Answer<RotatedSecret>, Problem> {
    let id: ClientId = call.id("client")?;
    let grace = Grace::from_seconds(input.grace_seconds.unwrap_or(0))
        .map_err(|error| Problem::field("/grace_seconds", error))?;
    let secret = PreparedSecret::new(call.api(), id, input.expires_at)?;
    call.change(move |tx, acting| {
        let tenant = acting.tenant;
        // The row is locked first: of two rotations at once, the later one stops the earlier's secret.
        let client = find_holder(tx, acting, id)?;
        confirm(
            Some(&input.confirm_name),
            client.settings.name.as_str(),
            FieldFault::pointer(
                "/confirm_name",
                "must be the client's name, exactly; nothing was rotated",
            ),
        )?;
        check_expiry(secret.stored().expires_at, tx.now())?;
        check_conveyed(tx, acting, &client)?;
        let (revoked, ending) = match grace.end(tx.now()) {
            None => (client_secrets::revoke_all(tx, tenant, id)?, Vec::new()),
            Some(end) => (Vec::new(), let_end(tx, acting, id, end)?),
        };
        client_secrets::insert(tx, tenant, id, secret.stored())?;
        if input.revoke_tokens {
            suspensions::cut_client_off(tx, tenant, id)?;
        }
        let particulars = json!({ "revoked": revoked, "ending": ending, "made": secret.stored().id,
            "tokens_revoked": input.revoke_tokens });
        let events = Events::from(
            Event::new(tenant, Action::SecretRotated, Target::Client(id)).after(particulars),
        )
        .and(secret.shown_event(tenant, id));
        let rotated = RotatedSecret {
            client_id: id.to_string(),
            secret: secret.show(tx.now(), acting.dry_run),
            revoked_secret_ids: revoked,
            ending_secret_ids: ending,
            tokens_revoked: input.revoke_tokens,
        };
        let answer = Answer::ok(&rotated)?.showing(tenant, id, rotated.secret.id());
        Ok(Change::Made(answer, events))
    })
    .await
}

/// Lets the live secrets of a client end then, or before if they do so by themselves.
fn let_end(
    tx: &mut ChangeTx<'_>,
    acting: &Acting,
    id: ClientId,
    end: DateTime<Utc>,
) -> Result<Vec<EndingSecret>, Stop> {
    let now = tx.now();
    let live = client_secrets::live(tx, acting.tenant, id, now)?;
    if live.len() >= MOST_LIVE {
        return Err(Problem::TooManySecrets(WITHOUT_GRACE).into());
    }
    client_secrets::end_all_at(tx, acting.tenant, id, end)?;
    Ok(live
        .into_iter()
        .map(|(secret, _)| EndingSecret {
            id: secret.id,
            expires_at: secret.expires_at.map_or(end, |own| own.min(end)),
        })
        .collect())
}
