//! Tenants: the customer organisations of an installation.

use chrono::{DateTime, Utc};
use grantor_protocol::issuer::{Issuer, IssuerError};
use thiserror::Error;

use crate::ids::{OrganizationId, TenantId};
use crate::role::HomeTenant;
use crate::suspension::Suspension;
use crate::text::OrganizationName;

/// What a tenant is, whoever asks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tenant {
    /// Its id.
    pub id: TenantId,
    /// Its name.
    pub name: OrganizationName,
    /// The issuer of its tokens; stored, so that it outlives a change of the installation's address.
    pub issuer: Issuer,
    /// Whether this is the tenant of the operators.
    pub is_platform: bool,
    /// The organization at the top of its tree.
    pub root_organization: OrganizationId,
    /// Raised by every change that a decision could rest on.
    pub revision: i64,
    /// When it was made.
    pub created_at: DateTime<Utc>,
    /// When it or what hangs on it last changed.
    pub updated_at: DateTime<Utc>,
    /// Whether it is suspended, by whom, and below which position its tokens are dead.
    pub suspension: Suspension,
}

impl Tenant {
    /// What decides how far a role reaches in it.
    pub fn home(&self) -> HomeTenant {
        HomeTenant {
            root: self.root_organization,
            is_platform: self.is_platform,
        }
    }

    /// What a console shows of the tenant's state.
    pub fn status(&self) -> TenantStatus {
        if self.suspension.is_suspended() {
            TenantStatus::Suspended
        } else {
            TenantStatus::Active
        }
    }
}

/// Whether a tenant is served.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TenantStatus {
    /// Served.
    Active,
    /// Issues nothing, logs nobody in and takes no change (`tenant_2`).
    Suspended,
}

/// A tenant about to be made, with the ids that its parts will have.
#[derive(Debug, Clone)]
pub struct NewTenant {
    /// Its id.
    pub id: TenantId,
    /// Its name.
    pub name: OrganizationName,
    /// The issuer of its tokens.
    pub issuer: Issuer,
    /// Whether this is the tenant of the operators.
    pub is_platform: bool,
    /// The organization at the top of its tree.
    pub root_organization: OrganizationId,
}

/// The issuer that a tenant has unless told otherwise: `{base}/t/{tenant}`.
pub fn default_issuer(base: &str, tenant: TenantId) -> Result<Issuer, IssuerError> {
    Issuer::parse(&format!("{}/t/{tenant}", base.trim_end_matches('/')))
}

/// Why an issuer can't be chosen for a tenant.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum ChosenIssuerError {
    /// It is none.
    #[error(transparent)]
    NotAnIssuer(#[from] IssuerError),
    /// RFC 8414 §2: an issuer is an `https` URL. What is sent to another could be read on its way.
    #[error("must begin with `https://`; plain `http://` is for loopback addresses alone")]
    Insecure,
}

/// Parses an issuer that somebody chooses for a tenant.
pub fn chosen_issuer(text: &str) -> Result<Issuer, ChosenIssuerError> {
    let issuer = Issuer::parse(text)?;
    if issuer.is_safe() {
        Ok(issuer)
    } else {
        Err(ChosenIssuerError::Insecure)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_chosen_issuer_is_https_or_on_loopback() {
        for good in [
            "https://id.example.com/acme",
            "http://127.0.0.1:8081/t/a",
            "http://localhost:1",
        ] {
            assert_eq!(chosen_issuer(good).unwrap().as_str(), good);
        }
        assert_eq!(
            chosen_issuer("http://id.example.com/acme"),
            Err(ChosenIssuerError::Insecure)
        );
        for bad in [
            "",
            "id.example.com",
            "https://id.example.com/",
            "https://id.example.com?x",
        ] {
            assert!(
                matches!(chosen_issuer(bad), Err(ChosenIssuerError::NotAnIssuer(_))),
                "{bad}"
            );
        }
    }
}
