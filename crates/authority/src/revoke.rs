//! Revocation (RFC 7009).

use std::net::IpAddr;

use chrono::{DateTime, Utc};
use grantor_domain::ids::TenantId;
use grantor_protocol::error::ErrorCode;
use grantor_storage::callers::TokenKey;
use grantor_storage::{Database, ReadTx, Scope, tokens};

use crate::allowance::Taken;
use crate::authenticate::{Claim, Known};
use crate::beat::on_the_beat;
use crate::decided::Attempt;
use crate::directory::Basis;
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
        on_the_beat(self.revoke_at_once(&claim, token)).await
    }

    async fn revoke_at_once(&self, claim: &Claim, token: String) -> Result<(), Refusal> {
        // Whoever proves nothing here costs as much as any other no does, and has as little of it.
        let is_unproved = !self.is_proved_by_memory(claim);
        let mut budget = is_unproved
            .then(|| self.budget_for_a_no(claim))
            .transpose()?;
        // Revocation has connections of its own: whatever else is crowded, this goes through.
        let database = self.database.reserved();
        let known = self.known_by_itself(&database, claim).await;
        if matches!(known, Err(Refusal::Failed(_))) {
            // What failed of ours is no no.
            budget.take().into_iter().for_each(Taken::give_back);
        }
        let known = known?;
        let _turn = self.revocations.turn().await?;
        // RFC 7009 §2.2: an invalid token is no error, the purpose is achieved already.
        let located = locate(&token).filter(|located| located.tenant == claim.tenant);
        let own = match located {
            Some(located) => own(&database, &known, located, token)
                .await?
                .then_some(located),
            None => None,
        };
        if let Some(located) = own {
            let now = claim.now;
            database
                .flow(move |tx| {
                    tokens::revoke(tx, located.tenant, located.client, located.id, now)
                        .map_err(Refusal::from)
                })
                .await?;
        }
        // A public client's name is known to everybody; that it holds a token of its own is proof.
        if let Some(budget) = budget.filter(|_| known.secret.is_some() || own.is_some()) {
            budget.give_back();
        }
        Ok(())
    }

    /// Whether memory says that the claim is proved by a secret.
    fn is_proved_by_memory(&self, claim: &Claim) -> bool {
        let basis = self.directory.remembered(claim.tenant, claim.client());
        let attempt = basis.map(|basis| self.attempt(&basis, claim, None, &|_| Ok(())));
        matches!(attempt, Some(Attempt::Yes(known, ())) if known.secret.is_some())
    }

    /// Authenticates a client by nothing that was there before: by these connections alone.
    async fn known_by_itself(&self, database: &Database, claim: &Claim) -> Result<Known, Refusal> {
        let basis = {
            let _turn = self.revocations.turn().await?;
            Basis::load(database, claim.tenant, claim.client(), claim.now).await?
        };
        let (known, ()) = self.decided_on(&basis, claim, |_| Ok(())).await?;
        Ok(known)
    }
}

/// Whether this token is there to be revoked, and of the client that asks.
async fn own(
    database: &Database,
    known: &Known,
    located: TokenKey,
    token: String,
) -> Result<bool, Refusal> {
    let asks = known.client.client.id;
    database
        .read(Scope::Tenant(located.tenant), move |tx: &mut ReadTx<'_>| {
            let found = tokens::find(tx, located.tenant, located.client, located.id)?;
            let Some(found) = found.filter(|found| found.hash.matches(&token)) else {
                return Ok(false);
            };
            // RFC 7009 §2.1: the server verifies whether the token was issued to the client that asks;
            // if not, the request is refused and the client is told.
            if found.token.client != asks {
                let description = "the token was issued to another client".to_owned();
                return Err(Refusal::from((ErrorCode::InvalidRequest, description)));
            }
            Ok(true)
        })
        .await
}
