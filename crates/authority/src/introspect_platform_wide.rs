//! Introspection for platform-wide resource servers: tokens of any tenant, told to clients of the platform tenant.

use std::collections::BTreeSet;
use std::net::IpAddr;

use chrono::{DateTime, Utc};
use grantor_domain::ids::TenantId;
use grantor_domain::resource_server::{ScopeOwner, ServerKind};
use grantor_storage::{ReadTx, Scope, tenants};

use crate::authenticate::Claim;
use crate::introspect::{Found, Introspected};
use crate::locate::locate;
use crate::{Authority, PresentedCredentials, Refusal};

impl Authority {
    /// Introspects a token of any tenant for a client of the platform tenant that a platform-wide resource server
    /// names. What it is told ends at its own resource servers: of another audience of the token, which may be a
    /// tenant's private one, it learns nothing (`tenant_1`). A token that is not good, and one that this client may
    /// not ask about, are told alike: `None`.
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
        let looked = self.looked_up(&claim, locate(&token), &token).await?;
        let Some(Found {
            known,
            tenant,
            mut good,
        }) = looked
        else {
            return Ok(None);
        };
        let platform_wide = known.tenant.catalogue.servers().iter();
        let own: BTreeSet<&str> = platform_wide
            .filter(|server| server.key.kind() == ServerKind::PlatformWide)
            .filter(|server| server.introspectors.contains(&known.client.client.id))
            .map(|server| server.identifier.as_str())
            .collect();
        good.token
            .audiences
            .retain(|audience| own.contains(audience.as_str()));
        good.scopes = good
            .scopes
            .into_iter()
            .filter(|scope| match tenant.catalogue.owner_of(scope) {
                Some(ScopeOwner::Server(server, _)) => own.contains(server.identifier.as_str()),
                _ => false,
            })
            .collect();
        // RFC 7662 §2.2: a resource server that may not ask about this token gets no more than
        // that it is inactive; and one whose scopes are all gone has nothing to be used for there.
        let is_theirs = !good.token.audiences.is_empty() && !good.scopes.is_empty();
        Ok(is_theirs.then_some(good))
    }

    /// The tenant of the operators.
    async fn platform(&self) -> Result<TenantId, Refusal> {
        if let Some(known) = self.directory.platform() {
            return Ok(known);
        }
        let platform = self
            .database
            .read(Scope::Platform(None), |tx: &mut ReadTx<'_>| {
                let platform = tenants::find_platform(tx)?.ok_or(Refusal::NoSuchTenant)?;
                Ok::<_, Refusal>(platform.id)
            })
            .await?;
        self.directory.learn_platform(platform);
        Ok(platform)
    }
}
