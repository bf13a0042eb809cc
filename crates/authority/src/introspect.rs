//! Introspection (RFC 7662): what a resource server is told of a token.

use std::net::IpAddr;

use chrono::{DateTime, Utc};
use grantor_domain::ids::{OrganizationId, TenantId};
use grantor_domain::resource_server::Catalogue;
use grantor_domain::role::HeldPermissions;
use grantor_domain::tenant::Tenant;
use grantor_domain::token::AccessToken;
use grantor_protocol::scope::Scopes;
use grantor_storage::callers::TokenKey;
use grantor_storage::role_assignments::Holder;
use grantor_storage::{
    ReadTx, StorageError, clients, enablements, resource_servers, role_assignments, tokens,
};

use crate::authenticate::Claim;
use crate::check::good_for;
use crate::locate::locate;
use crate::{Authority, PresentedCredentials, Refusal};

/// A token that is good, with what it is good for at this moment.
#[derive(Debug, Clone)]
pub struct Introspected {
    /// The token.
    pub token: AccessToken,
    /// Its scopes that are allowed now (`token_8`).
    pub scopes: Scopes,
    /// The tenant whose it is.
    pub tenant: Tenant,
    /// Where its client acts now, if that acts for itself (`client_12`).
    pub organizations: Vec<OrganizationId>,
}

/// A token that was found good.
pub(crate) struct Checked {
    pub(crate) token: AccessToken,
    pub(crate) scopes: Scopes,
    pub(crate) organizations: Vec<OrganizationId>,
}

/// Looks a token up and decides whether it is good, within one transaction of its tenant.
pub(crate) fn check_token(
    tx: &mut ReadTx<'_>,
    tenant: &Tenant,
    catalogue: &Catalogue,
    located: TokenKey,
    presented: &str,
    now: DateTime<Utc>,
) -> Result<Option<Checked>, StorageError> {
    if located.tenant != tenant.id {
        return Ok(None);
    }
    let Some(found) = tokens::find(tx, tenant.id, located.client, located.id)? else {
        return Ok(None);
    };
    let client = clients::find(tx, tenant.id, located.client)?;
    // token_8: a scope that doesn't exist any more is allowed to nobody.
    let allowed_now = client
        .as_ref()
        .map(|client| catalogue.existing(&client.settings.allowed_scopes))
        .unwrap_or_default();
    // role_4: who acts for a member has no scope that needs what the member may not do now.
    let allowed_now = match found.token.member {
        Some(member) => {
            let roles = role_assignments::roles_of(tx, tenant.id, Holder::Member(member))?;
            catalogue.for_member(&allowed_now, &HeldPermissions::of(&roles, tenant.home()))
        }
        None => allowed_now,
    };
    let good = good_for(presented, &found, &tenant.suspension, &allowed_now, now);
    let Some(scopes) = good else {
        return Ok(None);
    };
    let organizations = match (&client, found.token.member) {
        (Some(client), None) => enablements::acting_in(tx, tenant.id, client)?,
        (_, Some(_)) | (None, None) => Vec::new(),
    };
    Ok(Some(Checked {
        token: found.token,
        scopes,
        organizations,
    }))
}

impl Authority {
    /// Introspects a token for an authenticated client. A token that is not good, and one that this client
    /// may not ask about, are told alike: `None`.
    pub async fn introspect(
        &self,
        tenant: TenantId,
        credentials: PresentedCredentials,
        ip: Option<IpAddr>,
        token: String,
        now: DateTime<Utc>,
    ) -> Result<Option<Introspected>, Refusal> {
        let claim = Claim {
            tenant,
            credentials,
            ip,
            now,
        };
        self.read_for_client(&self.database, claim, move |tx, who| {
            let Some(located) = locate(&token) else {
                return Ok(None);
            };
            let catalogue = resource_servers::catalogue(tx, tenant)?;
            let good = check_token(tx, &who.tenant, &catalogue, located, &token, now)?;
            let Some(Checked {
                token,
                scopes,
                organizations,
            }) = good
            else {
                return Ok(None);
            };
            // RFC 7662 §2.2: a resource server that may not ask about this token gets no more than
            // that it is inactive.
            if !catalogue.may_introspect(who.client.id, &token.audiences) {
                return Ok(None);
            }
            Ok(Some(Introspected {
                token,
                scopes,
                tenant: who.tenant,
                organizations,
            }))
        })
        .await
    }
}
