//! Issuing a token for `client_credentials`: validate, decide, sign, record, and only then let it go.

use std::net::IpAddr;

use chrono::{DateTime, SubsecRound, TimeDelta, Utc};
use grantor_domain::grant::{Issuance, decide_client_credentials};
use grantor_domain::ids::{OrganizationId, TenantId, TokenId};
use grantor_domain::resource_server::{SigningAlgorithm, TokenShape};
use grantor_domain::token::AccessToken;
use grantor_keys::{OpaqueToken, TokenHash, TokenPlace, uuid_v7};
use grantor_protocol::scope::Scopes;
use grantor_protocol::token::{ACCESS_TOKEN_TYP, AccessTokenClaims, Audience};
use grantor_storage::signing_keys::{self, StoredSigningKey};
use grantor_storage::tokens::{self, RestedOn};
use grantor_storage::{StorageError, client_limits, enablements, resource_servers};

use crate::authenticate::{Authenticated, Claim};
use crate::limits::Admitted;
use crate::{Authority, Failure, PresentedCredentials, Refusal};

/// What a client asks for.
#[derive(Debug, Clone)]
pub struct TokenRequest {
    /// The issuer's tenant.
    pub tenant: TenantId,
    /// What the client proves itself by.
    pub credentials: PresentedCredentials,
    /// The scopes that it names.
    pub scopes: Option<Scopes>,
    /// From where.
    pub ip: Option<IpAddr>,
    /// By what program.
    pub user_agent: Option<String>,
}

/// A token that is on record.
pub struct Issued {
    /// The token.
    pub token: String,
    /// For how many seconds it is good.
    pub expires_in: u64,
    /// What it may be used for.
    pub scopes: Scopes,
}

/// How often a decision is made anew when what it rested on has changed meanwhile.
const ATTEMPTS: u32 = 5;

/// A decision that is signed and waits to be confirmed.
struct Proposal {
    token: String,
    record: AccessToken,
    rested_on: RestedOn,
    admitted: Admitted,
}

impl Authority {
    /// Issues a token for `client_credentials`.
    pub async fn issue_for_client(
        &self,
        request: TokenRequest,
        now: DateTime<Utc>,
    ) -> Result<Issued, Refusal> {
        for _ in 0..ATTEMPTS {
            let proposal = self.propose(request.clone(), now).await?;
            if let Some(issued) = self.confirm(proposal).await? {
                return Ok(issued);
            }
        }
        let busy = "the client changes faster than a token can be issued".to_owned();
        Err(StorageError::Unavailable(busy).into())
    }

    /// Validates, decides and signs.
    async fn propose(
        &self,
        request: TokenRequest,
        now: DateTime<Utc>,
    ) -> Result<Proposal, Refusal> {
        let TokenRequest {
            tenant,
            credentials,
            scopes,
            ip,
            user_agent,
        } = request;
        let claim = Claim {
            tenant,
            credentials,
            ip,
            now,
        };
        let (who, catalogue, issuance, organizations, published, limits) = self
            .read_for_client(&self.database, claim, move |tx, who| {
                let catalogue = resource_servers::catalogue(tx, tenant)?;
                let decision = decide_client_credentials(
                    &who.tenant,
                    &who.client,
                    &catalogue,
                    scopes.as_ref(),
                );
                if let Some((error, description)) = decision.refusal() {
                    return Err(Refusal::from((error, description.to_owned())));
                }
                let issuance = decision
                    .issuance
                    .ok_or(Failure::Impossible("a decision neither refused nor issued"))?;
                // client_12: its tokens say in which.
                let organizations = enablements::acting_in(tx, tenant, &who.client)?;
                let published = signing_keys::published(tx, tenant, now)?;
                let limits = client_limits::of(tx, tenant, &who.client)?;
                Ok::<_, Refusal>((who, catalogue, issuance, organizations, published, limits))
            })
            .await?;
        let admitted = self.admit(&who, &limits, now).await?;
        let rested_on = RestedOn {
            tenants: catalogue.owners().to_vec(),
            subjects: [tenant.uuid(), who.client.id.uuid()]
                .into_iter()
                .chain(catalogue.subjects())
                .collect(),
        };
        let shape = issuance.shape;
        let record = self.record(&who, issuance, ip, user_agent, now)?;
        let token = match shape {
            TokenShape::Signed(algorithm) => {
                let claims = claims(&who, &record, &organizations)?;
                self.signed(tenant, &claims, algorithm, published, now)
                    .await?
            }
            TokenShape::Opaque => {
                let place = TokenPlace {
                    tenant: record.tenant.uuid(),
                    client: record.client.uuid(),
                    id: record.id.uuid(),
                };
                let token = OpaqueToken::generate(place, self.entropy()).map_err(Failure::from)?;
                token.expose().to_owned()
            }
        };
        Ok(Proposal {
            token,
            record,
            rested_on,
            admitted,
        })
    }

    /// The token that says this, as RFC 9068 has it.
    async fn signed(
        &self,
        tenant: TenantId,
        claims: &AccessTokenClaims,
        algorithm: SigningAlgorithm,
        published: Vec<StoredSigningKey>,
        now: DateTime<Utc>,
    ) -> Result<String, Failure> {
        let signing_key = self.signing_key(tenant, algorithm, published, now).await?;
        Ok(signing_key.sign(ACCESS_TOKEN_TYP, claims, self.entropy())?)
    }

    /// `token_1`: puts the token on record before it leaves. Nothing comes of it when the decision is not
    /// current any more.
    async fn confirm(&self, proposal: Proposal) -> Result<Option<Issued>, Refusal> {
        let Proposal {
            token,
            record,
            rested_on,
            admitted,
        } = proposal;
        let issued = Issued {
            expires_in: u64::try_from((record.expires_at - record.issued_at).num_seconds())
                .map_err(|_| Failure::Impossible("a token that ends before it begins"))?,
            scopes: record.scopes.clone(),
            token,
        };
        let hash = TokenHash::of(&issued.token);
        let recorded = self
            .database
            .flow(move |tx| tokens::insert(tx, &record, hash, &rested_on).map_err(Refusal::from))
            .await?;
        Ok(recorded.then(|| {
            admitted.issued();
            issued
        }))
    }

    fn record(
        &self,
        who: &Authenticated,
        issuance: Issuance,
        ip: Option<IpAddr>,
        user_agent: Option<String>,
        now: DateTime<Utc>,
    ) -> Result<AccessToken, Failure> {
        // The claims tell whole seconds; what is on record agrees with them exactly.
        let issued_at = now.trunc_subsecs(0);
        let expires_at = issued_at + TimeDelta::seconds(i64::from(issuance.lifetime.seconds()));
        let millis = u64::try_from(expires_at.timestamp_millis())
            .map_err(|_| Failure::Impossible("a clock before 1970"))?;
        Ok(AccessToken {
            tenant: who.tenant.id,
            client: who.client.id,
            id: TokenId::from_uuid(uuid_v7(millis, self.entropy())?),
            member: None,
            scopes: issuance.scopes,
            audiences: issuance.audiences,
            issued_at,
            expires_at,
            revoked_at: None,
            position: who.position,
            ip,
            user_agent,
        })
    }
}

fn claims(
    who: &Authenticated,
    token: &AccessToken,
    organizations: &[OrganizationId],
) -> Result<AccessTokenClaims, Failure> {
    let client = who.client.id.to_string();
    Ok(AccessTokenClaims {
        iss: who.tenant.issuer.as_str().to_owned(),
        exp: token.expires_at.timestamp(),
        aud: Audience::new(token.audiences.iter().cloned())
            .map_err(|_| Failure::Impossible("a token for nobody"))?,
        // RFC 9068 §2.2: without a resource owner, `sub` identifies the client. Client ids and member ids
        // have other prefixes, so the one is never taken for the other (RFC 9700 §4.15).
        sub: client.clone(),
        client_id: client,
        iat: token.issued_at.timestamp(),
        jti: token.id.to_string(),
        scope: token.scopes.clone(),
        tenant: who.tenant.id.to_string(),
        organizations: organizations.iter().map(ToString::to_string).collect(),
        auth_time: None,
        acr: None,
        amr: None,
    })
}
