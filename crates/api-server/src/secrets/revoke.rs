//! The end of a single secret (`secret_5`).

use grantor_domain::audit::{Action, Event, Target};
use grantor_domain::ids::{ClientId, SecretId};
use grantor_domain::permission::Permission;
use grantor_storage::{Change, client_secrets};
use serde_json::json;

use crate::answer::Answer;
use crate::call::Call;
use crate::clients::find_for_change;
use crate::operation::{Operation, Tag};
use crate::problem::Problem;

pub(super) fn operations() -> Vec<Operation> {
    vec![
        Operation::delete(
            "revokeClientSecret",
            "/v1/tenants/{tenant}/clients/{client}/secrets/{secret}",
        )
        .about(
            Tag::Secrets,
            "Revoke a secret",
            "It proves nothing any more when this has answered; the others go on, and so do tokens. One that is revoked \
             already is told like one that never was. If-Match takes the client's ETag.",
        )
        .needs(Permission::SecretsWrite)
        .urgent()
        .conditional()
        .records(&[Action::SecretRevoked])
        .by(revoke),
    ]
}

async fn revoke(call: Call) -> Result<Answer<()>, Problem> {
    let id: ClientId = call.id("client")?;
    let secret: SecretId = call.id("secret")?;
    call.change(move |tx, acting| {
        find_for_change(tx, acting, id)?;
        if !client_secrets::revoke(tx, acting.tenant, id, secret)? {
            return Err(Problem::NotFound.into());
        }
        let event = Event::new(acting.tenant, Action::SecretRevoked, Target::Secret(secret))
            .after(json!({ "client_id": id }));
        Ok(Change::made(Answer::no_content(), event))
    })
    .await
}
