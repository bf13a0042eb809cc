//! Introspection for platform-wide resource servers: tokens of any tenant, told to clients of the platform tenant.

use std::collections::BTreeSet;
use std::net::IpAddr;

use chrono::{DateTime, Utc};
use grantor_domain::ids::TenantId;
use grantor_domain::resource_server::ScopeOwner;
use grantor_storage::resource_servers::{self, Home};
use grantor_storage::{ReadTx, Scope, tenants};

use crate::authenticate::Claim;
use crate::introspect::{Introspected, check_token};
use crate::locate::locate;
use crate::{Authority, PresentedCredentials, Refusal};

impl Authority {
    /// Introspects a token of any tenant for a client of the platform tenant that a platform-wide resource server
    /// names. What it is told ends at its own resource servers: of another audience of the token, which may be a
    /// tenant's private one, it learns nothing (`tenant_1`). A token that is not good, and one that this client may
    /// not ask about, are told alike: `None`.
    ///
    /// The client is authenticated in one transaction and the token looked at in another, of its own tenant. Both
    /// begin after the call has come, so what was stopped before it is seen.
    pub async fn introspect_platform_wide(
        &self,
        credentials: PresentedCredentials,
        ip: Option<IpAddr>,
        token: String,
        now: DateTime<Utc>,
    ) -> Result<Option<Introspected>, Refusal> {
        let platform = self.platform().await?;
        let claim = Claim {
            tenant: platform,
            credentials,
            ip,
            now,
        };
        let own: BTreeSet<String> = self
            .read_for_client(&self.database, claim, move |tx, who| {
                let servers = resource_servers::all(tx, Home::platform_wide(platform))?;
                Ok::<_, Refusal>(
                    servers
                        .into_iter()
                        .filter(|stored| stored.server.introspectors.contains(&who.client.id))
                        .map(|stored| stored.server.identifier.as_str().to_owned())
                        .collect(),
                )
            })
            .await?;
        let Some(located) = locate(&token).filter(|_| !own.is_empty()) else {
            return Ok(None);
        };
        self.database
            .read(Scope::Tenant(located.tenant), move |tx: &mut ReadTx<'_>| {
                let Some(tenant) = tenants::find(tx, located.tenant)? else {
                    return Ok(None);
                };
                let catalogue = resource_servers::catalogue(tx, tenant.id)?;
                let Some(checked) = check_token(tx, &tenant, &catalogue, located, &token, now)?
                else {
                    return Ok(None);
                };
                let mut record = checked.token;
                let scopes = checked
                    .scopes
                    .into_iter()
                    .filter(|scope| match catalogue.owner_of(scope) {
                        Some(ScopeOwner::Server(server, _)) => {
                            own.contains(server.identifier.as_str())
                        }
                        _ => false,
                    })
                    .collect();
                record.audiences.retain(|audience| own.contains(audience));
                // RFC 7662 §2.2: a resource server that may not ask about this token gets no more than
                // that it is inactive; and one whose scopes are all gone has nothing to be used for there.
                let good = Introspected {
                    token: record,
                    scopes,
                    tenant,
                    organizations: checked.organizations,
                };
                let is_theirs = !good.token.audiences.is_empty() && !good.scopes.is_empty();
                Ok(is_theirs.then_some(good))
            })
            .await
    }

    /// The tenant of the operators.
    async fn platform(&self) -> Result<TenantId, Refusal> {
        self.database
            .read(Scope::Platform(None), |tx: &mut ReadTx<'_>| {
                let platform = tenants::find_platform(tx)?.ok_or(Refusal::NoSuchTenant)?;
                Ok::<_, Refusal>(platform.id)
            })
            .await
    }
}
