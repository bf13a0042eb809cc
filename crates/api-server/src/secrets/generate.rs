//! One more secret beside those that a client has.

use chrono::{DateTime, Utc};
use grantor_domain::audit::{Action, Event, Events, Target};
use grantor_domain::ids::ClientId;
use grantor_domain::permission::Permission;
use grantor_storage::{Change, client_secrets};
use serde::{Deserialize, Serialize};
use serde_json::json;
use utoipa::ToSchema;

use super::prepared::{PreparedSecret, ShownSecret};
use super::{SECRETS, check_conveyed, check_expiry, check_room, find_holder, location};
use crate::answer::Answer;
use crate::call::Call;
use crate::operation::{Operation, Success, Tag};
use crate::problem::{Problem, ProblemCode};
use crate::requests::OptionalJson;

/// A secret to be made.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = NewSecret, example = json!({ "expires_at": "2030-01-31T12:00:00Z" }))]
pub struct NewSecretInput {
    /// When it ends by itself, within ten years; never if this is absent.
    expires_at: Option<DateTime<Utc>>,
}

/// A secret that was just made.
#[derive(Debug, Serialize, ToSchema)]
pub struct GeneratedSecret {
    /// The client's id.
    client_id: String,
    /// The secret, shown this once.
    secret: ShownSecret,
}

pub(super) fn operations() -> Vec<Operation> {
    vec![
        Operation::post("generateClientSecret", SECRETS)
            .about(
                Tag::Secrets,
                "Make a further secret",
                "Makes a secret beside those that the client has, and shows it this once. At most 5 of a client are live, \
                 and a public client has none. You must hold all that the client's tokens can convey. If-Match takes \
                 the client's ETag.",
            )
            .needs(Permission::SecretsWrite)
            .conditional()
            .takes::<OptionalJson<NewSecretInput>>()
            .answers::<GeneratedSecret>(Success::Created)
            .may_fail(&[ProblemCode::PublicClient, ProblemCode::TooManySecrets])
            .records(&[Action::SecretGenerated, Action::SecretShown])
            .by(generate),
    ]
}

async fn generate(
    call: Call,
    OptionalJson(input): OptionalJson<NewSecretInput>,
) -> Result<Answer<GeneratedSecret>, Problem> {
    let id: ClientId = call.id("client")?;
    let secret = PreparedSecret::new(call.api(), id, input.expires_at)?;
    let location = location(&call, id, secret.stored().id);
    call.change(move |tx, acting| {
        let tenant = acting.tenant;
        let client = find_holder(tx, acting, id)?;
        check_expiry(secret.stored().expires_at, tx.now())?;
        check_conveyed(tx, acting, &client)?;
        check_room(tx, acting, id)?;
        client_secrets::insert(tx, tenant, id, secret.stored())?;
        let made = Event::new(
            tenant,
            Action::SecretGenerated,
            Target::Secret(secret.stored().id),
        )
        .after(json!({ "client_id": id, "expires_at": secret.stored().expires_at }));
        let events = Events::from(made).and(secret.shown_event(tenant, id));
        let generated = GeneratedSecret {
            client_id: id.to_string(),
            secret: secret.show(tx.now(), acting.dry_run),
        };
        let answer = Answer::created(&generated, location)?;
        let answer = answer.showing(tenant, id, generated.secret.id());
        Ok(Change::Made(answer, events))
    })
    .await
}
