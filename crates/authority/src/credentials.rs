//! How members come to a password: a link is made, and redeemed once.
//!
//! What is wrong with a link is never told: unknown, used, expired, revoked, its member disabled or gone, its tenant
//! suspended, all are [`NotRedeemed::NotGood`]. A password that is refused leaves the link as it is.

use std::net::IpAddr;

use chrono::{DateTime, Utc};
use grantor_domain::audit::{Action, Actor, Event, Origin, Target};
use grantor_domain::chosen_secret::ChosenSecret;
use grantor_domain::credential_link::{LinkKey, LinkPurpose};
use grantor_domain::ids::{ClientId, CredentialLinkId, MemberId, TenantId};
use grantor_domain::password::{Password, PasswordError, PasswordRules};
use grantor_domain::settings::{CredentialPage, PasswordMinLength};
use grantor_keys::{Entropy, EntropyError, LinkToken, PasswordVerifier};
use grantor_protocol::issuer::Issuer;
use grantor_storage::credential_links::{self, LiveLink, NewLink};
use grantor_storage::{
    Change, ChangeTx, ReadTx, Scope, StorageError, authenticators, settings, tenants,
};
use serde_json::json;
use thiserror::Error;
use zeroize::Zeroizing;

use crate::{Authority, Failure};

/// A link with its token, before it is stored; the token is nowhere else, and shown or mailed once.
#[derive(Debug)]
pub struct PreparedLink {
    key: LinkKey,
    purpose: LinkPurpose,
    expires_at: DateTime<Utc>,
    token: LinkToken,
}

impl PreparedLink {
    /// Makes a link that is good until then, [`credential_links::LONGEST`] from now at most.
    pub fn new(
        entropy: &dyn Entropy,
        tenant: TenantId,
        member: MemberId,
        purpose: LinkPurpose,
        expires_at: DateTime<Utc>,
    ) -> Result<Self, EntropyError> {
        let id = credential_links::new_id(expires_at, entropy)?;
        Ok(Self {
            key: LinkKey { tenant, member, id },
            purpose,
            expires_at,
            token: LinkToken::generate(tenant.uuid(), member.uuid(), id.uuid(), entropy)?,
        })
    }

    /// Its id, which is no secret.
    pub fn id(&self) -> CredentialLinkId {
        self.key.id
    }

    /// What it is for.
    pub fn purpose(&self) -> LinkPurpose {
        self.purpose
    }

    /// Until when it is good.
    pub fn expires_at(&self) -> DateTime<Utc> {
        self.expires_at
    }

    /// Its token, by which it is redeemed.
    pub fn token(&self) -> &str {
        self.token.expose()
    }

    /// The link itself: to the tenant's own page, or to the built-in one below the issuer.
    pub fn address(&self, page: Option<&CredentialPage>, issuer: &Issuer) -> Zeroizing<String> {
        let token = self.token();
        Zeroizing::new(match page {
            Some(page) => format!("{}?token={token}", page.as_str()),
            None => format!("{}/credentials?token={token}", issuer.as_str()),
        })
    }

    /// Stores it; every other link of the member's dies by that. The member must be there.
    pub fn store(&self, tx: &mut ChangeTx<'_>) -> Result<(), StorageError> {
        let link = NewLink {
            key: self.key,
            purpose: self.purpose,
            hash: self.token.hash(),
        };
        credential_links::insert(tx, &link)
    }
}

/// Somebody presents a link's token, and chooses a password.
pub struct Redemption {
    /// The tenant at whose issuer they do so.
    pub tenant: TenantId,
    /// The token, as presented.
    pub token: Zeroizing<String>,
    /// The password, as presented.
    pub password: Zeroizing<String>,
    /// From where.
    pub ip: Option<IpAddr>,
    /// By what program.
    pub user_agent: Option<String>,
    /// In the course of which request.
    pub request_id: Option<String>,
}

impl std::fmt::Debug for Redemption {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Redemption")
            .field("tenant", &self.tenant)
            .finish_non_exhaustive()
    }
}

/// A password was set by a link.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Redeemed {
    /// Whose.
    pub member: MemberId,
    /// What the link was for.
    pub purpose: LinkPurpose,
}

/// Why no password was set.
#[derive(Debug, Error)]
pub enum NotRedeemed {
    /// The issuer does not exist.
    #[error("no such tenant")]
    NoSuchTenant,
    /// The link is good for nothing, for whatever reason.
    #[error("the link is not good, or not any more")]
    NotGood,
    /// The password is refused, and the link as good as before.
    #[error("the password {0}")]
    Weak(#[from] PasswordError),
    /// Something of ours failed.
    #[error(transparent)]
    Failed(#[from] Failure),
}

impl From<StorageError> for NotRedeemed {
    fn from(error: StorageError) -> Self {
        match error {
            // It was suspended after the link was found good.
            StorageError::Suspended { .. } => Self::NotGood,
            other => Self::Failed(other.into()),
        }
    }
}

impl Authority {
    /// What is asked of a password that is set by this link, if the link can be redeemed now. It stays as it is.
    pub async fn password_rule(
        &self,
        tenant: TenantId,
        token: Zeroizing<String>,
        now: DateTime<Utc>,
    ) -> Result<PasswordMinLength, NotRedeemed> {
        let (_, _, rules) = self.live_link(tenant, &token, now).await?;
        Ok(rules.least)
    }

    /// Sets a member's password by a link, which is used up by that. Of many at once exactly one succeeds.
    pub async fn redeem(
        &self,
        redemption: Redemption,
        now: DateTime<Utc>,
    ) -> Result<Redeemed, NotRedeemed> {
        let Redemption {
            tenant,
            token,
            password,
            ip,
            user_agent,
            request_id,
        } = redemption;
        let (key, purpose, rules) = self.live_link(tenant, &token, now).await?;
        let password = Password::parse(&password, &rules)?;
        let verifier = self.hash_password(password, key.member).await?;
        let origin = Origin {
            actor: Actor::Member {
                tenant,
                member: key.member,
                client: None,
            },
            ip,
            user_agent,
            request_id,
        };
        let redeemed: Result<bool, StorageError> = self
            .database()
            .change(Scope::Tenant(tenant), origin, now, move |tx| {
                if !credential_links::redeem(tx, key)? {
                    return Ok(Change::Nothing(false));
                }
                authenticators::set_password(tx, tenant, key.member, &verifier)?;
                let event = Event::new(tenant, Action::PasswordSet, Target::Member(key.member))
                    .after(json!({ "link_id": key.id, "purpose": purpose.as_str() }));
                Ok(Change::made(true, event))
            })
            .await;
        if redeemed? {
            Ok(Redeemed {
                member: key.member,
                purpose,
            })
        } else {
            Err(NotRedeemed::NotGood)
        }
    }

    /// Hashes a password for its member, when its turn has come.
    pub async fn hash_password(
        &self,
        password: Password,
        member: MemberId,
    ) -> Result<PasswordVerifier, Failure> {
        let entropy = self.entropy.clone();
        let hashed = self.slow_hash.run(move |memory| {
            PasswordVerifier::hash(password.expose(), member.uuid(), entropy.as_ref(), memory)
        });
        Ok(hashed.await??)
    }

    /// Hashes a secret that somebody chose for its client, when its turn has come.
    pub async fn hash_secret(
        &self,
        secret: ChosenSecret,
        client: ClientId,
    ) -> Result<PasswordVerifier, Failure> {
        let entropy = self.entropy.clone();
        let hashed = self.slow_hash.run(move |memory| {
            PasswordVerifier::hash(secret.expose(), client.uuid(), entropy.as_ref(), memory)
        });
        Ok(hashed.await??)
    }

    /// The link that a token is of, if it is good, with the rules for its member's password.
    async fn live_link(
        &self,
        tenant: TenantId,
        token: &str,
        now: DateTime<Utc>,
    ) -> Result<(LinkKey, LinkPurpose, PasswordRules), NotRedeemed> {
        // A slip of the hand, or a token of another tenant's: nothing need be looked up, but for whether there is such
        // an issuer at all.
        let token = LinkToken::parse(token).ok();
        let token = token.filter(|token| token.tenant() == tenant.uuid());
        let Some(token) = token else {
            let there = self.tenant_in_turn(tenant, now).await?;
            return Err(there.map_or(NotRedeemed::NoSuchTenant, |_| NotRedeemed::NotGood));
        };
        let _turn = self.link_reads.turn().await?;
        self.database()
            .read(Scope::Tenant(tenant), move |tx: &mut ReadTx<'_>| {
                tenants::find(tx, tenant)?.ok_or(NotRedeemed::NoSuchTenant)?;
                let key = LinkKey {
                    tenant,
                    member: MemberId::from_uuid(token.member()),
                    id: CredentialLinkId::from_uuid(token.id()),
                };
                let LiveLink {
                    purpose, member, ..
                } = credential_links::find_live(tx, key, now)?
                    .filter(|link| token.is_of(link.hash))
                    .ok_or(NotRedeemed::NotGood)?;
                let rules = PasswordRules {
                    least: settings::find(tx, tenant)?.password_min_length,
                    name: member.settings.name,
                    email: member.settings.email,
                };
                Ok((key, purpose, rules))
            })
            .await
    }
}

#[cfg(test)]
mod tests {
    use grantor_keys::SystemEntropy;
    use uuid::Uuid;

    use super::*;
    use crate::NotHashed;

    fn prepared() -> PreparedLink {
        PreparedLink::new(
            &SystemEntropy::default(),
            TenantId::from_uuid(Uuid::from_u128(1)),
            MemberId::from_uuid(Uuid::from_u128(2)),
            LinkPurpose::Invitation,
            DateTime::from_timestamp(1_748_779_200, 0).unwrap(),
        )
        .unwrap()
    }

    #[test]
    fn a_link_leads_to_the_tenants_own_page_or_below_its_issuer() {
        let link = prepared();
        let token = link.token();
        let issuer = Issuer::parse("https://login.example.com/t/ten_1").unwrap();
        let page = CredentialPage::parse("https://console.example.com/password").unwrap();
        assert_eq!(
            *link.address(None, &issuer),
            format!("https://login.example.com/t/ten_1/credentials?token={token}")
        );
        assert_eq!(
            *link.address(Some(&page), &issuer),
            format!("https://console.example.com/password?token={token}")
        );
    }

    #[test]
    fn a_links_id_tells_its_expiry_and_debug_nothing_of_its_token() {
        let link = prepared();
        assert_eq!(credential_links::expiry(link.id()), Some(link.expires_at()));
        let redemption = Redemption {
            tenant: link.key.tenant,
            token: link.token().to_owned().into(),
            password: "a password".to_owned().into(),
            ip: None,
            user_agent: None,
            request_id: None,
        };
        let printed = format!("{link:?} {redemption:?}");
        assert!(!printed.contains(link.token().split_at(10).1), "{printed}");
        assert!(!printed.contains("a password"), "{printed}");
    }

    #[test]
    fn tenant_2_a_tenant_that_is_suspended_meanwhile_is_told_as_any_other_reason() {
        let tenant = TenantId::from_uuid(Uuid::from_u128(1));
        let told = NotRedeemed::from(StorageError::Suspended { tenant });
        assert!(matches!(told, NotRedeemed::NotGood));
    }

    #[test]
    fn whoever_had_no_turn_may_come_again() {
        for reason in [NotHashed::Crowded, NotHashed::Late, NotHashed::Broken] {
            assert!(Failure::from(reason).is_unavailable());
        }
    }
}
