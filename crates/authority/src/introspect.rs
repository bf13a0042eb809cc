//! Introspection (RFC 7662): what a resource server is told of a token.

use std::collections::BTreeSet;
use std::net::IpAddr;
use std::sync::Arc;

use chrono::{DateTime, Utc};
use grantor_domain::authentication::AuthenticationFailure;
use grantor_domain::ids::{OrganizationId, TenantId};
use grantor_domain::resource_server::ResourceServer;
use grantor_domain::role::HeldPermissions;
use grantor_domain::tenant::Tenant;
use grantor_domain::token::AccessToken;
use grantor_protocol::scope::Scopes;
use grantor_storage::StorageError;
use grantor_storage::callers::{CallerRecord, TokenKey};

use crate::authenticate::{Claim, Known};
use crate::beat::on_the_beat;
use crate::check::good_for;
use crate::decided::{ATTEMPTS, TOO_FAST};
use crate::directory::{ClientEntry, RestsOn, TenantEntry};
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

/// A token that was found good, and who asked about it.
pub(crate) struct Found {
    pub(crate) known: Known,
    /// The token's tenant.
    pub(crate) tenant: Arc<TenantEntry>,
    pub(crate) good: Introspected,
}

/// A token that was asked about: its place, and what the directory knows of its tenant and client.
struct Asked {
    key: TokenKey,
    tenant: Arc<TenantEntry>,
    client: Option<Arc<ClientEntry>>,
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
        let located = locate(&token).filter(|located| located.tenant == tenant);
        let looked = self.looked_up(&claim, located, &token).await?;
        Ok(looked.and_then(|found| found.narrowed(|_| true)))
    }

    /// Authenticates who asks, and looks a token up by a read that confirms both: that the asker is who it says, and what
    /// was taken out of memory about the token.
    pub(crate) async fn looked_up(
        &self,
        claim: &Claim,
        located: Option<TokenKey>,
        presented: &str,
    ) -> Result<Option<Found>, Refusal> {
        on_the_beat(self.looked_up_at_once(claim, located, presented)).await
    }

    async fn looked_up_at_once(
        &self,
        claim: &Claim,
        located: Option<TokenKey>,
        presented: &str,
    ) -> Result<Option<Found>, Refusal> {
        for _ in 0..ATTEMPTS {
            // RFC 7662 §2.1: whoever asks is authorized; a name alone is not enough.
            let (known, _) = self
                .decided(claim, |known| {
                    Ok(known.secret.ok_or(AuthenticationFailure::Unproved)?)
                })
                .await?;
            let asked = match located {
                Some(key) => self.asked(key, claim.now).await?,
                None => None,
            };
            let looked = self
                .token_reads
                .look(asked.as_ref().map(|asked| asked.key), known.position)
                .await?;
            let mut rests_on = RestsOn {
                tenants: vec![claim.tenant],
                clients: vec![(claim.tenant, known.client.client.id)],
            };
            if let Some(asked) = &asked {
                rests_on.tenants.push(asked.key.tenant);
                rests_on.clients.push((asked.key.tenant, asked.key.client));
            }
            if !self
                .directory
                .holds(known.position, &rests_on, &looked.since)
            {
                continue;
            }
            self.note_use(&known, claim.now);
            let record = looked.record.as_deref();
            return Ok(asked.zip(record).and_then(|(asked, record)| {
                Some(Found {
                    good: asked.good(record, presented, claim.now)?,
                    tenant: asked.tenant,
                    known,
                })
            }));
        }
        Err(StorageError::Unavailable(TOO_FAST.to_owned()).into())
    }

    /// What the directory knows of where a token is said to be from. Its position was read before.
    async fn asked(&self, key: TokenKey, now: DateTime<Utc>) -> Result<Option<Asked>, Refusal> {
        let Some(tenant) = self.directory.tenant(key.tenant, now).await? else {
            return Ok(None);
        };
        let client = self.directory.client(key.tenant, key.client).await?;
        Ok(Some(Asked {
            key,
            tenant,
            client,
        }))
    }
}

impl Found {
    /// The token as whoever asked is told of it, if they are: what it is to those of these servers that name them, and no
    /// more. So what is active is good for something at whoever asked, whatever else it may be good for.
    pub(crate) fn narrowed(self, counts: impl Fn(&ResourceServer) -> bool) -> Option<Introspected> {
        let Self {
            known,
            tenant,
            mut good,
        } = self;
        let servers = known
            .tenant
            .catalogue
            .introspected_by(known.client.client.id);
        let own: BTreeSet<&str> = servers
            .filter(|server| counts(server))
            .map(|server| server.identifier.as_str())
            .collect();
        good.token
            .audiences
            .retain(|audience| own.contains(audience.as_str()));
        good.scopes = tenant.catalogue.scopes_of(&own, good.scopes);
        // RFC 7662 §2.2: a resource server that may not ask about this token gets no more than
        // that it is inactive; and one whose scopes are all gone has nothing to be used for there.
        let is_theirs = !good.token.audiences.is_empty() && !good.scopes.is_empty();
        is_theirs.then_some(good)
    }
}

impl Asked {
    /// Decides whether the token is good, and for what.
    fn good(
        &self,
        record: &CallerRecord,
        presented: &str,
        now: DateTime<Utc>,
    ) -> Option<Introspected> {
        let token = &record.recorded.token;
        let catalogue = &self.tenant.catalogue;
        // token_8: a scope that doesn't exist any more is allowed to nobody.
        let allowed_now = catalogue.existing(&record.allowed_now);
        // role_4: who acts for a member has no scope that needs what the member may not do now.
        let allowed_now = match token.member {
            Some(_) => {
                let held = HeldPermissions::of(&record.roles, record.home);
                catalogue.for_member(&allowed_now, &held)
            }
            None => allowed_now,
        };
        let (recorded, tenant) = (&record.recorded, &record.tenant_suspension);
        let scopes = good_for(presented, recorded, tenant, &allowed_now, now)?;
        let organizations = match (&self.client, token.member) {
            (Some(client), None) => client.organizations.clone(),
            _ => Vec::new(),
        };
        Some(Introspected {
            token: token.clone(),
            scopes,
            tenant: self.tenant.tenant.clone(),
            organizations,
        })
    }
}
