//! Whether a client is who it says, and everything that was looked at to tell.

use chrono::{DateTime, Utc};
use grantor_domain::authentication::{AuthenticationFailure, authenticate};
use grantor_domain::client::Client;
use grantor_domain::grant::check_standing;
use grantor_domain::ids::{ClientId, TenantId};
use grantor_domain::suspension::Position;
use grantor_domain::tenant::Tenant;
use grantor_keys::Keyring;
use grantor_storage::client_secrets::SecretVerifier;
use grantor_storage::{ReadTx, client_secrets, clients, tenants, tokens};

use crate::{PresentedCredentials, Refusal};

/// A client that proved who it is, and what the proof rested on.
pub(crate) struct Authenticated {
    /// Read before everything else, so that a change after it can't have been seen.
    pub(crate) position: Position,
    pub(crate) tenant: Tenant,
    pub(crate) client: Client,
}

/// Authenticates a client within a transaction, and checks that it may do anything at all.
pub(crate) fn authenticate_client(
    tx: &mut ReadTx<'_>,
    keyring: &Keyring,
    tenant: TenantId,
    presented: &PresentedCredentials,
    now: DateTime<Utc>,
) -> Result<Authenticated, Refusal> {
    let position = tokens::position(tx)?;
    let tenant = tenants::find(tx, tenant)?.ok_or(Refusal::NoSuchTenant)?;
    let id: Option<ClientId> = presented.client_id.parse().ok();
    let client = clients::find(
        tx,
        tenant.id,
        id.unwrap_or(ClientId::from_uuid(uuid::Uuid::nil())),
    )?;
    // An unknown client costs what a known one does: the same questions are asked, and a comparison is made
    // either way.
    let owner = id.map_or(uuid::Uuid::nil(), ClientId::uuid);
    let secrets = client_secrets::live(tx, tenant.id, ClientId::from_uuid(owner), now)?;
    let mut matched = false;
    let mut compared = false;
    for (secret, verifier) in &secrets {
        let SecretVerifier::Keyed(verifier) = verifier else {
            continue;
        };
        compared = true;
        match keyring.verify(verifier, owner, &presented.client_secret) {
            Ok(is_it) => matched |= is_it,
            Err(unknown) => log::error!("the verifier of {} can't be read: {unknown}", secret.id),
        }
    }
    if !compared {
        keyring.verify_nobody(owner, &presented.client_secret);
    }
    authenticate(client.as_ref(), presented.method, matched)?;
    let client = client.ok_or(AuthenticationFailure::Unproved)?;
    check_standing(&tenant, &client)?;
    Ok(Authenticated {
        position,
        tenant,
        client,
    })
}
