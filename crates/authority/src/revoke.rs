//! Revocation (RFC 7009).

use std::net::IpAddr;

use chrono::{DateTime, Utc};
use grantor_domain::ids::TenantId;
use grantor_protocol::error::ErrorCode;
use grantor_storage::tokens;

use crate::authenticate::Claim;
use crate::locate::locate;
use crate::{Authority, PresentedCredentials, Refusal};

impl Authority {
    /// Revokes a token of the client that asks. When this has returned, the token is dead everywhere; a
    /// token that is unknown or dead already is no error.
    pub async fn revoke(
        &self,
        tenant: TenantId,
        credentials: PresentedCredentials,
        ip: Option<IpAddr>,
        token: String,
        now: DateTime<Utc>,
    ) -> Result<(), Refusal> {
        let claim = Claim {
            tenant,
            credentials,
            ip,
            now,
        };
        // Revocation has connections of its own: whatever else is crowded, this goes through.
        let database = self.database.reserved();
        let own = self
            .read_for_client(&database, claim, move |tx, who| {
                // RFC 7009 §2.2: an invalid token is no error, the purpose is achieved already.
                let Some(located) = locate(&token).filter(|located| located.tenant == tenant)
                else {
                    return Ok(None);
                };
                let Some(found) = tokens::find(tx, tenant, located.client, located.id)? else {
                    return Ok(None);
                };
                if !found.hash.matches(&token) {
                    return Ok(None);
                }
                // RFC 7009 §2.1: the server verifies whether the token was issued to the client that asks;
                // if not, the request is refused and the client is told.
                if found.token.client != who.client.id {
                    let description = "the token was issued to another client".to_owned();
                    return Err(Refusal::from((ErrorCode::InvalidRequest, description)));
                }
                Ok(Some(located))
            })
            .await?;
        if let Some(located) = own {
            database
                .flow(move |tx| {
                    tokens::revoke(tx, located.tenant, located.client, located.id, now)
                        .map_err(Refusal::from)
                })
                .await?;
        }
        Ok(())
    }
}
