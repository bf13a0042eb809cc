//! What the directory keeps of a tenant and of a client, and how it is loaded.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex};

use chrono::{DateTime, TimeDelta, Utc};
use grantor_domain::client::Client;
use grantor_domain::ids::{ClientId, OrganizationId, SecretId, TenantId};
use grantor_domain::quota::Quotas;
use grantor_domain::resource_server::{Catalogue, SigningAlgorithm};
use grantor_domain::settings::TenantSettings;
use grantor_domain::tenant::Tenant;
use grantor_keys::SigningKey;
use grantor_storage::client_secrets::SecretVerifier;
use grantor_storage::signing_keys::{self, StoredSigningKey};
use grantor_storage::{
    Database, ReadTx, Scope, StorageError, client_secrets, clients, enablements, quotas,
    resource_servers, settings, tenants,
};

use crate::locked;

/// A tenant, with what all its clients share.
pub(crate) struct TenantEntry {
    /// The tenant.
    pub(crate) tenant: Tenant,
    /// Its resource servers and those of the platform.
    pub(crate) catalogue: Catalogue,
    /// What it has set for itself.
    pub(crate) settings: TenantSettings,
    /// What the operators allow it.
    pub(crate) quotas: Quotas,
    /// With what its resource servers say that their tokens are signed.
    pub(crate) algorithms: Vec<SigningAlgorithm>,
    /// Its signing keys, also those that are over, in their order.
    pub(crate) keys: Vec<StoredSigningKey>,
    /// Those that were unsealed, by their ids: a key that is stored never changes.
    unsealed: Mutex<HashMap<String, Arc<SigningKey>>>,
}

impl fmt::Debug for TenantEntry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("TenantEntry").field(&self.tenant.id).finish()
    }
}

impl TenantEntry {
    /// A key of it, unsealed once.
    pub(crate) fn unsealed<E>(
        &self,
        kid: &str,
        unseal: impl FnOnce() -> Result<SigningKey, E>,
    ) -> Result<Arc<SigningKey>, E> {
        let mut unsealed = locked(&self.unsealed);
        if let Some(known) = unsealed.get(kid) {
            return Ok(known.clone());
        }
        let key = Arc::new(unseal()?);
        unsealed.insert(kid.to_owned(), key.clone());
        Ok(key)
    }
}

/// A secret that may open.
#[derive(Debug)]
pub(crate) struct KnownSecret {
    /// Its id.
    pub(crate) id: SecretId,
    /// When it ends by itself.
    pub(crate) expires_at: Option<DateTime<Utc>>,
    /// What proves it.
    pub(crate) verifier: SecretVerifier,
}

/// A client, with all that it is known and decided by.
#[derive(Debug)]
pub(crate) struct ClientEntry {
    /// The client.
    pub(crate) client: Client,
    /// Its secrets that are not revoked. Those that have ended may be among them.
    pub(crate) secrets: Vec<KnownSecret>,
    /// Where it acts, if it acts for itself (`client_12`).
    pub(crate) organizations: Vec<OrganizationId>,
}

/// Loads a tenant, if there is one.
pub(crate) async fn load_tenant(
    database: &Database,
    tenant: TenantId,
) -> Result<Option<TenantEntry>, StorageError> {
    database
        .read(Scope::Tenant(tenant), move |tx: &mut ReadTx<'_>| {
            let Some(found) = tenants::find(tx, tenant)? else {
                return Ok(None);
            };
            Ok(Some(TenantEntry {
                tenant: found,
                catalogue: resource_servers::catalogue(tx, tenant)?,
                settings: settings::find(tx, tenant)?,
                quotas: quotas::find(tx, tenant)?,
                algorithms: resource_servers::signing_algorithms(tx, tenant)?
                    .into_iter()
                    .collect(),
                keys: signing_keys::all(tx, tenant)?,
                unsealed: Mutex::default(),
            }))
        })
        .await
}

/// By how much clocks may go back and secrets still be there that had not ended then.
const BACK: TimeDelta = TimeDelta::hours(1);

/// Loads a client, if there is one, with the secrets that had not ended long before a time.
pub(crate) async fn load_client(
    database: &Database,
    tenant: TenantId,
    client: ClientId,
    latest: DateTime<Utc>,
) -> Result<Option<ClientEntry>, StorageError> {
    let from = latest.checked_sub_signed(BACK).unwrap_or(latest);
    database
        .read(Scope::Tenant(tenant), move |tx: &mut ReadTx<'_>| {
            // A client that isn't there is asked the same of, so that the one takes as long as the other.
            let found = clients::find(tx, tenant, client)?;
            let secrets = client_secrets::live(tx, tenant, client, from)?;
            let enabled = enablements::of(tx, tenant, client)?;
            let Some(client) = found else {
                return Ok(None);
            };
            let mut organizations: Vec<OrganizationId> = enabled
                .into_iter()
                .map(|(organization, _)| organization)
                .collect();
            if organizations.is_empty() {
                organizations.push(client.organization);
            }
            let secrets = secrets.into_iter().map(|(secret, verifier)| KnownSecret {
                id: secret.id,
                expires_at: secret.expires_at,
                verifier,
            });
            Ok(Some(ClientEntry {
                secrets: secrets.collect(),
                organizations,
                client,
            }))
        })
        .await
}
