//! A secret of an administrator's own choice (`secret_4`).

use chrono::{DateTime, Utc};
use grantor_domain::audit::{Action, Event, Target};
use grantor_domain::chosen_secret::{ChosenSecret, ChosenSecretRules};
use grantor_domain::client::Client;
use grantor_domain::ids::{ClientId, SecretId};
use grantor_domain::permission::Permission;
use grantor_domain::settings::ChosenSecrets;
use grantor_keys::PasswordVerifier;
use grantor_storage::client_secrets::{NewSecret, SecretVerifier};
use grantor_storage::{Change, Reads, client_secrets, settings};
use serde::de::Error as _;
use serde::{Deserialize, Deserializer};
use serde_json::json;
use utoipa::ToSchema;
use zeroize::Zeroizing;

use super::shapes::SecretOutput;
use super::{as_stored, check_conveyed, check_expiry, check_room, find_holder, location};
use crate::answer::Answer;
use crate::call::{Acting, Call, Stop, refusal_event};
use crate::clients::find;
use crate::operation::{Operation, Success, Tag};
use crate::problem::{Problem, ProblemCode};
use crate::requests::Json;

/// A secret that somebody chose.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = ChosenSecret, example = json!({ "value": "let-a-password-generator-draw-this-one" }))]
pub struct ChosenSecretInput {
    /// The secret: ASCII letters, digits and punctuation, drawn by a password generator. It is never told again.
    #[serde(deserialize_with = "unrepeated")]
    #[schema(value_type = String, format = Password, min_length = 32, max_length = 128, pattern = "^[!-~]+$", write_only)]
    value: Zeroizing<String>,
    /// When it ends by itself, within ten years; never if this is absent.
    expires_at: Option<DateTime<Utc>>,
}

/// A text of which, when it is none, nothing is told: the parser's own sentence would repeat it.
fn unrepeated<'de, D: Deserializer<'de>>(given: D) -> Result<Zeroizing<String>, D::Error> {
    Zeroizing::deserialize(given).map_err(|_| D::Error::custom("must be a text"))
}

impl std::fmt::Debug for ChosenSecretInput {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ChosenSecretInput")
            .field("value", &"[redacted]")
            .finish_non_exhaustive()
    }
}

pub(super) fn operations() -> Vec<Operation> {
    vec![
        Operation::post(
            "chooseClientSecret",
            "/v1/tenants/{tenant}/clients/{client}/secrets/choose",
        )
        .about(
            Tag::Secrets,
            "Set a secret of your own choice",
            "Gives the client a secret that you know already, beside those that it has; for a move from elsewhere, where \
             the secret can't change. One that is generated is better. A tenant can forbid it by its settings. At most 5 \
             secrets of a client are live, and a public client has none. You must hold all that the client's tokens can \
             convey. If-Match takes the client's ETag.",
        )
        .needs(Permission::SecretsWrite)
        .conditional()
        .takes::<Json<ChosenSecretInput>>()
        .answers::<SecretOutput>(Success::Created)
        .may_fail(&[ProblemCode::PublicClient, ProblemCode::TooManySecrets])
        .records(&[Action::SecretChosen])
        .by(choose),
    ]
}

async fn choose(
    call: Call,
    Json(input): Json<ChosenSecretInput>,
) -> Result<Answer<SecretOutput>, Problem> {
    let ChosenSecretInput { value, expires_at } = input;
    let id: ClientId = call.id("client")?;
    let secret: SecretId = call.api().new_id()?;
    let expires_at = as_stored(expires_at);
    let location = location(&call, id, secret);
    let verifier = hashed(&call, id, value.clone()).await?;
    call.change(move |tx, acting| {
        let tenant = acting.tenant;
        let client = find_holder(tx, acting, id)?;
        // Once more: its name and the tenant's settings may have changed while it was hashed.
        judged(tx, acting, &client, &value)?;
        check_expiry(expires_at, tx.now())?;
        check_conveyed(tx, acting, &client)?;
        check_room(tx, acting, id)?;
        // It was refused before and is not any more; the next try goes well.
        let verifier = verifier.ok_or(Problem::Unavailable)?;
        let stored = NewSecret {
            id: secret,
            hint: String::new(),
            verifier: SecretVerifier::Slow(verifier),
            expires_at,
        };
        client_secrets::insert(tx, tenant, id, &stored)?;
        let event = Event::new(tenant, Action::SecretChosen, Target::Secret(secret))
            .after(json!({ "client_id": id, "expires_at": expires_at }));
        let kept = client_secrets::find(tx, tenant, id, secret)?.ok_or(Problem::Internal)?;
        // A mark says nothing of what is made after it.
        let shown = SecretOutput::of(&kept, None, None, tx.now());
        Ok(Change::made(Answer::created(&shown, location)?, event))
    })
    .await
}

/// The verifier of a chosen secret, made when its turn has come, before any row is locked. Nothing where it is refused:
/// that is told within the change, so that a repeated request gets its first answer all the same.
async fn hashed(
    call: &Call,
    id: ClientId,
    value: Zeroizing<String>,
) -> Result<Option<PasswordVerifier>, Problem> {
    let judged = call
        .read(move |tx, acting| {
            let judged =
                find(tx, acting, id).and_then(|client| judged(tx, acting, &client, &value));
            match judged {
                Ok(secret) => Ok(Some(secret)),
                Err(Stop::Problem(problem @ (Problem::Unavailable | Problem::Internal))) => {
                    Err(problem.into())
                }
                Err(_) => Ok(None),
            }
        })
        .await?;
    match judged {
        Some(secret) => {
            let verifier = call.api().authority.hash_secret(secret, id).await?;
            Ok(Some(verifier))
        }
        None => Ok(None),
    }
}

/// The secret, if the tenant allows it and it is strong enough for this client.
fn judged(
    tx: &mut impl Reads,
    acting: &Acting,
    client: &Client,
    value: &str,
) -> Result<ChosenSecret, Stop> {
    if settings::find(tx, acting.tenant)?.chosen_secrets == ChosenSecrets::Forbidden {
        let problem = Problem::field(
            "/value",
            "can't be chosen in this tenant, by its settings; let one be generated with `POST …/secrets`",
        );
        let why = json!({ "reason": "chosen secrets are forbidden" });
        let target = Target::Client(client.id);
        return Err(Stop::refused(
            problem,
            refusal_event(&acting.caller, target, why),
        ));
    }
    let rules = ChosenSecretRules {
        client_name: client.settings.name.clone(),
        client_id: client.id,
    };
    Ok(ChosenSecret::parse(value, &rules).map_err(|error| Problem::field("/value", error))?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secret_2_a_chosen_secret_is_printed_nowhere_and_a_wrong_one_not_repeated() {
        const SECRET: &str = "Vq7-mX2_kT9wR4zB8nLpC3sYd6hJ1gFe";
        let given = json!({ "value": SECRET });
        let input: ChosenSecretInput = serde_json::from_value(given).unwrap();
        assert_eq!(*input.value, SECRET);
        let printed = format!("{input:?}");
        assert!(!printed.contains("Vq7"), "{printed}");
        for wrong in [json!([SECRET]), json!({ "of": SECRET }), json!(7_654_321)] {
            let given = json!({ "value": wrong });
            let refused = serde_json::from_value::<ChosenSecretInput>(given).unwrap_err();
            let refused = refused.to_string();
            assert!(refused.contains("must be a text"), "{refused}");
            for part in ["Vq7", "7654321"] {
                assert!(!refused.contains(part), "{refused}");
            }
        }
    }
}
