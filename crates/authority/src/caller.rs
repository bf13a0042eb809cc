//! Who calls the management API: the token checked, and what its holder may do now.

use chrono::{DateTime, Utc};
use grantor_domain::access::{Caller, effective_permissions};
use grantor_domain::resource_server::MANAGEMENT_API_AUDIENCE;
use grantor_domain::role::permissions_of;
use grantor_storage::{ReadTx, Scope, role_assignments, tenants};

use crate::introspect::check_token;
use crate::locate::locate;
use crate::{Authority, Failure};

/// What came of checking a bearer token.
#[derive(Debug, Clone)]
pub enum CallerCheck {
    /// The token is good; this is who calls.
    Good(Caller),
    /// Unknown, expired, revoked, or its client or tenant is suspended.
    NotGood,
    /// Good, but not for the management API.
    OtherAudience,
}

impl Authority {
    /// Checks a bearer token of the management API.
    pub async fn check_caller(
        &self,
        token: String,
        now: DateTime<Utc>,
    ) -> Result<CallerCheck, Failure> {
        let Some(located) = locate(&token) else {
            return Ok(CallerCheck::NotGood);
        };
        self.database
            .read(Scope::Tenant(located.tenant), move |tx: &mut ReadTx<'_>| {
                let Some(tenant) = tenants::find(tx, located.tenant)? else {
                    return Ok(CallerCheck::NotGood);
                };
                let Some((record, scopes)) = check_token(tx, &tenant, located, &token, now)? else {
                    return Ok(CallerCheck::NotGood);
                };
                if !record
                    .audiences
                    .iter()
                    .any(|audience| audience == MANAGEMENT_API_AUDIENCE)
                {
                    return Ok(CallerCheck::OtherAudience);
                }
                let roles = role_assignments::of_client(tx, tenant.id, record.client)?;
                let mut held = permissions_of(&roles);
                if !tenant.is_platform {
                    held.retain(|permission| !permission.is_for_operators());
                }
                let permissions = effective_permissions(&scopes, &record.audiences, &held);
                Ok(CallerCheck::Good(Caller {
                    tenant: tenant.id,
                    client: record.client,
                    permissions,
                }))
            })
            .await
    }
}
