//! Issuing a token for `client_credentials`: validate, decide, sign, record, and only then let it go.

use std::net::IpAddr;

use chrono::{DateTime, SubsecRound, TimeDelta, Utc};
use grantor_domain::authentication::AuthenticationFailure;
use grantor_domain::grant::{Issuance, decide_client_credentials};
use grantor_domain::ids::{TenantId, TokenId};
use grantor_domain::resource_server::TokenShape;
use grantor_domain::token::AccessToken;
use grantor_keys::{OpaqueToken, TokenHash, TokenPlace, uuid_v7};
use grantor_protocol::scope::Scopes;
use grantor_protocol::token::{ACCESS_TOKEN_TYP, AccessTokenClaims, Audience};
use grantor_storage::StorageError;
use grantor_storage::token_writing::ProposedToken;
use grantor_storage::user_agents::UserAgent;

use crate::authenticate::{Claim, Known};
use crate::beat::on_the_beat;
use crate::decided::{ATTEMPTS, TOO_FAST};
use crate::limits::Admitted;
use crate::writer::Outcome;
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

impl Authority {
    /// Issues a token for `client_credentials`.
    pub async fn issue_for_client(
        &self,
        request: TokenRequest,
        now: DateTime<Utc>,
    ) -> Result<Issued, Refusal> {
        on_the_beat(self.issue_at_once(request, now)).await
    }

    async fn issue_at_once(
        &self,
        request: TokenRequest,
        now: DateTime<Utc>,
    ) -> Result<Issued, Refusal> {
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
        for _ in 0..ATTEMPTS {
            let decide = |known: &Known| {
                // RFC 6749 §4.4: this grant is for confidential clients alone, and they prove themselves.
                known.secret.ok_or(AuthenticationFailure::Unproved)?;
                issuance(known, scopes.as_ref())
            };
            let (known, issuance, mut admitted) = self.within_limits(&claim, decide).await?;
            let record = self.record(&known, &issuance, ip, now)?;
            let token = match issuance.shape {
                TokenShape::Signed(algorithm) => {
                    let key = self.signing_key(&known.tenant, algorithm, now).await?;
                    let claims = claims(&known, &record)?;
                    key.sign(ACCESS_TOKEN_TYP, &claims, self.entropy())
                        .map_err(Failure::from)?
                }
                TokenShape::Opaque => {
                    let place = TokenPlace {
                        tenant: record.tenant.uuid(),
                        client: record.client.uuid(),
                        id: record.id.uuid(),
                    };
                    let token =
                        OpaqueToken::generate(place, self.entropy()).map_err(Failure::from)?;
                    token.expose().to_owned()
                }
            };
            let issued = Issued {
                expires_in: u64::try_from((record.expires_at - record.issued_at).num_seconds())
                    .map_err(|_| Failure::Impossible("a token that ends before it begins"))?,
                scopes: record.scopes.clone(),
                token,
            };
            // token_1: on record before it leaves.
            let named = |name| UserAgent::of(record.tenant, record.id, name);
            let proposed = ProposedToken {
                hash: TokenHash::of(&issued.token),
                user_agent: user_agent.clone().map(named),
                token: record,
            };
            admitted.recording();
            match self.writer.write(proposed).await {
                Ok(Outcome::OnRecord) => {
                    self.note_use(&known, now);
                    return Ok(issued);
                }
                Ok(Outcome::Outdated) => admitted.none_came(),
                Err(failed) => {
                    if failed.for_certain {
                        admitted.none_came();
                    }
                    return Err(failed.why.into());
                }
            }
        }
        Err(StorageError::Unavailable(TOO_FAST.to_owned()).into())
    }

    /// Decides, and takes room within the client's limits for what was decided. That there is none is a no like any other,
    /// and confirmed: the limit may have been raised just now. Whoever has had that looked at too often waits as they
    /// were told.
    async fn within_limits<T>(
        &self,
        claim: &Claim,
        decide: impl Fn(&Known) -> Result<T, Refusal>,
    ) -> Result<(Known, T, Admitted), Refusal> {
        let (known, decided) = self.decided(claim, &decide).await?;
        let held = match self.admit(&known, claim.now).await {
            Ok(admitted) => return Ok((known, decided, admitted)),
            Err(Refusal::TooMany(held)) => held,
            Err(refusal) => return Err(refusal),
        };
        let Ok(taken) = self.budget_for_a_no(claim) else {
            return Err(self.held(&known, held, claim.now));
        };
        let (known, decided) = self.decided_anew(claim, decide).await?;
        match self.admit(&known, claim.now).await {
            Ok(admitted) => {
                taken.give_back();
                Ok((known, decided, admitted))
            }
            Err(Refusal::TooMany(held)) => Err(self.held(&known, held, claim.now)),
            Err(refusal) => Err(refusal),
        }
    }

    fn record(
        &self,
        who: &Known,
        issuance: &Issuance,
        ip: Option<IpAddr>,
        now: DateTime<Utc>,
    ) -> Result<AccessToken, Failure> {
        // The claims tell whole seconds; what is on record agrees with them exactly.
        let issued_at = now.trunc_subsecs(0);
        let expires_at = issued_at + TimeDelta::seconds(i64::from(issuance.lifetime.seconds()));
        let millis = u64::try_from(expires_at.timestamp_millis())
            .map_err(|_| Failure::Impossible("a clock before 1970"))?;
        Ok(AccessToken {
            tenant: who.tenant.tenant.id,
            client: who.client.client.id,
            id: TokenId::from_uuid(uuid_v7(millis, self.entropy())?),
            member: None,
            scopes: issuance.scopes.clone(),
            audiences: issuance.audiences.clone(),
            issued_at,
            expires_at,
            revoked_at: None,
            position: who.position,
            ip,
        })
    }
}

/// What the client gets for what it asks, or why not.
fn issuance(known: &Known, requested: Option<&Scopes>) -> Result<Issuance, Refusal> {
    let decision = decide_client_credentials(
        &known.tenant.tenant,
        &known.client.client,
        &known.tenant.catalogue,
        requested,
    );
    if let Some((error, description)) = decision.refusal() {
        return Err(Refusal::from((error, description.to_owned())));
    }
    let neither = "a decision neither refused nor issued";
    Ok(decision.issuance.ok_or(Failure::Impossible(neither))?)
}

fn claims(who: &Known, token: &AccessToken) -> Result<AccessTokenClaims, Failure> {
    let client = token.client.to_string();
    Ok(AccessTokenClaims {
        iss: who.tenant.tenant.issuer.as_str().to_owned(),
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
        tenant: token.tenant.to_string(),
        // client_12: its tokens say in which.
        organizations: who
            .client
            .organizations
            .iter()
            .map(ToString::to_string)
            .collect(),
        auth_time: None,
        acr: None,
        amr: None,
    })
}
