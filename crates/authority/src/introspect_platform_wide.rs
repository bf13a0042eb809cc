//! Introspection for platform-wide resource servers: tokens of any tenant, told to clients of the platform tenant.

use std::net::IpAddr;

use chrono::{DateTime, Utc};
use grantor_domain::ids::TenantId;
use grantor_domain::resource_server::ServerKind;
use grantor_storage::{ReadTx, Scope, tenants};

use crate::authenticate::Claim;
use crate::introspect::Introspected;
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
        Ok(looked.and_then(|found| {
            found.narrowed(|server| server.key.kind() == ServerKind::PlatformWide)
        }))
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
